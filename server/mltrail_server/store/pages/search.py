"""Finding things by name or number in several projects: each function is one statement, whatever their number.

The projects are named by the caller, who has checked that the person may see them. Names are compared with each word
of a text, and what is found is ranked: the whole name, its beginning, the beginning of a word in it, anything else;
then by what is newest. Run names have no index, so only a project's newest runs are looked through (`Window`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage, Status
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.model import PROMPT_TAG
from mltrail_server.store import schema
from mltrail_server.store.schema import VALUE_START, is_indexed

_EXPERIMENT = schema.experiment
_RUN = schema.candidate
_MODEL = schema.model
_MODEL_TAG = schema.model_tag
_VERSION = schema.model_version
_ALIAS = schema.model_alias
_REQUEST = schema.merge_request
_DATASET = schema.dataset
_TAG = schema.candidate_tag
_LINK = schema.candidate_job
_PIPELINE = schema.pipeline

_SEPARATORS = " -_/.:@[("
_COMMIT_TAGS = ("gitlab.CI_COMMIT_SHA", "mlflow.source.git.commit")
_LAST = "g"  # sorts behind every hexadecimal digit


@dataclass(frozen=True, slots=True)
class Where:
    """The projects to look in, the one whose finds come first (0: none), and whether deleted things are found, too."""

    project_ids: Sequence[ProjectId]
    first: int = 0
    deleted: bool = False

    @property
    def stages(self) -> tuple[Stage, ...]:
        return (Stage.ACTIVE, Stage.DELETED) if self.deleted else (Stage.ACTIVE,)

    def holds(self, column: sa.Column[int]) -> sa.ColumnElement[bool]:
        return column.in_(self.project_ids)

    def order(self, column: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
        return sa.case((column == self.first, 0), else_=1)


@dataclass(frozen=True, slots=True)
class Window:
    """A project's runs whose number is greater than `after_iid`."""

    project_id: ProjectId
    after_iid: int


@dataclass(frozen=True, slots=True)
class FoundExperiment:
    project_id: ProjectId
    iid: int
    name: str
    updated_ms: int
    deleted: bool


@dataclass(frozen=True, slots=True)
class FoundRun:
    project_id: ProjectId
    iid: int
    name: str
    experiment_iid: int
    experiment: str
    user_name: str
    status: Status
    at_ms: int
    deleted: bool


@dataclass(frozen=True, slots=True)
class FoundModel:
    project_id: ProjectId
    name: str
    updated_ms: int
    is_prompt: bool


@dataclass(frozen=True, slots=True)
class FoundVersion:
    project_id: ProjectId
    model: str
    number: int
    semver: str
    created_ms: int


@dataclass(frozen=True, slots=True)
class FoundRequest:
    project_id: ProjectId
    iid: int
    title: str
    state: str
    source_branch: str


@dataclass(frozen=True, slots=True)
class FoundDataset:
    project_id: ProjectId
    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class FoundPipeline:
    project_id: ProjectId
    id: int
    ref: str
    sha: str
    merge_request_iid: int | None


def _like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _contains(column: sa.ColumnElement[str], text: str) -> sa.ColumnElement[bool]:
    return sa.and_(*(column.ilike(f"%{_like(word)}%", escape="\\") for word in text.split()))


def _rank(column: sa.ColumnElement[str], text: str) -> sa.ColumnElement[int]:
    begins = [f"%{_like(separator)}{_like(text)}%" for separator in _SEPARATORS]
    return sa.case(
        (column.ilike(_like(text), escape="\\"), 0),
        (column.ilike(f"{_like(text)}%", escape="\\"), 1),
        (sa.or_(*(column.ilike(pattern, escape="\\") for pattern in begins)), 2),
        else_=3,
    )


def experiments(connection: sa.Connection, where: Where, text: str, *, limit: int) -> list[FoundExperiment]:
    table = _EXPERIMENT.c
    query = (
        sa.select(table.project_id, table.iid, table.name, table.updated_ms, table.stage)
        .where(
            where.holds(table.project_id),
            table.stage.in_(where.stages),
            _contains(table.name, text),
            # GitLab's name for where a model's versions are: the model is found by its own.
            sa.true() if text.startswith("[") else ~table.name.like("[model]%"),
        )
        .order_by(where.order(table.project_id), _rank(table.name, text), table.updated_ms.desc(), table.iid.desc())
        .limit(limit)
    )
    return [
        FoundExperiment(ProjectId(row[0]), row[1], row[2], row[3], row[4] == Stage.DELETED)
        for row in connection.execute(query)
    ]


def runs(
    connection: sa.Connection, where: Where, windows: Sequence[Window], text: str, *, limit: int
) -> list[FoundRun]:
    """Find runs by name among those of the windows."""
    if not windows:
        return []
    parts = [
        sa.select(_RUN.c.project_id, _RUN.c.iid, _RUN.c.name, _RUN.c.created_ms).where(
            _RUN.c.project_id == one.project_id,
            _RUN.c.iid > one.after_iid,
            _RUN.c.stage.in_(where.stages),
            _contains(_RUN.c.name, text),
        )
        for one in windows
    ]
    some = (sa.union_all(*parts) if len(parts) > 1 else parts[0]).subquery()
    order = (where.order(some.c.project_id), _rank(some.c.name, text), some.c.created_ms.desc(), some.c.iid.desc())
    # A run of a deleted experiment is left out below, so there may be fewer.
    best = sa.select(some.c.project_id, some.c.iid).order_by(*order).limit(2 * limit).subquery()
    query = (
        _run_columns()
        .join(best, (best.c.project_id == _RUN.c.project_id) & (best.c.iid == _RUN.c.iid))
        .where(where.holds(_RUN.c.project_id), _EXPERIMENT.c.stage.in_(where.stages))
        .order_by(where.order(_RUN.c.project_id), _rank(_RUN.c.name, text), _RUN.c.created_ms.desc(), _RUN.c.iid.desc())
        .limit(limit)
    )
    return _read_runs(connection, query)


def runs_by_id(connection: sa.Connection, where: Where, prefix: str, *, limit: int) -> list[FoundRun]:
    """Find runs whose MLflow run id begins with some hexadecimal digits."""
    query = _run_columns().where(
        where.holds(_RUN.c.project_id),
        _RUN.c.eid >= prefix,
        _RUN.c.eid < prefix + _LAST,
        _RUN.c.stage.in_(where.stages),
    )
    return _read_runs(connection, query.order_by(where.order(_RUN.c.project_id), _RUN.c.eid).limit(limit))


def runs_by_commit(connection: sa.Connection, where: Where, prefix: str, *, limit: int) -> list[FoundRun]:
    """Find runs of a commit whose SHA begins with some hexadecimal digits."""
    start = prefix[:VALUE_START]
    query = (
        _run_columns()
        .join(_TAG, (_TAG.c.project_id == _RUN.c.project_id) & (_TAG.c.candidate_iid == _RUN.c.iid))
        .where(
            where.holds(_TAG.c.project_id),
            _TAG.c.key.in_(_COMMIT_TAGS),
            is_indexed(_TAG),
            _TAG.c.value_start >= start,
            _TAG.c.value_start < start + _LAST,
            _TAG.c.value >= prefix,
            _TAG.c.value < prefix + _LAST,
            _RUN.c.stage.in_(where.stages),
        )
        .distinct()
    )
    return _read_runs(connection, query.order_by(_RUN.c.created_ms.desc(), _RUN.c.iid.desc()).limit(limit))


def runs_by_pipeline(connection: sa.Connection, where: Where, pipeline_id: int, *, limit: int) -> list[FoundRun]:
    query = (
        _run_columns()
        .join(_LINK, (_LINK.c.project_id == _RUN.c.project_id) & (_LINK.c.candidate_iid == _RUN.c.iid))
        .where(where.holds(_LINK.c.project_id), _LINK.c.pipeline_id == pipeline_id, _RUN.c.stage.in_(where.stages))
        .distinct()
    )
    return _read_runs(connection, query.order_by(_RUN.c.created_ms.desc(), _RUN.c.iid.desc()).limit(limit))


def _run_columns() -> sa.Select[Any]:
    names = ("project_id", "iid", "name", "experiment_iid", "user_name", "status", "created_ms", "stage")
    of_run = (_EXPERIMENT.c.project_id == _RUN.c.project_id) & (_EXPERIMENT.c.iid == _RUN.c.experiment_iid)
    columns = (_RUN.c[name] for name in names)
    return sa.select(*columns, _EXPERIMENT.c.name.label("experiment"), _RUN.c.eid).join(_EXPERIMENT, of_run)


def _read_runs(connection: sa.Connection, query: sa.Select[Any]) -> list[FoundRun]:
    return [
        FoundRun(
            ProjectId(row.project_id),
            row.iid,
            row.name,
            row.experiment_iid,
            row.experiment,
            row.user_name,
            Status(row.status),
            row.created_ms,
            row.stage == Stage.DELETED,
        )
        for row in connection.execute(query)
    ]


def models(connection: sa.Connection, where: Where, text: str, *, limit: int) -> list[FoundModel]:
    """Find models and prompts by name."""
    of_model = (_MODEL_TAG.c.project_id == _MODEL.c.project_id) & (_MODEL_TAG.c.model_id == _MODEL.c.id)
    tagged = of_model & (_MODEL_TAG.c.key == PROMPT_TAG) & (_MODEL_TAG.c.value == "true")
    table = _MODEL.c
    query = (
        sa.select(table.project_id, table.name, table.updated_ms, _MODEL_TAG.c.key)
        .outerjoin(_MODEL_TAG, tagged)
        .where(where.holds(table.project_id), _contains(table.name, text))
        .order_by(where.order(table.project_id), _rank(table.name, text), table.updated_ms.desc(), table.id.desc())
        .limit(limit)
    )
    return [FoundModel(ProjectId(row[0]), row[1], row[2], row[3] is not None) for row in connection.execute(query)]


def versions(connection: sa.Connection, where: Where, model: str, version: str, *, limit: int) -> list[FoundVersion]:
    """Find versions of models whose name contains a text, by the beginning of their semver, by number or by alias."""
    same = (_VERSION.c.project_id == _MODEL.c.project_id) & (_VERSION.c.model_id == _MODEL.c.id)
    pointed = (
        sa.select(sa.literal(1))
        .where(
            _ALIAS.c.project_id == _VERSION.c.project_id,
            _ALIAS.c.model_id == _VERSION.c.model_id,
            _ALIAS.c.number == _VERSION.c.number,
            _ALIAS.c.alias == version,
        )
        .correlate(_VERSION)
        .exists()
    )
    meant = [_VERSION.c.semver == version, _VERSION.c.semver.like(f"{_like(version)}.%", escape="\\"), pointed]
    if version.isascii() and version.isdecimal() and len(version) < 18:
        meant.append(_VERSION.c.number == int(version))
    query = (
        sa.select(_MODEL.c.project_id, _MODEL.c.name, _VERSION.c.number, _VERSION.c.semver, _VERSION.c.created_ms)
        .join(_VERSION, same)
        .where(
            where.holds(_MODEL.c.project_id),
            _contains(_MODEL.c.name, model),
            _VERSION.c.deleted_ms.is_(None),
            sa.or_(*meant),
        )
        .order_by(
            where.order(_MODEL.c.project_id),
            _rank(_MODEL.c.name, model),
            _VERSION.c.created_ms.desc(),
            _VERSION.c.number.desc(),
        )
        .limit(limit)
    )
    return [FoundVersion(ProjectId(row[0]), *row[1:]) for row in connection.execute(query)]


def merge_requests(connection: sa.Connection, where: Where, text: str, *, limit: int) -> list[FoundRequest]:
    """Find merge requests by title or branch. `where` must name projects only whose merge requests may be seen."""
    table = _REQUEST.c
    matching = sa.or_(_contains(table.title, text), _contains(table.source_branch, text))
    return _requests(connection, where, matching, _rank(table.title, text), limit=limit)


def merge_requests_by_iid(connection: sa.Connection, where: Where, iid: int, *, limit: int) -> list[FoundRequest]:
    """Find the merge requests with this number, under the same condition."""
    return _requests(connection, where, _REQUEST.c.iid == iid, limit=limit)


def _requests(
    connection: sa.Connection,
    where: Where,
    matching: sa.ColumnElement[bool],
    *order: sa.ColumnElement[int],
    limit: int,
) -> list[FoundRequest]:
    table = _REQUEST.c
    query = (
        sa.select(table.project_id, table.iid, table.title, table.state, table.source_branch)
        .where(where.holds(table.project_id), matching)
        .order_by(where.order(table.project_id), *order, table.refreshed_ms.desc(), table.iid.desc())
        .limit(limit)
    )
    return [FoundRequest(ProjectId(row[0]), *row[1:]) for row in connection.execute(query)]


def datasets(connection: sa.Connection, where: Where, text: str, *, limit: int) -> list[FoundDataset]:
    """Find datasets by name or by the beginning of their digest."""
    table = _DATASET.c
    by_digest = table.digest.like(f"{_like(text)}%", escape="\\")
    newest = sa.func.max(table.id)
    query = (
        sa.select(table.project_id, table.name, table.digest)
        .where(where.holds(table.project_id), sa.or_(_contains(table.name, text), by_digest))
        .group_by(table.project_id, table.name, table.digest)
        .order_by(where.order(table.project_id), _rank(table.name, text), newest.desc(), table.digest)
        .limit(limit)
    )
    return [FoundDataset(ProjectId(row[0]), *row[1:]) for row in connection.execute(query)]


def pipelines(connection: sa.Connection, where: Where, pipeline_id: int) -> list[FoundPipeline]:
    table = _PIPELINE.c
    query = sa.select(table.project_id, table.id, table.ref, table.sha, table.merge_request_iid).where(
        where.holds(table.project_id), table.id == pipeline_id
    )
    return [FoundPipeline(ProjectId(row[0]), *row[1:]) for row in connection.execute(query)]
