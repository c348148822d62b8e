"""Pages of one metric's history, in MLflow's order: by time, step, value.

The key has the step first. As long as times never fall as steps rise, both orders are the same, and a page is a walk of
the key that costs the same however long the history is. Whoever adds values notes in `latest_metric` whether they can
have broken that order. Where they can have, the whole history is checked once, when its second page is read; it is
sorted for each page if they have.

Both ways take and make the same tokens, and a walk makes sure of the order in its own statement. So it does not matter
if a value is added between two pages, or while one is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import schema
from mltrail_server.store.db.statements import Statement
from mltrail_server.store.db.transaction import Transaction

from .metrics import Reading

_T, _LATEST, _KEY, _CANDIDATE = schema.metric, schema.latest_metric, schema.metric_key, schema.candidate
_PROJECT: sa.BindParameter[int] = sa.bindparam("project_id")
_NO_LIMIT = 2**62
_MOST_KNOWN = 100_000

Place = tuple[int, int, float, bool]
"""Timestamp, step, value, NaN or not."""


class HistoryOrders:
    """Which histories this process has checked: how often their order can have been broken before, and whether it was.

    What was in order stays so until the number grows, and what was not stays so for ever.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[ProjectId, int, int], tuple[int, bool]] = {}

    def __len__(self) -> int:
        return len(self._found)

    def of(self, history: "History") -> bool | None:
        if history.unordered_appends == 0:
            return True
        appends, in_order = self._found.get(history.key, (None, False))
        return in_order if appends == history.unordered_appends else None

    def learn(self, history: "History", *, in_order: bool) -> None:
        if len(self._found) >= _MOST_KNOWN:
            self._found = {}
        self._found[history.key] = history.unordered_appends, in_order


@dataclass(frozen=True, slots=True)
class History:
    """A metric of a candidate, by number; how often values were added that can have broken its order."""

    project_id: ProjectId
    candidate_iid: int
    key_id: int
    unordered_appends: int

    @property
    def key(self) -> tuple[ProjectId, int, int]:
        return self.project_id, self.candidate_iid, self.key_id


def known_order(tx: Transaction, eid: str, key: str, *, limit: int | None, after: Place | None) -> list[Reading]:
    """Fetch a page in one statement, which is the usual case: it is empty if others have written to the candidate too,
    if the history's order is not known, and if there are no values.
    """
    return _fetched(tx, _USUAL, limit, after, eid=eid, key=key, unordered_appends=0)


def page(
    tx: Transaction, candidate_iid: int, key: str, orders: HistoryOrders, *, limit: int | None, after: Place | None
) -> list[Reading]:
    """Fetch the values of a metric after the place `after`, or from the first one on."""
    row = tx.one(_FIND, candidate_iid=candidate_iid, key=key)
    if row is None:
        return []
    history = History(tx.project_id, candidate_iid, *row)
    numbers = {"candidate_iid": candidate_iid, "key_id": history.key_id}
    in_order = orders.of(history)
    if in_order is None and after is not None:
        in_order = tx.one(_FALL, **numbers) is None
        orders.learn(history, in_order=in_order)
    found: list[Reading] = []
    if in_order:
        found = _fetched(tx, _WALK, limit, after, **numbers, unordered_appends=history.unordered_appends)
    return found or _fetched(tx, _SORT, limit, after, **numbers)


def _fetched(
    tx: Transaction, which: tuple[Statement, Statement], limit: int | None, after: Place | None, **given: object
) -> list[Reading]:
    given["limit"] = _NO_LIMIT if limit is None else limit
    if after is None:
        return tx.all(which[0], **given)
    return tx.all(which[1], **given, **dict(zip(_AFTER, after, strict=True)))


_BY_TIME = (_T.c.timestamp_ms, _T.c.step, _T.c.value, _T.c.is_nan)
_BY_STEP = (_T.c.step, _T.c.timestamp_ms, _T.c.value, _T.c.is_nan)
_AFTER = ("after_ms", "after_step", "after_value", "after_nan")
_PLACE = {column: sa.bindparam(name, type_=column.type) for name, column in zip(_AFTER, _BY_TIME, strict=True)}


def _appends(candidate_iid: sa.ColumnElement[int], key_id: sa.ColumnElement[int]) -> sa.ScalarSelect[int]:
    return (
        sa.select(sa.func.coalesce(_LATEST.c.unordered_appends, 1))
        .where(_LATEST.c.project_id == _PROJECT, _LATEST.c.candidate_iid == candidate_iid, _LATEST.c.key_id == key_id)
        .scalar_subquery()
    )


def _both(
    candidate_iid: sa.ColumnElement[int],
    key_id: sa.ColumnElement[int],
    order: Sequence[sa.Column[Any]],
    *where: sa.ColumnElement[bool],
) -> tuple[Statement, Statement]:
    """Build the statements of the first page, and of a later one."""
    query = (
        sa.select(sa.case((~_T.c.is_nan, _T.c.value)), _T.c.timestamp_ms, _T.c.step)
        .where(_T.c.project_id == _PROJECT, _T.c.candidate_iid == candidate_iid, _T.c.key_id == key_id, *where)
        .order_by(*order)
        .limit(sa.bindparam("limit"))
    )
    later = query.where(sa.tuple_(*order) > sa.tuple_(*(_PLACE[column] for column in order)))
    return Statement(query, name="tracking.history_pages.first"), Statement(later, name="tracking.history_pages.later")


_IID = sa.bindparam("candidate_iid", type_=sa.BigInteger)
_ID = sa.bindparam("key_id", type_=sa.BigInteger)
_APPENDS = sa.bindparam("unordered_appends", type_=sa.BigInteger)
_IID_OF_EID = (
    sa.select(_CANDIDATE.c.iid)
    .where(
        _CANDIDATE.c.project_id == _PROJECT,
        _CANDIDATE.c.eid == sa.bindparam("eid"),
        _CANDIDATE.c.amendment_iid.is_(None),
    )
    .scalar_subquery()
)
_ID_OF_KEY = (
    sa.select(_KEY.c.id).where(_KEY.c.project_id == _PROJECT, _KEY.c.name == sa.bindparam("key")).scalar_subquery()
)
_USUAL = _both(_IID_OF_EID, _ID_OF_KEY, _BY_STEP, _appends(_IID_OF_EID, _ID_OF_KEY) == _APPENDS)
_WALK = _both(_IID, _ID, _BY_STEP, _appends(_IID, _ID) == _APPENDS)
_SORT = _both(_IID, _ID, _BY_TIME)
_FIND = Statement(
    sa.select(_KEY.c.id, sa.func.coalesce(_appends(_IID, _KEY.c.id), 1)).where(
        _KEY.c.project_id == _PROJECT, _KEY.c.name == sa.bindparam("key")
    )
)
_EACH = (
    sa.select(
        _T.c.timestamp_ms,
        sa.func.lag(_T.c.timestamp_ms).over(order_by=[_T.c.step, _T.c.timestamp_ms]).label("before_ms"),
    )
    .where(_T.c.project_id == _PROJECT, _T.c.candidate_iid == _IID, _T.c.key_id == _ID)
    .subquery()
)
_FALL = Statement(sa.select(sa.literal(1)).select_from(_EACH).where(_EACH.c.timestamp_ms < _EACH.c.before_ms).limit(1))
