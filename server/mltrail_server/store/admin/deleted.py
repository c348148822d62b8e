"""What was deleted and can still be restored: how much there is, and its removal for good."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.tracking import usage

_CANDIDATE, _EXPERIMENT, _LOGGED = schema.candidate, schema.experiment, schema.logged_model
_FILE, _BLOB, _METRIC = schema.file, schema.blob, schema.metric
_LINK, _PIPELINE, _REQUEST, _VERSION = (
    schema.candidate_job,
    schema.pipeline,
    schema.merge_request,
    schema.model_version,
)
_OF_CANDIDATE = (
    schema.metric,
    schema.latest_metric,
    schema.param,
    schema.candidate_tag,
    schema.candidate_dataset,
    schema.candidate_dataset_tag,
    schema.candidate_model,
    schema.candidate_job,
    schema.amendment,
    schema.candidate_trace,
)


@dataclass(frozen=True, slots=True)
class DeletedRun:
    """A deleted run. `rests` says what rests on it: version, baseline, review, or "" for nothing."""

    iid: int
    eid: str
    experiment_iid: int
    name: str
    rests: str


def used(tx: Transaction, name: str) -> int:
    """Return how much of what `usage` counts belongs to deleted things, and to files that will be removed anyway."""
    total: int = tx.execute(_USED[name](tx.project_id)).scalar_one()
    return total


def runs(tx: Transaction, *, before: int, eids: Sequence[str], experiments: Sequence[int]) -> list[DeletedRun]:
    """List the runs that were deleted before a time, by number: with these ids or in these experiments, or all."""
    where = [_deleted(tx.project_id), sa.func.coalesce(_CANDIDATE.c.deleted_ms, _CANDIDATE.c.created_ms) <= before]
    if eids:
        where.append(_CANDIDATE.c.eid.in_(eids))
    if experiments:
        where.append(_CANDIDATE.c.experiment_iid.in_(experiments))
    columns = (
        _CANDIDATE.c.iid,
        _CANDIDATE.c.eid,
        _CANDIDATE.c.experiment_iid,
        _CANDIDATE.c.name,
        _rests(tx.project_id),
    )
    query = sa.select(*columns).where(*where).order_by(_CANDIDATE.c.iid)
    return [DeletedRun(*row) for row in tx.execute(query)]


def logged_models(tx: Transaction, *, before: int) -> list[tuple[str, int]]:
    """List the logged models that were deleted before a time and became no version, with their experiments."""
    taken = sa.exists().where(_VERSION.c.project_id == tx.project_id, _VERSION.c.logged_model_id == _LOGGED.c.model_id)
    query = sa.select(_LOGGED.c.model_id, _LOGGED.c.experiment_iid).where(
        _LOGGED.c.project_id == tx.project_id, _LOGGED.c.stage == Stage.DELETED, _LOGGED.c.updated_ms <= before, ~taken
    )
    return [(row.model_id, row.experiment_iid) for row in tx.execute(query)]


def of_run(tx: Transaction, eid: str) -> list[tuple[str, int]]:
    """List the logged models that a run made and that became no version, with their experiments."""
    taken = sa.exists().where(_VERSION.c.project_id == tx.project_id, _VERSION.c.logged_model_id == _LOGGED.c.model_id)
    query = sa.select(_LOGGED.c.model_id, _LOGGED.c.experiment_iid).where(
        _LOGGED.c.project_id == tx.project_id, _LOGGED.c.source_eid == eid, ~taken
    )
    return [(row.model_id, row.experiment_iid) for row in tx.execute(query)]


def experiments(tx: Transaction, *, before: int, iids: Sequence[int]) -> list[tuple[int, str]]:
    """List number and name of the experiments that were deleted before a time and are empty."""
    where = [
        _EXPERIMENT.c.project_id == tx.project_id,
        _EXPERIMENT.c.stage == Stage.DELETED,
        _EXPERIMENT.c.updated_ms <= before,
        ~sa.exists().where(_CANDIDATE.c.project_id == tx.project_id, _CANDIDATE.c.experiment_iid == _EXPERIMENT.c.iid),
        ~sa.exists().where(_LOGGED.c.project_id == tx.project_id, _LOGGED.c.experiment_iid == _EXPERIMENT.c.iid),
    ]
    if iids:
        where.append(_EXPERIMENT.c.iid.in_(iids))
    query = sa.select(_EXPERIMENT.c.iid, _EXPERIMENT.c.name).where(*where).order_by(_EXPERIMENT.c.iid)
    return [(row.iid, row.name) for row in tx.execute(query)]


def hold(tx: Transaction, iid: int) -> bool:
    """Lock a deleted run until the transaction ends. False if it was restored in the meantime."""
    still = sa.select(_CANDIDATE.c.iid).where(_deleted(tx.project_id), _CANDIDATE.c.iid == iid).with_for_update()
    return tx.execute(still).scalar() is not None


def points_of(tx: Transaction, iid: int) -> int:
    """Count the metric values of a run, its amendments and its snapshot."""
    beside = (_CANDIDATE.c.iid, _CANDIDATE.c.amendment_iid, _CANDIDATE.c.snapshot_iid)
    query = sa.select(*beside).where(_CANDIDATE.c.project_id == tx.project_id, _CANDIDATE.c.iid == iid)
    numbers = [number for number in tx.execute(query).one() if number is not None]
    counting = sa.select(sa.func.count()).select_from(_METRIC)
    total: int = tx.execute(
        counting.where(_METRIC.c.project_id == tx.project_id, _METRIC.c.candidate_iid.in_(numbers))
    ).scalar_one()
    return total


def remove_run(tx: Transaction, run: DeletedRun, *, points: int) -> None:
    """Remove a run and all that was logged to it, and subtract it from the usage. Its files are not removed here."""
    for table in _OF_CANDIDATE:
        tx.execute(sa.delete(table).where(table.c.project_id == tx.project_id, table.c.candidate_iid == run.iid))
    measured = schema.logged_model_metric
    tx.execute(sa.delete(measured).where(measured.c.project_id == tx.project_id, measured.c.eid == run.eid))
    tx.execute(sa.delete(_CANDIDATE).where(_CANDIDATE.c.project_id == tx.project_id, _CANDIDATE.c.iid == run.iid))
    usage.add(tx, usage.CANDIDATES, -1)
    usage.add(tx, usage.POINTS, -points)


def remove_logged_model(tx: Transaction, model_id: str) -> None:
    for table in (
        schema.logged_model_tag,
        schema.logged_model_param,
        schema.logged_model_metric,
        schema.candidate_model,
        _LOGGED,
    ):
        tx.execute(sa.delete(table).where(table.c.project_id == tx.project_id, table.c.model_id == model_id))


def remove_experiment(tx: Transaction, iid: int) -> None:
    """Remove an experiment that has no runs, logged models and traces, with its scorers."""
    link = schema.evaluation_dataset_experiment
    tx.execute(sa.delete(link).where(link.c.project_id == tx.project_id, link.c.experiment_iid == iid))
    tx.execute(
        sa.delete(_EXPERIMENT).where(
            _EXPERIMENT.c.project_id == tx.project_id, _EXPERIMENT.c.iid == iid, _EXPERIMENT.c.stage == Stage.DELETED
        )
    )


def _deleted(project_id: ProjectId) -> sa.ColumnElement[bool]:
    return (_CANDIDATE.c.project_id == project_id) & (_CANDIDATE.c.stage == Stage.DELETED)


def _rests(project_id: ProjectId) -> sa.ColumnElement[str]:
    """Say what rests on a run: a version always prevents removal, a baseline or an open review unless forced."""
    links = (_LINK.c.project_id == project_id, _LINK.c.candidate_iid == _CANDIDATE.c.iid)
    of_pipeline = sa.and_(_PIPELINE.c.project_id == _LINK.c.project_id, _PIPELINE.c.id == _LINK.c.pipeline_id)
    of_request = sa.and_(
        _REQUEST.c.project_id == _PIPELINE.c.project_id, _REQUEST.c.iid == _PIPELINE.c.merge_request_iid
    )
    version = sa.exists().where(
        _VERSION.c.project_id == project_id,
        _VERSION.c.candidate_iid == _CANDIDATE.c.iid,
        _VERSION.c.deleted_ms.is_(None),
    )
    baseline = _exists(_LINK.join(_PIPELINE, of_pipeline), *links, _PIPELINE.c.on_default_branch.is_(sa.true()))
    review = _exists(
        _LINK.join(_PIPELINE, of_pipeline).join(_REQUEST, of_request), *links, _REQUEST.c.state == "opened"
    )
    return sa.case(
        (sa.or_(_CANDIDATE.c.promoted.is_(sa.true()), version), "version"),
        (sa.or_(_CANDIDATE.c.protected.is_(sa.true()), baseline), "baseline"),
        (review, "review"),
        else_="",
    )


def _exists(source: sa.FromClause, *where: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    return sa.select(sa.literal(1)).select_from(source).where(*where).correlate(_CANDIDATE).exists()


def _used_runs(project_id: ProjectId) -> sa.Select[Any]:
    return sa.select(sa.func.count()).select_from(_CANDIDATE).where(_deleted(project_id))


def _used_points(project_id: ProjectId) -> sa.Select[Any]:
    gone = sa.select(_CANDIDATE.c.iid).where(_deleted(project_id))
    return (
        sa.select(sa.func.count())
        .select_from(_METRIC)
        .where(_METRIC.c.project_id == project_id, _METRIC.c.candidate_iid.in_(gone))
    )


def _used_bytes(project_id: ProjectId) -> sa.Select[Any]:
    run_folder = sa.cast(_CANDIDATE.c.experiment_iid, sa.Text) + "/" + _CANDIDATE.c.eid + "/artifacts"
    model_folder = sa.cast(_LOGGED.c.experiment_iid, sa.Text) + "/models/" + _LOGGED.c.model_id + "/artifacts"
    source = _CANDIDATE.alias("source")
    made_by_deleted = sa.exists().where(
        source.c.project_id == project_id, source.c.eid == _LOGGED.c.source_eid, source.c.stage == Stage.DELETED
    )
    below = sa.union_all(
        sa.select(_FILE.c.blob_id)
        .join(_CANDIDATE, _below(run_folder))
        .where(_FILE.c.project_id == project_id, _deleted(project_id), _CANDIDATE.c.promoted.is_(sa.false())),
        sa.select(_FILE.c.blob_id)
        .join(_LOGGED, _below(model_folder))
        .where(
            _FILE.c.project_id == project_id,
            _LOGGED.c.project_id == project_id,
            sa.or_(_LOGGED.c.stage == Stage.DELETED, made_by_deleted),
        ),
    ).subquery()
    return sa.select(sa.cast(sa.func.coalesce(sa.func.sum(_BLOB.c.size), 0), sa.BigInteger)).where(
        _BLOB.c.project_id == project_id,
        sa.or_(_BLOB.c.unreferenced_ms.is_not(None), _BLOB.c.id.in_(sa.select(below.c.blob_id))),
    )


def _used_traces(project_id: ProjectId) -> sa.Select[Any]:
    """Count the traces of deleted experiments; what else is deleted of traces is gone at once."""
    trace = schema.trace
    gone = sa.select(_EXPERIMENT.c.iid).where(
        _EXPERIMENT.c.project_id == project_id, _EXPERIMENT.c.stage == Stage.DELETED
    )
    counting = sa.select(sa.func.count()).select_from(trace)
    return counting.where(trace.c.project_id == project_id, trace.c.experiment_iid.in_(gone))


def _below(folder: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    # A range of the key: "0" is the character after "/".
    return sa.and_(_FILE.c.path > folder + "/", _FILE.c.path < folder + "0")


_USED = {
    usage.CANDIDATES: _used_runs,
    usage.POINTS: _used_points,
    usage.TRACES: _used_traces,
    usage.BYTES: _used_bytes,
}
