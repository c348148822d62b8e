"""The proxy of deploy/compose, as a process of its own on free ports: Caddy with our Caddyfile."""

import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Self

from tests.processes import PATIENCE_SECONDS, free_port, status, wait_until

CADDY = Path(sys.executable).parent / "caddy"
CADDYFILE = Path(__file__).parents[2] / "deploy/compose/Caddyfile"


class Proxy:
    """Serves `https://localhost:PORT` with a certificate of its own making, in front of `upstream` (`host:port`)."""

    def __init__(self, folder: Path, upstream: str) -> None:
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        self._folder = folder
        self._health = f"http://127.0.0.1:{free_port()}"
        text = CADDYFILE.read_text()
        # Ports of our own.
        for old, new in (
            ("web:5000", upstream),
            ("http://127.0.0.1:2020", self._health),
            ("\tadmin off\n", f"\tadmin off\n\thttp_port {free_port()}\n"),
        ):
            assert old in text
            text = text.replace(old, new)
        self._file = folder / "Caddyfile"
        self._file.write_text(text)

    @property
    def authority(self) -> Path:
        return self._folder / "caddy/pki/authorities/local/root.crt"

    def __enter__(self) -> Self:
        own = {"PROXY_SITE": self.url, "PROXY_TLS": "internal", "XDG_DATA_HOME": str(self._folder)}
        own |= {"XDG_CONFIG_HOME": str(self._folder), "HOME": str(self._folder)}
        log = (self._folder / "proxy.log").open("wb")
        command = [str(CADDY), "run", "--config", str(self._file)]
        self._process = subprocess.Popen(command, env=os.environ | own, stdout=log, stderr=log)
        log.close()
        wait_until(self._is_ready, "Caddy answers", process=self._process, log=self._folder / "proxy.log")
        return self

    def _is_ready(self) -> bool:
        """Whether it answers and has created its certificate, which takes a moment longer."""
        try:
            with self.connect():
                return status(self._health) == 200
        except OSError:
            return False

    def connect(self) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS)
        context = ssl.create_default_context(cafile=str(self.authority))
        return context.wrap_socket(plain, server_hostname="localhost")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=PATIENCE_SECONDS)
