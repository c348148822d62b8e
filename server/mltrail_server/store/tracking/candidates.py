"""Candidates, which MLflow calls runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage, Status
from mltrail_server.store import schema
from mltrail_server.store.db.statements import Row, Statement, Tuple
from mltrail_server.store.db.transaction import Transaction

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
    status_reason: str | None
    promoted: bool = False  # a promoted version is based on it
    detached_until_ms: int | None = None  # it outlives its job until then
    elsewhere: str | None = None  # the URI of its files if clients store them elsewhere
    amendment_iid: int | None = None  # the number of what others have written
    snapshot_iid: int | None = None  # the number of what it was before a job that came later
    protected: bool | None = None  # made on a protected branch or tag; None if no job's token has said
    discarded: bool = False  # deleted by the very job that made it
    experiment_name: str | None = None  # its experiment's name at the time, if that was renamed since
    origin_id: int | None = None  # where it was imported from; None if it was logged here

    @property
    def amended(self) -> bool:
        """Return whether anyone but its own jobs has written to it."""
        return self.amendment_iid is not None


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
    _T.c.status_reason,
    _T.c.promoted,
    _T.c.detached_until_ms,
    _T.c.elsewhere,
    _T.c.amendment_iid,
    _T.c.snapshot_iid,
    _T.c.protected,
    _T.c.discarded,
    _T.c.experiment_name,
    _T.c.origin_id,
)

_IN_PROJECT = sa.select(*COLUMNS).where(_T.c.project_id == sa.bindparam("project_id"))
_OF_EID = _IN_PROJECT.where(_T.c.eid == sa.bindparam("eid"))
_BY_EID = Statement(_OF_EID)
BY_EID_TO_WRITE = Statement(_OF_EID.with_for_update(key_share=True))
_BY_IID = Statement(_IN_PROJECT.where(_T.c.iid == sa.bindparam("iid")))
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
    "promoted",
    "elsewhere",
    "protected",
    "discarded",
)
_INSERT = Statement(sa.insert(_T), columns=_NEW)


def create(  # noqa: PLR0913 - the columns of a row, each by its name
    tx: Transaction,
    *,
    eid: str,
    experiment_iid: int,
    name: str,
    user_name: str,
    started_ms: int,
    elsewhere: str | None = None,
    protected: bool | None = None,
) -> Candidate:
    """Insert a running candidate, and give it the next number in the project."""
    iid = tx.next_number("candidate")
    values = {
        "iid": iid,
        "eid": eid,
        "experiment_iid": experiment_iid,
        "name": name,
        "user_name": user_name,
        "status": Status.RUNNING,
        "stage": Stage.ACTIVE,
        "started_ms": started_ms,
        "created_ms": tx.now,
        "promoted": False,
        "elsewhere": elsewhere,
        "protected": protected,
        "discarded": False,
    }
    tx.run(_INSERT, **values)
    return running(
        iid,
        eid=eid,
        experiment_iid=experiment_iid,
        name=name,
        user_name=user_name,
        started_ms=started_ms,
        elsewhere=elsewhere,
        protected=protected,
    )


def running(  # noqa: PLR0913 - the columns of a row, each by its name
    iid: int,
    *,
    eid: str,
    experiment_iid: int,
    name: str,
    user_name: str,
    started_ms: int,
    elsewhere: str | None,
    protected: bool | None,
) -> Candidate:
    """Return a candidate that has just been created."""
    return Candidate(
        iid,
        eid,
        experiment_iid,
        name,
        user_name,
        Status.RUNNING,
        Stage.ACTIVE,
        started_ms,
        ended_ms=None,
        status_reason=None,
        elsewhere=elsewhere,
        protected=protected,
    )


def get(tx: Transaction, eid: str) -> Candidate | None:
    return _one(tx, _BY_EID, eid=eid)


def get_to_write(tx: Transaction, eid: str) -> Candidate | None:
    """Find a candidate and let no other transaction write to it until this one ends.

    Otherwise, on PostgreSQL, batches to one candidate would wait for each other's rows in different orders, and two
    different values of one parameter would both be reported as stored. On SQLite a write has the whole database anyway.
    """
    return _one(tx, BY_EID_TO_WRITE, eid=eid)


def get_by_iid(tx: Transaction, iid: int) -> Candidate | None:
    return _one(tx, _BY_IID, iid=iid)


def of_iids(tx: Transaction, iids: list[int]) -> list[Candidate]:
    query = sa.select(*COLUMNS).where(_T.c.project_id == tx.project_id, _T.c.iid.in_(iids)).order_by(_T.c.iid)
    return [candidate_of(row) for row in tx.execute(query)]


def iids_of(tx: Transaction, eids: Sequence[str]) -> dict[int, str]:
    """Look up the numbers of candidates by their MLflow run ids; those that do not exist are left out."""
    query = sa.select(_T.c.iid, _T.c.eid).where(_T.c.project_id == tx.project_id, _T.c.eid.in_(eids)).order_by(_T.c.iid)
    return {row.iid: row.eid for row in tx.execute(query)}


def amended_of(tx: Transaction, eids: Sequence[str]) -> dict[int, int]:
    """Look up which candidates others have written to, by MLflow run ids: their numbers, and the amendments'."""
    query = sa.select(_T.c.iid, _T.c.amendment_iid).where(
        _T.c.project_id == tx.project_id, _T.c.eid.in_(eids), _T.c.amendment_iid.is_not(None)
    )
    return {row.iid: row.amendment_iid for row in tx.execute(query)}


def deleted_ms(tx: Transaction, iid: int) -> int | None:
    """Look up when a candidate was deleted; None if it was not, or if the time was not recorded."""
    query = sa.select(_T.c.deleted_ms).where(_T.c.project_id == tx.project_id, _T.c.iid == iid)
    found: int | None = tx.execute(query).scalar()
    return found


def any_imported_in(tx: Transaction, experiment_iid: int) -> bool:
    """Return whether an experiment holds a candidate that was imported."""
    where = (_T.c.project_id == tx.project_id, _T.c.experiment_iid == experiment_iid, _T.c.origin_id.is_not(None))
    return tx.execute(sa.select(sa.literal(1)).where(*where).limit(1)).scalar() is not None


def change(tx: Transaction, iid: int, **values: object) -> Candidate | None:
    """Overwrite columns of one candidate, and return what it is then; None if there are no values."""
    if not values:
        return None
    return _one(tx, _changing(tuple(values)), iid=iid, **values)


@cache
def _changing(columns: tuple[str, ...]) -> Statement:
    """Build the statement that overwrites some columns; there are a dozen combinations."""
    where = (_T.c.project_id == sa.bindparam("project_id"), _T.c.iid == sa.bindparam("iid"))
    new = {name: sa.bindparam(name, type_=_T.c[name].type) for name in columns}
    return Statement(sa.update(_T).where(*where).values(new).returning(*COLUMNS), name="tracking.candidates.change")


def candidate_of(row: Row | Tuple) -> Candidate:
    """Make a candidate from a row with `COLUMNS`, and perhaps more after them."""
    iid, eid, experiment_iid, name, user_name, status, stage, *rest = row[: len(COLUMNS)]
    started_ms, ended_ms, reason, promoted, detached_until_ms, elsewhere, amendment_iid, snapshot_iid, *rest = rest
    protected, discarded, experiment_name, origin_id = rest
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
        reason,
        bool(promoted),
        detached_until_ms,
        elsewhere,
        amendment_iid,
        snapshot_iid,
        None if protected is None else bool(protected),
        bool(discarded),
        experiment_name,
        origin_id,
    )


def _one(tx: Transaction, query: Statement, **given: object) -> Candidate | None:
    row = tx.one(query, **given)
    return None if row is None else candidate_of(row)
