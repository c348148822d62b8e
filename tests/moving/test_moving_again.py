"""An old server lives on after its history was imported: a later import brings what is new, another one nothing.

https://mlflow.org/docs/latest/api_reference/rest-api.html
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.differential.servers import mlflow_server

from .asking import Side, answers, compare, get
from .explained import rules
from .histories import fill
from .moving import VERSIONS, Import, move, moved_to
from .old_records import OldRecords
from .questions import about, learn

GENERATION, SEED, RUNS, HISTORIES = "mlflow-1.28", 7, 48, 2
OF_THE_IMPORT = ("origin", "imported", "session", "blob", "blob_use", "change")


def rows(folder: Path) -> dict[str, list[Any]]:
    """Everything in the database that people see, but for the mark that says how it was read last."""
    with closing(sqlite3.connect(folder / "mltrail.db")) as database:
        database.row_factory = sqlite3.Row
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {
            name: [dict(row) for row in database.execute(f'SELECT * FROM "{name}"')]
            for name in names
            if name not in OF_THE_IMPORT
        }
    return {name: sorted(_unmarked(of_table), key=repr) for name, of_table in found.items()}


def _unmarked(of_table: list[dict[str, Any]]) -> list[Any]:
    kept = [row for row in of_table if row.get("key") != "mltrail.imported_from"]
    return [{name: value for name, value in row.items() if name != "origin_id"} for row in kept]


def here(done: Import) -> dict[str, tuple[int, int]]:
    (project,) = done.report["projects"]
    return {name: (one["here"], one["more_here"]) for name, one in project["counts"].items()}


@pytest.mark.clients
def test_what_is_new_comes_whichever_way_is_read(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    fill(old, GENERATION, seed=SEED, runs=RUNS)
    with mlflow_server(old, GENERATION) as url, moved_to(new) as side:
        first = move(old, url, "database", new)
        more = fill(old, GENERATION, seed=SEED, runs=RUNS, later=True)
        second = move(old, url, "REST", new)
        known = rows(new)
        third = move(old, url, "database", new)
        after = rows(new)
        theirs = Side(url)
        facts = learn(theirs, VERSIONS[GENERATION])
        side.learn()
        their_answers = list(answers(theirs, about(facts, histories=HISTORIES)))
        records = OldRecords.from_answers(their_answers, facts.runs, old / "files")
        ours = answers(side, [question for question, _ in their_answers])
        outcome = compare(their_answers, ours, rules(facts, records, third.findings))
    assert not outcome.differences, "\n".join(map(str, outcome.differences[:10]))
    runs = [sum(one.get(name, (0, 0))[0] for name in ("runs", "deleted runs")) for one in (here(first), here(second))]
    assert runs == [RUNS, RUNS + more["runs"]]
    assert here(third) == here(second)
    assert third.report["unchanged"] > second.report["unchanged"]
    changed = {name: [row for row in one if row not in known[name]] for name, one in after.items()}
    assert {name: one for name, one in changed.items() if one or len(after[name]) != len(known[name])} == {}
    assert {one["kind"] for one in third.findings} <= {"refused", "missing", "note"}


def registry(old: Path, name: str) -> tuple[dict[str, int], dict[int, str]]:
    """The aliases of a model of an old server, and its versions' descriptions, from its database."""
    aliases = "SELECT alias, version FROM registered_model_aliases WHERE name = ?"
    versions = "SELECT version, description FROM model_versions WHERE name = ? AND current_stage != 'Deleted_Internal'"
    with closing(sqlite3.connect(old / "mlflow.db")) as database:
        return dict(database.execute(aliases, (name,))), dict(database.execute(versions, (name,)))


@pytest.mark.clients
def test_moved_aliases_and_changed_descriptions_come_from_mlflow_3(tmp_path: Path) -> None:
    old, new, name = tmp_path / "old", tmp_path / "new", "'; -- renamed"
    fill(old, "mlflow-3", seed=8, runs=16)
    before, _ = registry(old, name)
    with moved_to(new) as side:
        move(old, "", "database", new)
        fill(old, "mlflow-3", seed=8, runs=16, later=True)
        aliases, descriptions = registry(old, name)
        done = move(old, "", "database", new)
        model = side.raw(get("registered-models/get", name=name))["body"]["registered_model"]
        versions = {
            number: side.raw(get("model-versions/get", name=name, version=number))["body"]["model_version"]
            for number in descriptions
        }
    assert [alias for alias, number in before.items() if aliases[alias] != number]
    assert {one["alias"]: int(one["version"]) for one in model["aliases"]} == aliases
    assert model["description"] == "described later"
    assert "described later" in descriptions.values()
    assert {number: one.get("description") or "" for number, one in versions.items()} == {
        number: text or "" for number, text in descriptions.items()
    }
    assert not [one for one in done.findings if one["kind"] == "changed" and "since the import" in one["text"]]
