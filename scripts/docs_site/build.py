"""One version of the site."""

import shutil
import subprocess
import sys
from pathlib import Path

from .finish import finish
from .stage import Stage

THEME = Path(__file__).parent / "theme"


def site(tree: Path, to: Path, source: Path, repository: str, *, version: str, strict: bool = True) -> None:
    """Build the pages of a tree of the repository. Strict: a warning, such as a broken link, is an error.

    Raises `CalledProcessError` when Sphinx has said what is wrong.
    """
    Stage(tree, source, repository).fill()
    shutil.rmtree(to, ignore_errors=True)
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fresh-env", "--jobs", "auto", "--conf-dir", str(THEME)]
    command += ["--define", f"version={version}", "--define", f"release={version}"]
    command += ["--fail-on-warning", "--keep-going"] if strict else []
    command += ["--doctree-dir", str(source.parent / "doctrees"), str(source), str(to)]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2])  # so that the settings can import this
    finish(to)


def check_links(tree: Path, work: Path) -> None:
    """Check links to every other site. It takes minutes, and a site may be down: for a nightly job.

    Raises `CalledProcessError` when Sphinx has listed what is broken.
    """
    Stage(tree, work / "source", "https://gitlab.example.com/mlops/mltrail/-/blob/main").fill()
    command = [sys.executable, "-m", "sphinx", "--quiet", "--builder", "linkcheck", "--conf-dir", str(THEME)]
    subprocess.run([*command, str(work / "source"), str(work / "links")], check=True, cwd=Path(__file__).parents[2])
