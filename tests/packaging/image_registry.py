"""The registry for images that rehearsals use, and small images in it."""

import gzip
import hashlib
import json
import urllib.request
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from scripts.release import image_registry as registry

from tests.packaging.release_tools import TOOLS
from tests.processes import PATIENCE_SECONDS, free_port

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def image_registry(folder: Path) -> AbstractContextManager[str]:
    return registry.image_registry(TOOLS / "docker-registry", folder, free_port())


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
