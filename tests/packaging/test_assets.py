"""The pages' third-party files: in the wheel and the sdist, not in git, and a clear word where they can't be made."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.places import ROOT

VENDOR = "mltrail_server/ui/static/vendor"
UV = Path(sys.executable).parent / "uv"


def build(kind: str, source: Path, out: Path, *, npm: bool = True) -> "subprocess.CompletedProcess[str]":
    """Build a wheel or an sdist; without `npm` in a world that has none."""
    environment = dict(os.environ)
    environment.pop("VIRTUAL_ENV", None)
    if npm:
        environment["PATH"] = f"{UV.parent}{os.pathsep}{environment['PATH']}"
    else:
        environment["PATH"] = str(out)
    command = [UV, "build", f"--{kind}", "--python", sys.executable, "--out-dir", out, source]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked sdist, which is what a checkout is, and the made files."""
    folder = tmp_path_factory.mktemp("sdist")
    built = build("sdist", ROOT, folder)
    assert built.returncode == 0, built.stderr
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def test_an_sdist_installs_without_node(sdist: Path, tmp_path: Path) -> None:
    built = build("wheel", sdist, tmp_path, npm=False)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = ("tokens.css", "icons.svg", "uplot.js", "uplot.css", "THIRD_PARTY_LICENSES.txt")
    assert {f"{VENDOR}/{name}" for name in wanted} <= names
    tokens = zipfile.ZipFile(wheel).read(f"{VENDOR}/tokens.css").decode()
    assert "--gl-text-color-default" in tokens
    assert "prefers-color-scheme: dark" in tokens
    assert len(tokens) < 20_000


def test_a_checkout_without_node_says_what_to_do(sdist: Path, tmp_path: Path) -> None:
    bare = tmp_path / "checkout"
    subprocess.run(["cp", "-r", sdist, bare], check=True)
    subprocess.run(["rm", "-r", bare / "server" / VENDOR], check=True)
    built = build("wheel", bare, tmp_path / "out", npm=False)
    assert built.returncode != 0
    assert "Install Node" in " ".join(built.stderr.split())


def test_nothing_of_it_is_in_git() -> None:
    listed = subprocess.run(
        ["git", "ls-files", f"server/{VENDOR}"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert listed.stdout == ""
