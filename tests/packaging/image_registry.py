"""Debian's registry for images, on this machine, and small images in it."""

import gzip
import hashlib
import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Any

from tests.packaging.release_tools import TOOLS
from tests.processes import PATIENCE_SECONDS, free_port

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@contextmanager
def image_registry(folder: Path) -> Iterator[str]:
    """Its address, as in an image's name."""
    folder.mkdir()
    address = f"127.0.0.1:{free_port()}"
    (folder / "config.yml").write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder / 'store'}}}}}\nhttp: {{addr: '{address}'}}\n"
    )
    with (folder / "log").open("wb") as log:
        command = [TOOLS / "docker-registry", "serve", folder / "config.yml"]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _await(f"http://{address}/v2/", process)
        yield address
    finally:
        process.terminate()
        process.wait()


def _await(url: str, process: "subprocess.Popen[bytes]") -> None:
    until, tick = time.monotonic() + PATIENCE_SECONDS, Event()
    while True:
        with suppress(OSError), urllib.request.urlopen(url, timeout=PATIENCE_SECONDS):
            return
        assert process.poll() is None, "the registry has ended"
        assert time.monotonic() < until
        tick.wait(0.05)


def push(repository: str, tag: str) -> str:
    """Push a small image; return its digest. https://github.com/opencontainers/distribution-spec"""
    layer = gzip.compress(b"\0" * 10240, mtime=0)
    diff = f"sha256:{hashlib.sha256(gzip.decompress(layer)).hexdigest()}"
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [diff]}}
    ).encode()
    kinds = {"application/vnd.oci.image.config.v1+json": config, "application/vnd.oci.image.layer.v1.tar+gzip": layer}
    described: list[dict[str, Any]] = []
    for kind, blob in kinds.items():
        digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
        with request("POST", f"http://{repository}/blobs/uploads/") as answer:
            place = answer.headers["Location"]
        request("PUT", f"{place}&digest={digest}", blob, "application/octet-stream").close()
        described.append({"mediaType": kind, "digest": digest, "size": len(blob)})
    manifest = json.dumps(
        {"schemaVersion": 2, "mediaType": MANIFEST, "config": described[0], "layers": described[1:]}
    ).encode()
    request("PUT", f"http://{repository}/manifests/{tag}", manifest, MANIFEST).close()
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


def request(method: str, url: str, body: bytes = b"", kind: str = "application/json") -> Any:
    asked = urllib.request.Request(url, data=body, method=method, headers={"Content-Type": kind})
    return urllib.request.urlopen(asked, timeout=PATIENCE_SECONDS)
