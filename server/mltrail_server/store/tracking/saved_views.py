"""Named states of an experiment's page."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

_T = schema.saved_view
_COLUMNS = (
    _T.c.id,
    _T.c.experiment_iid,
    _T.c.name,
    _T.c.query,
    _T.c.created_by,
    _T.c.created_ms,
    _T.c.changed_by,
    _T.c.changed_ms,
)


@dataclass(frozen=True, slots=True)
class SavedView:
    """`query` is that of the page's address, without a question mark."""

    id: int
    experiment_iid: int
    name: str
    query: str
    created_by: str
    created_ms: int
    changed_by: str
    changed_ms: int


def count(tx: Transaction) -> int:
    """Count the views of the project."""
    return tx.execute(sa.select(sa.func.count()).select_from(_T).where(_T.c.project_id == tx.project_id)).scalar_one()


def of_experiments(tx: Transaction, experiment_iids: Sequence[int]) -> list[SavedView]:
    """List the views of some experiments, by name."""
    where = (_T.c.project_id == tx.project_id, _T.c.experiment_iid.in_(experiment_iids))
    query = sa.select(*_COLUMNS).where(*where).order_by(sa.func.lower(_T.c.name), _T.c.id)
    return [SavedView(*row) for row in tx.execute(query)]


def get(tx: Transaction, experiment_iid: int, number: int) -> SavedView | None:
    row = tx.execute(sa.select(*_COLUMNS).where(*_one(tx, experiment_iid, number))).first()
    return None if row is None else SavedView(*row)


def add(tx: Transaction, *, experiment_iid: int, name: str, query: str, user_name: str) -> int | None:
    """Insert a view and return its number, or None if the experiment has one of that name."""
    insert = tx.insert(_T).values(
        project_id=tx.project_id,
        id=tx.next_number("saved_view"),
        experiment_iid=experiment_iid,
        name=name,
        query=query,
        created_by=user_name,
        created_ms=tx.now,
        changed_by=user_name,
        changed_ms=tx.now,
    )
    insert = insert.on_conflict_do_nothing(index_elements=[_T.c.project_id, _T.c.experiment_iid, _T.c.name])
    made: int | None = tx.execute(insert.returning(_T.c.id)).scalar()
    return made


def has_name(tx: Transaction, experiment_iid: int, name: str) -> bool:
    where = (_T.c.project_id == tx.project_id, _T.c.experiment_iid == experiment_iid, _T.c.name == name)
    return tx.execute(sa.select(_T.c.id).where(*where)).scalar() is not None


def change(tx: Transaction, experiment_iid: int, number: int, *, user_name: str, **values: str) -> bool:
    """Overwrite the name or the query of a view, and return whether it existed."""
    update = sa.update(_T).where(*_one(tx, experiment_iid, number))
    done = tx.execute(update.values(**values, changed_by=user_name, changed_ms=tx.now))
    return done.rowcount > 0


def delete(tx: Transaction, experiment_iid: int, number: int) -> bool:
    """Remove a view, and return whether it existed."""
    return tx.execute(sa.delete(_T).where(*_one(tx, experiment_iid, number))).rowcount > 0


def _one(tx: Transaction, experiment_iid: int, number: int) -> tuple[sa.ColumnElement[bool], ...]:
    return (_T.c.project_id == tx.project_id, _T.c.experiment_iid == experiment_iid, _T.c.id == number)
