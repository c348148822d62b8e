"""The sdist and the wheel as the pipeline builds them, once for all tests and as long as no file of them changes."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from mltrail_ci import __version__
from tests.places import RELEASE_PYTHON, ROOT
from tests.processes import one_at_a_time

BUILT = ROOT / ".cache/built"
PARTS = (
    "server",
    "component",
    "assets",
    "deploy/helm",
    "deploy/systemd",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    "pyproject.toml",
)
HOME = "https://gitlab.example.com/mlops/mltrail"


def build() -> Path:
    """A folder with the sdist, the wheel and the chart. Don't change it."""
    key = fingerprint()
    folder = BUILT / key
    with one_at_a_time(BUILT):
        if not folder.exists():
            shutil.rmtree(BUILT, ignore_errors=True)
            made = BUILT / "unfinished"
            environment = os.environ | {
                "CI_PROJECT_URL": HOME,
                "CI_COMMIT_TAG": __version__,
                "SOURCE_DATE_EPOCH": "1750000000",
                "PYTHONPATH": f"{ROOT / 'component'}:{ROOT}",
            }
            command = [RELEASE_PYTHON, "-m", "scripts.release.build", made]
            ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
            assert ran.returncode == 0, ran.stdout + ran.stderr
            made.rename(folder)
    return folder


def fingerprint() -> str:
    """Of everything that the build reads: git's files and those that it will take next."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *PARTS]
    command += ["requirements/release.txt", "scripts/release/build.py"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    digest = hashlib.sha256()
    for name in sorted(filter(None, set(listed.split("\0")))):
        if (ROOT / name).is_file():
            digest.update(f"{name}\0".encode() + (ROOT / name).read_bytes())
    return digest.hexdigest()[:20]
