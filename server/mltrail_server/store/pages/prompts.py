"""Which runs and traces used the versions of a prompt."""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.prompts import LINKED_TAG
from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

_RUN = schema.candidate
_TAG = schema.candidate_tag
_USED = schema.trace_prompt


@dataclass(frozen=True, slots=True)
class LoadingRun:
    """A run that has loaded prompts; `linked` is what its client wrote about them, as JSON."""

    iid: int
    name: str
    linked: str


def runs(tx: Transaction, *, limit: int) -> list[LoadingRun]:
    """List the newest runs that have loaded any prompt."""
    query = (
        sa.select(_RUN.c.iid, _RUN.c.name, _TAG.c.value)
        .join(_TAG, sa.and_(_TAG.c.project_id == _RUN.c.project_id, _TAG.c.candidate_iid == _RUN.c.iid))
        .where(_RUN.c.project_id == tx.project_id, _TAG.c.key == LINKED_TAG, _RUN.c.stage == Stage.ACTIVE)
        .order_by(_RUN.c.iid.desc())
        .limit(limit)
    )
    return [LoadingRun(iid, name, value) for iid, name, value in tx.execute(query)]


def trace_counts(tx: Transaction, name: str, versions: Iterable[str]) -> dict[str, int]:
    """Count the traces that used each of these versions of a prompt."""
    query = (
        sa.select(_USED.c.version, sa.func.count().label("traces"))
        .where(_USED.c.project_id == tx.project_id, _USED.c.name == name, _USED.c.version.in_(sorted(versions)))
        .group_by(_USED.c.version)
    )
    return {row.version: row.traces for row in tx.execute(query)}
