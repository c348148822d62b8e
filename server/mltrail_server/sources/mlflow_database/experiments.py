"""Experiments of an MLflow database."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.transfer import ExperimentRecord

from .opening import Reading
from .tables import Tables

_PAGE = 200


def within_workspace(statement: "sa.Select[Any]", tables: Tables, name: str, workspace: str) -> "sa.Select[Any]":
    """Restrict a statement to a workspace; databases before MLflow 3.10 have none."""
    if tables.has(name, "workspace"):
        return statement.where(tables.column(name, "workspace") == workspace)
    return statement


def experiments(reading: Reading, tables: Tables, workspace: str) -> Iterator[ExperimentRecord]:
    """Return experiments by id."""
    wanted = ("experiment_id", "name", "artifact_location", "lifecycle_stage", "creation_time", "last_update_time")
    number = tables.column("experiments", "experiment_id")
    statement = within_workspace(
        sa.select(*tables.columns("experiments", *wanted))
        .where(number > sa.bindparam("after"))
        .order_by(number)
        .limit(_PAGE),
        tables,
        "experiments",
        workspace,
    )
    after = -(2**63)
    while page := reading.rows(statement, {"after": after}):
        after = page[-1].experiment_id
        tags = _tags(reading, tables, [one.experiment_id for one in page])
        for one in page:
            yield ExperimentRecord(
                id=str(one.experiment_id),
                name=one.name,
                deleted=one.lifecycle_stage == "deleted",
                created_ms=one.creation_time,
                updated_ms=one.last_update_time,
                artifact_location=one.artifact_location or None,
                tags=tags[one.experiment_id],
            )


def _tags(reading: Reading, tables: Tables, numbers: list[int]) -> dict[int, dict[str, str]]:
    tag = tables.table("experiment_tags").c
    found: dict[int, dict[str, str]] = defaultdict(dict)
    statement = sa.select(tag.experiment_id, tag.key, tag.value).where(tag.experiment_id.in_(numbers)).order_by(tag.key)
    for one in reading.rows(statement):
        found[one.experiment_id][one.key] = one.value or ""
    return found
