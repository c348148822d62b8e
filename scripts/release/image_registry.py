"""A registry for images on this machine, for rehearsals and tests: Debian's docker-registry, on 127.0.0.1 only."""

import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PATIENCE_SECONDS = 60.0


@contextmanager
def image_registry(program: Path, folder: Path, port: int = 0) -> Iterator[str]:
    """Yield its address, without a scheme, as in an image's name. Port 0 means any that is free."""
    folder.mkdir(parents=True)
    config = folder / "config.yml"
    address = f"127.0.0.1:{port or _free_port()}"
    config.write_text(
        "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'store'}}}}}\nhttp: {{addr: '{address}'}}\n"
    )
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen([program, "serve", config], stdout=log, stderr=log)
    try:
        _await(f"http://{address}/v2/", process)
        yield address
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await(url: str, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{url} does not answer") from error
        time.sleep(0.05)
