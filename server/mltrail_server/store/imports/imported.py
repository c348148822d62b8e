"""What has been imported already, by its id at the source."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from mltrail_server.domain.transfer import Entity
from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

_T = schema.imported
_KEYS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Imported:
    """`here` is its number, id or name here. An empty `fingerprint` means that not all of it came over: it is tried
    again. `written` says what was written that may be changed here since.
    """

    here: str
    fingerprint: str
    counts: Mapping[Entity, int] = field(default_factory=dict)
    written: str = ""


def of(tx: Transaction, kind: Entity, keys: Sequence[str]) -> dict[str, Imported]:
    """Look up what has been imported of these; the others are left out."""
    found: dict[str, Imported] = {}
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        query = sa.select(_T.c.key, _T.c.here, _T.c.fingerprint, _T.c.counts, _T.c.written).where(
            _T.c.project_id == tx.project_id,
            _T.c.kind == kind.name,
            _T.c.key.in_(keys[start : start + _KEYS_AT_ONCE]),
        )
        for row in tx.execute(query):
            counts = {Entity[name]: count for name, count in json.loads(row.counts).items()}
            found[row.key] = Imported(row.here, row.fingerprint, counts, row.written or "")
    return found


def one(tx: Transaction, kind: Entity, key: str) -> Imported | None:
    return of(tx, kind, [key]).get(key)


def put(tx: Transaction, kind: Entity, origin_id: int, rows: Iterable[tuple[str, Imported]]) -> None:
    """Remember what has been imported. What was known of it before is replaced."""
    tx.upsert(
        _T,
        [
            {
                "project_id": tx.project_id,
                "kind": kind.name,
                "key": key,
                "origin_id": origin_id,
                "here": made.here,
                "fingerprint": made.fingerprint,
                "counts": json.dumps({entity.name: count for entity, count in made.counts.items() if count}),
                "written": made.written,
                "at_ms": tx.now,
            }
            for key, made in rows
        ],
        update=["origin_id", "here", "fingerprint", "counts", "written", "at_ms"],
    )
