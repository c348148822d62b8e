"""A history that is moved is answered as the old server answers it, but for what is explained.

https://mlflow.org/docs/latest/api_reference/rest-api.html
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.differential.servers import mlflow_server

from .asking import Question, Side, answers, compare, get
from .explained import rules
from .histories import GENERATIONS, fill
from .moving import VERSIONS, Import, move, moved_to
from .old_records import OldRecords
from .questions import Facts, about, learn

SEED = 7
RUNS = 60
HISTORIES = 5
LEAST_QUESTIONS = 700
LOST_BY_REST = {"files", "bytes of files"}
ONLY = {
    "folders with a percent sign": "database",
    "folders that are not shown": "REST",
}
"""Where an explanation must be needed, if not by both ways."""
BY_CHANCE = {"logged models by name"}
"""Explanations of what not every history has."""


@dataclass
class Old:
    """An old server that serves its history, and all its answers."""

    generation: str
    folder: Path
    url: str
    facts: Facts
    answers: list[tuple[Question, Any]]


@pytest.fixture(scope="module", params=GENERATIONS)
def old(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Old]:
    generation, folder = str(request.param), tmp_path_factory.mktemp("old")
    counts = fill(folder, generation, seed=SEED, runs=RUNS)
    assert counts["runs"] == RUNS
    with mlflow_server(folder, generation) as url:
        side = Side(url)
        facts = learn(side, VERSIONS[generation])
        yield Old(generation, folder, url, facts, list(answers(side, about(facts, histories=HISTORIES))))


@pytest.mark.clients
@pytest.mark.parametrize("way", ["database", "REST"])
def test_nothing_differs_but_what_is_explained(old: Old, way: str, tmp_path: Path) -> None:
    records = OldRecords.from_answers(old.answers, old.facts.runs, old.folder / "files")
    with moved_to(tmp_path / "new") as new:
        done = move(old.folder, old.url, way, tmp_path / "new")
        new.learn()
        explained = rules(old.facts, records, done.findings)
        ours = answers(new, [question for question, _ in old.answers])
        outcome = compare(old.answers, ours, explained)
        hidden = {(run, path): digest for run, path, digest in records.not_shown()}
        found = {(run, path): new.answer(get("get-artifact", api="", run_uuid=run, path=path)) for run, path in hidden}
    sys.stdout.write(f"{old.generation} by {way}: {outcome}\n")
    came = way == "database" or old.facts.version < (2, 0)  # by REST they can't
    assert [one["status"] == 200 and one["body"] for one in found.values()] == [came and one for one in hidden.values()]
    assert not outcome.differences, "\n".join(map(str, outcome.differences[:10]))
    assert sum(outcome.asked.values()) > LEAST_QUESTIONS
    needed = {rule.name for rule in explained if ONLY.get(rule.name, way) == way}
    assert outcome.used.keys() - BY_CHANCE == needed - BY_CHANCE, (
        "an explanation that is not needed any more hides what it should not"
    )
    assert not {name for name, one in _counts(done).items() if one["source"] != one["here"]} - LOST_BY_REST


def _counts(done: Import) -> dict[str, dict[str, int]]:
    (project,) = done.report["projects"]
    found: dict[str, dict[str, int]] = project["counts"]
    return found
