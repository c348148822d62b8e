"""The places that histories were imported from."""

from collections.abc import Iterable

import sqlalchemy as sa

from mltrail_server.domain.origins import Origin
from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

_T = schema.origin
_COLUMNS = (_T.c.id, _T.c.kind, _T.c.address, _T.c.description, _T.c.first_ms, _T.c.last_ms)


def get(tx: Transaction, origin_id: int | None) -> Origin | None:
    """Find the origin of something. No statement for what was made here."""
    return None if origin_id is None else of(tx, [origin_id]).get(origin_id)


def of(tx: Transaction, origin_ids: Iterable[int | None]) -> dict[int, Origin]:
    """Fetch origins by number. No statement if there are none: what was made here has None."""
    wanted = sorted({one for one in origin_ids if one is not None})
    if not wanted:
        return {}
    query = sa.select(*_COLUMNS).where(_T.c.project_id == tx.project_id, _T.c.id.in_(wanted))
    return {row.id: Origin(*row) for row in tx.execute(query)}


def any_in(tx: Transaction) -> bool:
    """Return whether anything was ever imported into the project."""
    query = sa.select(sa.literal(1)).where(_T.c.project_id == tx.project_id).limit(1)
    return tx.execute(query).scalar() is not None


def begin(tx: Transaction, *, kind: str, address: str, description: str) -> int:
    """Note that an import from a place begins, and return the place's number in the project."""
    where = (_T.c.project_id == tx.project_id, _T.c.kind == kind, _T.c.address == address)
    found: int | None = tx.execute(sa.select(_T.c.id).where(*where)).scalar()
    if found is not None:
        tx.execute(sa.update(_T).where(*where).values(description=description, last_ms=tx.now))
        return found
    number = tx.next_number("origin")
    values = {"kind": kind, "address": address, "description": description}
    times = {"first_ms": tx.now, "last_ms": tx.now}
    tx.execute(sa.insert(_T).values(project_id=tx.project_id, id=number, **values, **times))
    return number


def end(tx: Transaction, origin_id: int, *, report: str) -> None:
    """Note that an import has ended, and its report as JSON."""
    where = (_T.c.project_id == tx.project_id, _T.c.id == origin_id)
    tx.execute(sa.update(_T).where(*where).values(report=report, last_ms=tx.now))
