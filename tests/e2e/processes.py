"""A real server in a process of its own, for tests that need one."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import urllib3

from tests.processes import PATIENCE_SECONDS, free_port

COMMAND = Path(sys.executable).parent / "mltrail-server"
_TRACKING_URI = re.compile(r"MLFLOW_TRACKING_URI=(http://127\.0\.0\.1:\d+)/")


@dataclass
class Server:
    url: str
    process: "subprocess.Popen[str]"

    @classmethod
    @contextmanager
    def started(cls, folder: Path, *, token: str, port: int | None = None, **variables: str) -> Iterator["Server"]:
        """Start a server in local mode with these variables, wait until it serves, and end it afterwards."""
        command = [str(COMMAND), "serve", "--port", str(port or free_port()), "--data-dir", str(folder)]
        environment = os.environ | {"MLTRAIL_LOCAL_TOKEN": token} | variables
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout
            try:
                lines = [process.stdout.readline()]
                while not (found := _TRACKING_URI.search(lines[-1])):
                    assert lines[-1], lines
                    lines.append(process.stdout.readline())
                _wait_until_it_answers(found[1])
                yield cls(found[1], process)
            finally:
                process.terminate()


def _wait_until_it_answers(url: str) -> None:
    """Ask until there is an answer: a server says where it serves a little before it listens."""
    patient = urllib3.Retry(total=round(PATIENCE_SECONDS / 0.2), backoff_factor=0.05, backoff_max=0.2)
    assert urllib3.request("GET", f"{url}/healthz", retries=patient).status == 200
