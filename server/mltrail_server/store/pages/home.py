"""What the first page shows of all projects that a person may see: one statement a function, whatever their number.

The projects are named by the caller, who has checked that the person may see them.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage, Status
from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import schema

from .catalogue import is_prompt

_PROJECT = schema.project
_RUN = schema.candidate
_EXPERIMENT = schema.experiment
_MODEL = schema.model
_RED = schema.red_verdict
_REQUEST = schema.merge_request
_OVERRIDE = schema.gate_override
_EVENT = schema.alias_event
_VERSION = schema.model_version
_PROMOTION = schema.promotion


@dataclass(frozen=True, slots=True)
class Activity:
    """The newest run of a project: its number, and when it was made; 0 if there is none."""

    project_id: ProjectId
    newest_iid: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How much a project holds; each number is one more than `most` if there is more."""

    experiments: int
    runs: int
    models: int


@dataclass(frozen=True, slots=True)
class RunOfProject:
    project_id: ProjectId
    iid: int
    name: str
    experiment_iid: int
    experiment: str
    user_name: str
    status: Status
    status_reason: str | None
    started_ms: int
    ended_ms: int | None


@dataclass(frozen=True, slots=True)
class FailedModel:
    """A model that fails the gate of an open merge request, and the rules that it breaks."""

    project_id: ProjectId
    iid: int
    title: str
    model: str
    rules: frozenset[str]
    pipeline_id: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class NewAlias:
    """A move of an alias to a version. `promotion` says why a pipeline chose it, `reason` why a person did."""

    project_id: ProjectId
    id: int
    model: str
    alias: str
    number: int
    semver: str | None
    before: str | None
    at_ms: int
    user_name: str
    pipeline_id: int | None
    reason: str | None
    merge_request_iid: int | None
    promotion: str | None


def activity(connection: sa.Connection, project_ids: Sequence[ProjectId]) -> list[Activity]:
    """Find the newest run of each project, the project with the newest one first."""
    newest = sa.select(_RUN.c.iid).where(_RUN.c.project_id == _PROJECT.c.project_id)
    made = sa.select(_RUN.c.created_ms).where(_RUN.c.project_id == _PROJECT.c.project_id)
    iid, at_ms = (
        sa.func.coalesce(query.order_by(_RUN.c.iid.desc()).limit(1).correlate(_PROJECT).scalar_subquery(), 0)
        for query in (newest, made)
    )
    query = sa.select(_PROJECT.c.project_id, iid, at_ms).where(_PROJECT.c.project_id.in_(project_ids))
    found = [Activity(ProjectId(number), iid, at_ms) for number, iid, at_ms in connection.execute(query)]
    return sorted(found, key=lambda one: (-one.at_ms, one.project_id))


def counts(connection: sa.Connection, project_ids: Sequence[ProjectId], *, most: int) -> dict[ProjectId, Counts]:
    """Count what some projects hold."""
    columns = []
    for table in (_EXPERIMENT, _RUN, _MODEL):
        rows = sa.select(sa.literal(1)).where(table.c.project_id == _PROJECT.c.project_id)
        if table is not _MODEL:
            rows = rows.where(table.c.stage == Stage.ACTIVE)
        few = rows.limit(most + 1).correlate(_PROJECT).subquery()
        columns.append(sa.select(sa.func.count()).select_from(few).scalar_subquery())
    query = sa.select(_PROJECT.c.project_id, *columns).where(_PROJECT.c.project_id.in_(project_ids))
    return {ProjectId(number): Counts(*numbers) for number, *numbers in connection.execute(query)}


def _runs() -> sa.Select[int, int, str, int, str, str, int, str | None, int, int | None]:
    columns = ("project_id", "iid", "name", "experiment_iid", "user_name", "status", "status_reason")
    return (
        sa.select(*(_RUN.c[name] for name in columns), _RUN.c.started_ms, _RUN.c.ended_ms, _EXPERIMENT.c.name)
        .join(
            _EXPERIMENT,
            (_EXPERIMENT.c.project_id == _RUN.c.project_id) & (_EXPERIMENT.c.iid == _RUN.c.experiment_iid),
        )
        .where(_RUN.c.stage == Stage.ACTIVE, _EXPERIMENT.c.stage == Stage.ACTIVE)
    )


def running(connection: sa.Connection, project_ids: Sequence[ProjectId], *, limit: int) -> list[RunOfProject]:
    """List the runs that are running, those that began last first."""
    # Written out, so that SQLite sees that the index of running runs holds them all.
    is_running = _RUN.c.status == sa.literal_column(str(int(Status.RUNNING)))
    query = _runs().where(_RUN.c.project_id.in_(project_ids), is_running)
    return _read(connection, query.order_by(_RUN.c.started_ms.desc()).limit(limit))


def newest(connection: sa.Connection, project_ids: Sequence[ProjectId], *, limit: int) -> list[RunOfProject]:
    """List the runs that were made last in a few projects: each project's are at the end of an index."""
    if not project_ids:
        return []
    keys = sa.union_all(
        *(
            sa.select(
                sa.select(_RUN.c.project_id, _RUN.c.iid, _RUN.c.created_ms)
                .where(_RUN.c.project_id == number, _RUN.c.stage == Stage.ACTIVE)
                .order_by(_RUN.c.iid.desc())
                .limit(limit)
                .subquery()
            )
            for number in project_ids
        )
    ).subquery()
    last = sa.select(keys.c.project_id, keys.c.iid).order_by(keys.c.created_ms.desc()).limit(limit).subquery()
    query = (
        _runs()
        .join(last, (last.c.project_id == _RUN.c.project_id) & (last.c.iid == _RUN.c.iid))
        .where(_RUN.c.project_id.in_(project_ids))
    )
    return _read(connection, query.order_by(_RUN.c.created_ms.desc(), _RUN.c.iid.desc()))


def _read(connection: sa.Connection, query: sa.Select[*tuple[Any, ...]]) -> list[RunOfProject]:
    return [
        RunOfProject(
            ProjectId(row.project_id),
            row.iid,
            row[2],
            row.experiment_iid,
            row[9],
            row.user_name,
            Status(row.status),
            row.status_reason,
            row.started_ms,
            row.ended_ms,
        )
        for row in connection.execute(query)
    ]


def failing(connection: sa.Connection, project_ids: Sequence[ProjectId], *, limit: int) -> list[FailedModel]:
    """List the models that fail the gate of an open merge request and have not passed since, the newest first."""
    query = (
        sa.select(
            _RED.c.project_id,
            _RED.c.merge_request_iid,
            _REQUEST.c.title,
            _RED.c.model_name,
            _RED.c.rules,
            _RED.c.pipeline_id,
            _RED.c.at_ms,
        )
        .join(_REQUEST, (_REQUEST.c.project_id == _RED.c.project_id) & (_REQUEST.c.iid == _RED.c.merge_request_iid))
        .where(
            _RED.c.project_id.in_(project_ids),
            _REQUEST.c.state == "opened",
            _RED.c.target_branch == _REQUEST.c.target_branch,
            sa.or_(_RED.c.passed_pipeline_id.is_(None), _RED.c.passed_pipeline_id < _RED.c.pipeline_id),
        )
        .order_by(_RED.c.at_ms.desc(), _RED.c.project_id, _RED.c.merge_request_iid, _RED.c.model_name)
        .limit(limit)
    )
    return [
        FailedModel(ProjectId(row[0]), row[1], row[2], row[3], frozenset(json.loads(row[4])), row[5], row[6])
        for row in connection.execute(query)
    ]


def overridden(
    connection: sa.Connection, requests: Collection[tuple[ProjectId, int]]
) -> dict[tuple[ProjectId, int], list[frozenset[str]]]:
    """Fetch the rules that people have let pass at merge requests."""
    query = sa.select(_OVERRIDE.c.project_id, _OVERRIDE.c.merge_request_iid, _OVERRIDE.c.rules).where(
        _OVERRIDE.c.project_id.in_({project_id for project_id, _ in requests}),
        _OVERRIDE.c.merge_request_iid.in_({iid for _, iid in requests}),
    )
    found: dict[tuple[ProjectId, int], list[frozenset[str]]] = {}
    for project_id, iid, rules in connection.execute(query):
        found.setdefault((ProjectId(project_id), iid), []).append(frozenset(json.loads(rules)))
    return found


def new_aliases(
    connection: sa.Connection, project_ids: Sequence[ProjectId], *, since_ms: int, limit: int
) -> list[NewAlias]:
    """List the moves of models' aliases to a version since a time, the newest first."""
    last, before = _VERSION.alias("to_version"), _VERSION.alias("from_version")

    def of_event(version: sa.FromClause, number: sa.Column[int | None]) -> sa.ColumnElement[bool]:
        same = (version.c.project_id == _EVENT.c.project_id) & (version.c.model_id == _EVENT.c.model_id)
        return same & (version.c.number == number)

    promoted = (
        (_PROMOTION.c.project_id == _EVENT.c.project_id)
        & (_PROMOTION.c.model_id == _EVENT.c.model_id)
        & (_PROMOTION.c.pipeline_id == _EVENT.c.pipeline_id)
        & (_PROMOTION.c.number == _EVENT.c.to_number)
    )
    there = (_MODEL.c.project_id == _EVENT.c.project_id) & (_MODEL.c.id == _EVENT.c.model_id)
    query = (
        sa.select(
            _EVENT.c.project_id,
            _EVENT.c.id,
            _MODEL.c.name,
            _EVENT.c.alias,
            _EVENT.c.to_number,
            last.c.semver,
            before.c.semver,
            _EVENT.c.at_ms,
            _EVENT.c.user_name,
            _EVENT.c.pipeline_id,
            _EVENT.c.reason,
            _PROMOTION.c.merge_request_iid,
            _PROMOTION.c.reason,
        )
        .select_from(
            _EVENT.join(_MODEL, there)
            .outerjoin(last, of_event(last, _EVENT.c.to_number))
            .outerjoin(before, of_event(before, _EVENT.c.from_number))
            .outerjoin(_PROMOTION, promoted)
        )
        .where(_EVENT.c.project_id.in_(project_ids), _EVENT.c.at_ms >= since_ms, _EVENT.c.to_number.is_not(None))
        .where(~is_prompt())
        .order_by(_EVENT.c.at_ms.desc(), _EVENT.c.project_id, _EVENT.c.id.desc())
        .limit(limit)
    )
    return [NewAlias(ProjectId(number), *rest) for number, *rest in connection.execute(query)]
