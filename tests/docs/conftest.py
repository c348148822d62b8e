"""The docs site, built once, and a server for its files."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from scripts.docs_site import build

from tests.places import ROOT
from tests.static_files import serving

REPOSITORY = "https://gitlab.example.com/mlops/mltrail"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This checkout's pages. A warning of Sphinx is an error, which it has printed."""
    folder = tmp_path_factory.mktemp("site")
    to = folder / "public/latest"
    build.site(ROOT, to, folder / "source", f"{REPOSITORY}/-/blob/main", version="latest")
    return to


@pytest.fixture(scope="session")
def served(built: Path) -> Iterator[str]:
    """The address of the built pages."""
    with serving(built.parent) as url:
        yield url
