"""`kill -9` of an import, ten times: in the end everything is here as if nothing had happened."""

import os
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mltrail_server.app import create_deps
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.transfer import Findings
from mltrail_server.services.imports import importer
from mltrail_server.services.imports.plan import Plan
from mltrail_server.services.imports.progress import Progress
from mltrail_server.settings import Settings
from mltrail_server.store import schema
from mltrail_server.store.db.database import Database
from tests.clock import FrozenClock
from tests.fakes.history import FakeSource, history

KILLS = 10
RUNS = 30
ONE = ProjectId(1)


@pytest.fixture
def places(tmp_path: Path) -> tuple[Settings, Settings]:
    return tuple(Settings(data_dir=str(tmp_path / name), local_token="local") for name in ("whole", "killed"))  # type: ignore[misc] # they are two


def bring(settings: Settings, source: FakeSource) -> bool:
    deps = create_deps(settings, clock=FrozenClock())
    try:
        return importer.bring(deps, source, [Plan(ONE, "1")], Findings(), Progress(lambda: 0.0)).clean
    finally:
        deps.db.dispose()


def killed(settings: Settings, *, after: int) -> bool:
    """Import in another process, which dies after so many steps; return whether it did."""
    child = os.fork()
    if child == 0:
        source = history(runs=RUNS)
        source.dies_after = after
        bring(settings, source)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) < 0


def contents(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of project 1; random ids are replaced by what they stand for."""
    database = Database(settings.database)
    with database.read() as connection:
        rows = {
            name: [dict(row._mapping) for row in connection.execute(sa.select(table).where(table.c.project_id == ONE))]
            for name, table in schema.METADATA.tables.items()
            if "project_id" in table.c
        }
    database.dispose()
    names = {one["id"]: one["sha256"] for one in rows["blob"]} | {one["id"]: one["name"] for one in rows["scorer"]}
    return {
        name: sorted((tuple(names.get(value, value) for value in row.values()) for row in of_table), key=repr)
        for name, of_table in rows.items()
    }


def test_a_killed_import_goes_on(places: tuple[Settings, Settings]) -> None:
    undisturbed, disturbed = places
    source = history(runs=RUNS)
    assert bring(undisturbed, source)
    steps = -source.dies_after

    # What is done already takes fewer steps, so the later ones would come too late at places of a whole import.
    deaths = [killed(disturbed, after=steps * kill // (3 * KILLS)) for kill in range(1, KILLS + 1)]
    clean = bring(disturbed, history(runs=RUNS))

    assert clean
    assert deaths == [True] * KILLS
    expected, got = contents(undisturbed), contents(disturbed)
    assert {name for name in expected if expected[name] != got[name]} <= {"origin"}
