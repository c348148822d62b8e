"""The datasets of a project, what used them, and what rests on that."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage, Status
from mltrail_server.store import schema
from mltrail_server.store.db.planner import unindexed
from mltrail_server.store.db.transaction import Transaction

_DATASET = schema.dataset
_LINK = schema.candidate_dataset
_TAG = schema.candidate_dataset_tag
_RUN = schema.candidate
_EXPERIMENT = schema.experiment
_MODEL = schema.model
_VERSION = schema.model_version
_TRACE = schema.candidate_trace

CONTEXT_TAG = "mlflow.data.context"


@dataclass(frozen=True, slots=True)
class ListedDataset:
    """A name with its newest digest; `id` is that of the newest row."""

    id: int
    name: str
    digest: str
    source_type: str
    digests: int


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """A name and digest in one experiment. Long texts are cut."""

    id: int
    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None
    profile: str | None


@dataclass(frozen=True, slots=True)
class UsingRun:
    """A run that used a dataset, and what for, such as `training`."""

    iid: int
    name: str
    experiment_iid: int
    experiment: str
    user_name: str
    status: Status
    status_reason: str | None
    started_ms: int
    context: str | None
    has_traces: bool


@dataclass(frozen=True, slots=True)
class RestingVersion:
    """A version whose run used a dataset."""

    model_id: int
    model: str
    number: int
    semver: str
    created_ms: int
    candidate_iid: int
    context: str | None


def listed(tx: Transaction, *, find: str, before: int | None, limit: int) -> list[ListedDataset]:
    """List datasets by name, the last added first; `before` is the `id` of the last one on the page before."""
    newest = sa.func.max(_DATASET.c.id)
    names = (
        sa.select(newest.label("id"), sa.func.count(sa.distinct(_DATASET.c.digest)).label("digests"))
        .where(_DATASET.c.project_id == tx.project_id)
        .group_by(_DATASET.c.name)
        .order_by(newest.desc())
        .limit(limit)
    )
    if find:
        names = names.where(_DATASET.c.name.icontains(find, autoescape=True))
    if before is not None:
        names = names.having(newest < before)
    last = names.subquery()
    columns = (_DATASET.c.id, _DATASET.c.name, _DATASET.c.digest, _DATASET.c.source_type, last.c.digests)
    query = sa.select(*columns).join(last, last.c.id == _DATASET.c.id).where(_DATASET.c.project_id == tx.project_id)
    return [ListedDataset(*row) for row in tx.execute(query.order_by(_DATASET.c.id.desc()))]


def of_digest(tx: Transaction, digest: str, *, longest: int, limit: int) -> list[DatasetRow]:
    """Fetch the rows with a digest: one for each name and experiment, the newest first."""
    return _rows(tx, _DATASET.c.digest == digest, longest=longest, limit=limit)


def of_name(tx: Transaction, name: str, *, longest: int, limit: int) -> list[DatasetRow]:
    """Fetch the rows with a name: one for each digest and experiment, the newest first."""
    return _rows(tx, _DATASET.c.name == name, longest=longest, limit=limit)


def by_id(tx: Transaction, number: int) -> DatasetRow | None:
    return next(iter(_rows(tx, _DATASET.c.id == number, longest=1, limit=1)), None)


def _rows(tx: Transaction, which: sa.ColumnElement[bool], *, longest: int, limit: int) -> list[DatasetRow]:
    cut = (sa.func.substr(_DATASET.c[name], 1, longest) for name in ("source", "schema", "profile"))
    query = (
        sa.select(_DATASET.c.id, _DATASET.c.name, _DATASET.c.digest, _DATASET.c.source_type, *cut)
        .where(_DATASET.c.project_id == tx.project_id, which)
        .order_by(_DATASET.c.id.desc())
        .limit(limit)
    )
    return [DatasetRow(*row) for row in tx.execute(query)]


def runs(tx: Transaction, dataset_ids: Sequence[int], *, limit: int) -> list[UsingRun]:
    """List the runs that used any of these, the newest first; once for each use."""
    has_traces = (
        sa.select(sa.literal(1))
        .where(_TRACE.c.project_id == _RUN.c.project_id, _TRACE.c.candidate_iid == _RUN.c.iid)
        .correlate(_RUN)
        .exists()
    )
    of_run = (_LINK.c.project_id == _RUN.c.project_id) & (_LINK.c.candidate_iid == _RUN.c.iid)
    inside = (_EXPERIMENT.c.project_id == _RUN.c.project_id) & (_EXPERIMENT.c.iid == _RUN.c.experiment_iid)
    columns = (_RUN.c.user_name, _RUN.c.status, _RUN.c.status_reason, _RUN.c.started_ms, _TAG.c.value)
    query = (
        sa.select(_RUN.c.iid, _RUN.c.name, _RUN.c.experiment_iid, _EXPERIMENT.c.name, *columns, has_traces)
        .select_from(_LINK.join(_RUN, of_run).join(_EXPERIMENT, inside).outerjoin(_TAG, _of_link()))
        .where(
            _LINK.c.project_id == tx.project_id,
            _LINK.c.dataset_id.in_(dataset_ids),
            _RUN.c.stage == Stage.ACTIVE,
        )
        .order_by(unindexed(_LINK.c.candidate_iid).desc())
        .limit(limit)
    )
    return [
        UsingRun(iid, name, experiment_iid, experiment, user, Status(status), reason, started_ms, context, bool(traces))
        for iid, name, experiment_iid, experiment, user, status, reason, started_ms, context, traces in tx.execute(
            query
        )
    ]


def versions(tx: Transaction, dataset_ids: Sequence[int], *, limit: int) -> list[RestingVersion]:
    """List the versions of models whose run used any of these, the newest first."""
    of_run = (_LINK.c.project_id == _VERSION.c.project_id) & (_LINK.c.candidate_iid == _VERSION.c.candidate_iid)
    of_model = (_MODEL.c.project_id == _VERSION.c.project_id) & (_MODEL.c.id == _VERSION.c.model_id)
    columns = (_VERSION.c.number, _VERSION.c.semver, _VERSION.c.created_ms, _VERSION.c.candidate_iid)
    query = (
        sa.select(_MODEL.c.id, _MODEL.c.name, *columns, _TAG.c.value)
        .select_from(_VERSION.join(_MODEL, of_model).join(_LINK, of_run).outerjoin(_TAG, _of_link()))
        .where(
            _VERSION.c.project_id == tx.project_id,
            _LINK.c.dataset_id.in_(dataset_ids),
            _VERSION.c.deleted_ms.is_(None),
        )
        .order_by(_VERSION.c.created_ms.desc(), _MODEL.c.name, _VERSION.c.number.desc())
        .limit(limit)
    )
    return [RestingVersion(*row) for row in tx.execute(query)]


def first_runs(tx: Transaction, dataset_ids: Iterable[int]) -> dict[int, int]:
    """Return the number of the first run that used each of these."""
    query = (
        sa.select(_LINK.c.dataset_id, sa.func.min(_LINK.c.candidate_iid))
        .where(_LINK.c.project_id == tx.project_id, _LINK.c.dataset_id.in_(list(dataset_ids)))
        .group_by(_LINK.c.dataset_id)
    )
    return dict(tuple(row) for row in tx.execute(query))


def _of_link() -> sa.ColumnElement[bool]:
    return (
        (_TAG.c.project_id == _LINK.c.project_id)
        & (_TAG.c.candidate_iid == _LINK.c.candidate_iid)
        & (_TAG.c.dataset_id == _LINK.c.dataset_id)
        & (_TAG.c.key == CONTEXT_TAG)
    )
