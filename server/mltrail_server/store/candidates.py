"""Candidates: MLflow's runs."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage, Status
from mltrail_server.domain.ids import ProjectId

from . import schema
from .prepared import Given, Prepared, Tuple
from .sql import Row, next_number

_T = schema.candidate


@dataclass(frozen=True, slots=True)
class Candidate:
    """One candidate; times are milliseconds since the epoch."""

    iid: int
    eid: str
    experiment_iid: int
    name: str
    user_name: str
    status: Status
    stage: Stage
    started_ms: int
    ended_ms: int | None
    amended: bool
    status_reason: str | None
    promoted: bool = False  # a promoted version rests on it
    detached_until_ms: int | None = None  # it outlives its job, until then
    elsewhere: str | None = None  # the URI of its files, where clients put them by themselves


COLUMNS = (
    _T.c.iid,
    _T.c.eid,
    _T.c.experiment_iid,
    _T.c.name,
    _T.c.user_name,
    _T.c.status,
    _T.c.stage,
    _T.c.started_ms,
    _T.c.ended_ms,
    _T.c.amended,
    _T.c.status_reason,
    _T.c.promoted,
    _T.c.detached_until_ms,
    _T.c.elsewhere,
)

_IN_PROJECT = sa.select(*COLUMNS).where(_T.c.project_id == sa.bindparam("project_id"))
_OF_EID = _IN_PROJECT.where(_T.c.eid == sa.bindparam("eid"))
_BY_EID = Prepared(_OF_EID)
_BY_EID_TO_WRITE = Prepared(_OF_EID.with_for_update(key_share=True))
_BY_IID = Prepared(_IN_PROJECT.where(_T.c.iid == sa.bindparam("iid")))
_NEW = (
    "project_id",
    "iid",
    "eid",
    "experiment_iid",
    "name",
    "user_name",
    "status",
    "stage",
    "started_ms",
    "created_ms",
    "amended",
    "promoted",
    "elsewhere",
)
_INSERT = Prepared(sa.insert(_T), columns=_NEW)


def create(  # noqa: PLR0913 - the columns of a new row, each by its name
    connection: sa.Connection,
    project_id: ProjectId,
    *,
    eid: str,
    experiment_iid: int,
    name: str,
    user_name: str,
    started_ms: int,
    now: int,
    elsewhere: str | None = None,
) -> Candidate:
    """Insert a running candidate, and give it the next number in the project."""
    iid = next_number(connection, project_id, "candidate")
    values = {
        "project_id": project_id,
        "iid": iid,
        "eid": eid,
        "experiment_iid": experiment_iid,
        "name": name,
        "user_name": user_name,
        "status": Status.RUNNING,
        "stage": Stage.ACTIVE,
        "started_ms": started_ms,
        "created_ms": now,
        "amended": False,
        "promoted": False,
        "elsewhere": elsewhere,
    }
    _INSERT.run(connection, values)
    running = (Status.RUNNING, Stage.ACTIVE)
    return Candidate(
        iid, eid, experiment_iid, name, user_name, *running, started_ms, None, False, None, elsewhere=elsewhere
    )


def get(connection: sa.Connection, project_id: ProjectId, eid: str) -> Candidate | None:
    return _one(connection, _BY_EID, {"project_id": project_id, "eid": eid})


def get_to_write(connection: sa.Connection, project_id: ProjectId, eid: str) -> Candidate | None:
    """Find a candidate and let no other transaction write to it until this one ends.

    On PostgreSQL, batches to one candidate would else wait for each other's rows in different orders, and two different
    values of one parameter would both be told stored. On SQLite a write has the whole database anyway.
    """
    return _one(connection, _BY_EID_TO_WRITE, {"project_id": project_id, "eid": eid})


def get_by_iid(connection: sa.Connection, project_id: ProjectId, iid: int) -> Candidate | None:
    return _one(connection, _BY_IID, {"project_id": project_id, "iid": iid})


def of_iids(connection: sa.Connection, project_id: ProjectId, iids: list[int]) -> list[Candidate]:
    query = sa.select(*COLUMNS).where(_T.c.project_id == project_id, _T.c.iid.in_(iids)).order_by(_T.c.iid)
    return [candidate_of(row) for row in connection.execute(query)]


def iids_of(connection: sa.Connection, project_id: ProjectId, eids: Sequence[str]) -> dict[int, str]:
    """Look up the numbers of candidates by their MLflow run ids; those that are not there are left out."""
    query = sa.select(_T.c.iid, _T.c.eid).where(_T.c.project_id == project_id, _T.c.eid.in_(eids)).order_by(_T.c.iid)
    return {row.iid: row.eid for row in connection.execute(query)}


def has_ended(connection: sa.Connection, project_id: ProjectId, iid: int) -> bool:
    status = sa.select(_T.c.status).where(_T.c.project_id == project_id, _T.c.iid == iid)
    return Status(connection.execute(status).scalar_one()).ended


def change(connection: sa.Connection, project_id: ProjectId, iid: int, **values: object) -> None:
    """Overwrite columns of one candidate."""
    if values:
        where = (_T.c.project_id == project_id, _T.c.iid == iid)
        connection.execute(sa.update(_T).where(*where).values(**values))


def candidate_of(row: Row | Tuple) -> Candidate:
    """Make a candidate of a row with `COLUMNS`, and perhaps more after them."""
    iid, eid, experiment_iid, name, user_name, status, stage, *rest = row[: len(COLUMNS)]
    started_ms, ended_ms, amended, reason, promoted, detached_until_ms, elsewhere = rest
    return Candidate(
        iid,
        eid,
        experiment_iid,
        name,
        user_name,
        Status(status),
        Stage(stage),
        started_ms,
        ended_ms,
        bool(amended),
        reason,
        bool(promoted),
        detached_until_ms,
        elsewhere,
    )


def _one(connection: sa.Connection, query: Prepared, given: Given) -> Candidate | None:
    row = query.one(connection, given)
    return None if row is None else candidate_of(row)
