"""What is handed out: sdist, wheel and chart."""

from pathlib import Path

import pytest

from tests.built import build


@pytest.fixture(scope="session")
def built() -> Path:
    """A folder with all three."""
    return build()


@pytest.fixture(scope="session")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path
