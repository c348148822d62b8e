"""Run what a release runs, with its tools."""

import os
import subprocess
from pathlib import Path

from tests.places import RELEASE_PYTHON, ROOT

TOOLS = ROOT / ".cache/release-tools/usr/bin"
ENVIRONMENT = {
    "PATH": f"{RELEASE_PYTHON.parent}:{TOOLS}:{os.environ['PATH']}",
    "PYTHONPATH": f"{ROOT / 'component'}:{ROOT}",
    "HOME": os.environ["HOME"],
    "SOURCE_DATE_EPOCH": "1750000000",
} | {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_", "NPM_", "npm_"))}


def run(*command: str | Path, cwd: Path = ROOT, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        list(map(str, command)), cwd=cwd, env=ENVIRONMENT | variables, capture_output=True, text=True, check=False
    )


def trusted_root(folder: Path) -> Path:
    """An empty list of Sigstore's services, which cosign would ask for otherwise, even to verify with a key."""
    path = folder / "trusted-root.json"
    path.write_text('{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}')
    return path
