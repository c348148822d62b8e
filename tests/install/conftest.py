"""The wheel, with which an installation begins."""

from pathlib import Path

import pytest

from tests.built import build


@pytest.fixture(scope="session")
def wheel() -> Path:
    (path,) = build().glob("*.whl")
    return path
