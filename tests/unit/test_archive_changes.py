"""Every table and column that is about GitLab, or that a server believes, has its place when a project moves."""

import re
from pathlib import Path

import pytest

import mltrail_server
from mltrail_server.domain import former
from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import schema
from mltrail_server.store.archives import rows
from mltrail_server.store.archives.changes import GITLAB_NUMBERS, LEFT_BEHIND, NOT_BELIEVED, Moving, Trust
from mltrail_server.store.archives.staging import counted
from tests.rows import made

_OF_GITLAB = re.compile(r"(.*_)?(pipeline|job|merge_request|issue|note|discussion|root)_i?id|trained_in")
GIVEN_UP = {"merge_request": {"note_id"}}
"""Numbers of a note, which are removed: it is at the former GitLab."""

EVIDENCE = {"own", "promoted", "protected", "verified", "passed_ms", "discarded", "detached_until_ms", "attestation"}
"""Columns that this server believes: whoever adds one says here what a foreign archive may say in it."""


HISTORY = {
    *("project", "counter", "experiment", "experiment_tag", "saved_view", "candidate", "candidate_tag", "own_tag"),
    "amendment",
    *("metric_key", "metric", "latest_metric", "param", "dataset", "candidate_dataset", "candidate_dataset_tag"),
    *("model", "model_tag", "model_version", "model_version_tag", "model_alias", "alias_event"),
    *("logged_model", "logged_model_tag", "logged_model_param", "logged_model_metric", "candidate_model"),
    *("trace", "trace_tag", "trace_metadata", "trace_prompt", "trace_spans", "trace_span_name", "candidate_trace"),
    *("assessment", "evaluation_dataset", "evaluation_dataset_tag", "evaluation_dataset_experiment"),
    *("evaluation_record", "scorer", "scorer_version", "blob", "file"),
}


def test_each_number_of_gitlab_is_shifted_or_left_behind() -> None:
    for table in rows.ARCHIVED:
        if table.name in LEFT_BEHIND:
            continue
        found = {column.name for column in table.columns if _OF_GITLAB.fullmatch(column.name)}
        if table.name in ("pipeline", "job"):
            found.add("id")
        if table.name == "merge_request":
            found.add("iid")
        assert found - GIVEN_UP.get(table.name, set()) == set(GITLAB_NUMBERS.get(table.name, ())), table.name


def test_whoever_adds_a_table_decides_whether_a_foreign_one_is_believed() -> None:
    """Add its name here if rows that anybody may have written do no harm; otherwise to `NOT_BELIEVED`."""
    moving = Moving(Trust.FOREIGN, ProjectId(9), "a/b", origin_id=1, at_ms=5)
    assert {table.name for table in rows.ARCHIVED if moving.takes(table)} == HISTORY


def test_no_foreign_row_has_evidence() -> None:
    moving = Moving(Trust.FOREIGN, ProjectId(9), "a/b", origin_id=1, at_ms=5)
    for table in rows.ARCHIVED:
        if not moving.takes(table):
            assert table.name in {*NOT_BELIEVED, *LEFT_BEHIND}
            continue
        change = moving.of(table)
        for row in made(table, 1):
            given = [7 if value == 2**63 - 1 else value for value in row]
            after = dict(zip((column.name for column in rows.columns(table)), change(tuple(given)), strict=True))
            assert after["project_id"] == 9
            assert after.get("origin_id", 1) == 1
            assert not any(after[name] for name in EVIDENCE & set(after)), table.name
            for name in GITLAB_NUMBERS.get(table.name, ()):
                assert after[name] is None or after[name] < 0


@pytest.mark.parametrize("number", [former.SHIFT, former.SHIFT + 42, 2**63 - 1, -32 * former.SHIFT])
def test_no_number_can_become_one_that_gitlab_gives(number: int) -> None:
    """A forged archive could claim a later job's traces, or a pipeline."""
    with pytest.raises(MltrailError, match="is no number of a pipeline"):
        former.shifted(number)


def test_nothing_changes_for_the_same_project() -> None:
    moving = Moving(Trust.SAME, ProjectId(1), "plain", origin_id=1, at_ms=5)
    for table in rows.ARCHIVED:
        assert moving.takes(table)
        found = made(table, 1)
        if table is not schema.project:
            assert [moving.of(table)(row) for row in found] == found


def test_each_counter_is_known() -> None:
    """A row with a number that a counter has yet to give out would become a part of what gets it."""
    package = Path(mltrail_server.__file__).parent
    used = {
        name
        for path in package.rglob("*.py")
        for name in re.findall(r"next_number\(\s*\"(\w+)\"", path.read_text(encoding="utf-8"))
    }
    assert used == set(counted())
