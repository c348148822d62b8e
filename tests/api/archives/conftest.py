"""Servers with a key, one of which has something of everything."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mltrail_server.settings import Settings
from tests.api.archives.filled import Other, Start, fill, other_server, pem
from tests.api.trail import Trail


@pytest.fixture
def gitlab_settings(gitlab_settings: Settings) -> Settings:
    return replace(gitlab_settings, signing_key=pem())


@pytest.fixture
def filled(trail: Trail) -> Trail:
    fill(trail)
    return trail


@pytest.fixture
def start(trail: Trail, tmp_path: Path, new_database: Callable[[Path], str]) -> Iterator[Start]:
    """Answer what starts another server, whose database is empty, with the settings that are given."""
    started: list[Other] = []

    def begin(**changes: Any) -> Other:
        folder = tmp_path / f"other-{len(started)}"
        made = other_server(trail, folder, new_database(folder), **changes)
        started.append(made)
        return made

    yield begin
    for one in started:
        one.deps.db.dispose()
