"""Runs from elsewhere, several at a time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage, Status
from mltrail_server.store import schema
from mltrail_server.store.db.statements import Statement
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.tracking.inputs import Dataset, Direction

_T = schema.candidate
_DATASET = schema.dataset
_DATASET_LINK = schema.candidate_dataset
_DATASET_TAG = schema.candidate_dataset_tag
_MODEL_LINK = schema.candidate_model
_METRIC = schema.metric
_POINTS = Statement(
    sa.select(sa.func.count()).where(
        _METRIC.c.project_id == sa.bindparam("project_id"), _METRIC.c.candidate_iid == sa.bindparam("candidate_iid")
    )
)

DatasetKey = tuple[int, str, str]
"""Experiment, name and digest."""


@dataclass(frozen=True, slots=True)
class NewRun:
    """The row of a run. Times are milliseconds since the epoch; `elsewhere` is the URI of files that stay there."""

    iid: int
    eid: str
    experiment_iid: int
    name: str
    user_name: str
    status: Status
    stage: Stage
    started_ms: int
    ended_ms: int | None
    deleted_ms: int | None
    elsewhere: str | None


@dataclass(frozen=True, slots=True)
class RunHere:
    """What may have changed here of a run that was imported."""

    iid: int
    experiment_iid: int
    name: str
    status: Status
    stage: Stage
    ended_ms: int | None
    elsewhere: str | None


def add(tx: Transaction, runs: Sequence[NewRun], *, origin_id: int) -> None:
    """Add runs under their own ids, which must be free."""
    tx.upsert(
        _T,
        [
            {
                "project_id": tx.project_id,
                "iid": run.iid,
                "eid": run.eid,
                "experiment_iid": run.experiment_iid,
                "name": run.name,
                "user_name": run.user_name,
                "status": int(run.status),
                "stage": int(run.stage),
                "started_ms": run.started_ms,
                "ended_ms": run.ended_ms,
                "created_ms": tx.now,
                "deleted_ms": run.deleted_ms,
                "elsewhere": run.elsewhere,
                "origin_id": origin_id,
            }
            for run in runs
        ],
    )


def here(tx: Transaction, iids: Sequence[int]) -> dict[int, RunHere]:
    columns = (_T.c.iid, _T.c.experiment_iid, _T.c.name, _T.c.status, _T.c.stage, _T.c.ended_ms, _T.c.elsewhere)
    query = sa.select(*columns).where(_T.c.project_id == tx.project_id, _T.c.iid.in_(iids))
    return {
        row.iid: RunHere(
            row.iid, row.experiment_iid, row.name, Status(row.status), Stage(row.stage), row.ended_ms, row.elsewhere
        )
        for row in tx.execute(query)
    }


def iids_of(tx: Transaction, eids: Sequence[str]) -> dict[str, int]:
    """Look up which of these run ids exist here, however they came."""
    query = sa.select(_T.c.eid, _T.c.iid).where(_T.c.project_id == tx.project_id, _T.c.eid.in_(eids))
    return {row.eid: row.iid for row in tx.execute(query)}


def pairs(tx: Transaction, table: sa.Table, of_runs: Mapping[int, Mapping[str, str]]) -> None:
    """Add parameters or tags of several runs. Those that exist stay as they are."""
    tx.upsert(
        table,
        [
            {"project_id": tx.project_id, "candidate_iid": iid, "key": key, "value": value}
            for iid, one in of_runs.items()
            for key, value in one.items()
        ],
    )


def points_of(tx: Transaction, candidate_iid: int) -> int:
    """Count the points of a run."""
    row = tx.one(_POINTS, candidate_iid=candidate_iid)
    return int(row[0]) if row else 0


def add_datasets(
    tx: Transaction, uses: Sequence[tuple[int, int, Dataset]], *, known: dict[DatasetKey, int]
) -> dict[DatasetKey, int]:
    """Note which datasets runs have used: each use is the run, its experiment and the dataset. Returns the numbers of
    datasets that are not in `known`; they hold once the transaction is committed.
    """
    wanted = {(experiment, one.name, one.digest): one for _, experiment, one in uses}
    made = {key: _dataset(tx, key, one) for key, one in wanted.items() if key not in known}
    numbers = known | made
    links = []
    tags = []
    for iid, experiment, one in uses:
        owner = {
            "project_id": tx.project_id,
            "candidate_iid": iid,
            "dataset_id": numbers[experiment, one.name, one.digest],
        }
        links.append(owner)
        tags += [owner | {"key": key, "value": value} for key, value in dict(one.tags).items()]
    tx.upsert(_DATASET_LINK, {tuple(one.values()): one for one in links}.values())
    tx.upsert(_DATASET_TAG, {tuple(one.values())[:4]: one for one in tags}.values())
    return made


def add_models(tx: Transaction, links: Iterable[tuple[int, str, Direction, int]]) -> None:
    """Note which logged models runs have read or made: the run, the model, which of both, and at which step."""
    rows = {
        (iid, model_id, direction): {
            "project_id": tx.project_id,
            "candidate_iid": iid,
            "model_id": model_id,
            "direction": int(direction),
            "step": step,
        }
        for iid, model_id, direction, step in links
    }
    tx.upsert(_MODEL_LINK, rows.values())


def _dataset(tx: Transaction, key: DatasetKey, dataset: Dataset) -> int:
    experiment_iid, name, digest = key
    where = (
        _DATASET.c.project_id == tx.project_id,
        _DATASET.c.experiment_iid == experiment_iid,
        _DATASET.c.name == name,
        _DATASET.c.digest == digest,
    )
    query = sa.select(_DATASET.c.id).where(*where)
    found: int | None = tx.execute(query).scalar()
    if found is not None:
        return found
    values = {"id": tx.next_number("dataset"), "experiment_iid": experiment_iid, "name": name, "digest": digest}
    said = {name: getattr(dataset, name) for name in ("source_type", "source", "schema", "profile")}
    tx.execute(tx.insert(_DATASET).values(project_id=tx.project_id, **values, **said).on_conflict_do_nothing())
    made: int = tx.execute(query).scalar_one()
    return made
