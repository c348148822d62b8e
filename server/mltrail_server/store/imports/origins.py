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
