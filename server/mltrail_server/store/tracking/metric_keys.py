"""Metric names and their numbers: rows of metrics hold a small number instead of the name."""

from collections.abc import Collection, Iterable, Mapping
from threading import Lock

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import schema
from mltrail_server.store.db.statements import Statement, is_in
from mltrail_server.store.db.transaction import Transaction

_T = schema.metric_key
_NUMBERS = sa.select(_T.c.name, _T.c.id).where(
    _T.c.project_id == sa.bindparam("project_id"), _T.c.name.in_(sa.bindparam("names", expanding=True))
)
_NAMES = Statement(
    lambda dialect: sa.select(_T.c.id, _T.c.name).where(
        _T.c.project_id == sa.bindparam("project_id"), is_in(_T.c.id, "ids", dialect)
    )
)
_MOST_KNOWN = 100_000


class MetricKeyCache:
    """The numbers that one process has seen, so that a training loop does not look them up on every call.

    A number never changes and is never given to another name, so what is known stays true. Only committed numbers may
    be learnt: after a rollback a number is given out again.
    """

    def __init__(self) -> None:
        self._by_project: dict[ProjectId, dict[str, int]] = {}
        self._names: dict[ProjectId, dict[int, str]] = {}
        self._count = 0
        self._lock = Lock()

    def of(self, project_id: ProjectId) -> Mapping[str, int]:
        return self._by_project.get(project_id, {})

    def names_of(self, project_id: ProjectId) -> Mapping[int, str]:
        return self._names.get(project_id, {})

    def learn(self, project_id: ProjectId, numbers: Mapping[str, int]) -> None:
        """Remember numbers, once their transaction has been committed."""
        if numbers.keys() <= self.of(project_id).keys():
            return
        with self._lock:
            if self._count > _MOST_KNOWN:
                self._by_project, self._names, self._count = {}, {}, 0
            known = self._by_project.setdefault(project_id, {})
            before = len(known)
            known.update(numbers)
            self._names.setdefault(project_id, {}).update({number: name for name, number in numbers.items()})
            self._count += len(known) - before


def names_of(tx: Transaction, numbers: Collection[int], *, known: MetricKeyCache | None = None) -> Mapping[int, str]:
    """Look up the names of metrics by their numbers, if there are any that this process does not know. With `known`,
    must be called in a transaction that only reads.
    """
    if known is not None:
        names = known.names_of(tx.project_id)
        if names.keys() >= set(numbers):
            return names
    if not numbers:
        return {}
    found: dict[int, str] = dict(tx.all(_NAMES, ids=tx.listed(list(numbers))))
    if known is not None:
        known.learn(tx.project_id, {name: number for number, name in found.items()})
    return found


def find(tx: Transaction, names: Iterable[str]) -> dict[str, int]:
    """Look up the numbers of metric names; those that nobody has logged are left out."""
    rows = tx.execute(_NUMBERS, {"project_id": tx.project_id, "names": list(names)})
    return {name: number for name, number in rows}  # noqa: C416 - a row is no pair to mypy


def make(tx: Transaction, names: Iterable[str], *, known: Mapping[str, int]) -> dict[str, int]:
    """Look up the numbers of metric names, and give numbers to those that have none; `known` are not looked up."""
    found = {name: known[name] for name in names if name in known}
    unknown = [name for name in names if name not in known]
    if not unknown:
        return found
    found |= find(tx, unknown)
    missing = sorted(set(unknown) - found.keys())
    if missing:
        first = tx.next_number("metric_key", count=len(missing))
        rows = [{"project_id": tx.project_id, "id": first + place, "name": name} for place, name in enumerate(missing)]
        insert = tx.insert(_T)
        # Another process may have added some since: then its numbers count, and ours stay unused.
        tx.execute(insert.on_conflict_do_nothing(index_elements=[_T.c.project_id, _T.c.name]), rows)
        found |= find(tx, missing)
    return found
