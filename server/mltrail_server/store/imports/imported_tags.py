"""The tag of whatever was imported, on many things at once."""

import sqlalchemy as sa

from mltrail_server.domain.origins import IMPORTED_TAG
from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

NOT_BELIEVED = ("gitlab.verified", IMPORTED_TAG)
"""Tags that only this server can vouch for."""

_RUN, _VERSION, _TRACE = schema.candidate, schema.model_version, schema.trace
_RUN_TAG, _VERSION_TAG, _TRACE_TAG = schema.candidate_tag, schema.model_version_tag, schema.trace_tag


def put_on_all(tx: Transaction, origin_id: int, place: str) -> None:
    """Put the mark on all runs, versions and traces of an origin, and remove the tags that only this server may set.

    Seven statements, whatever their number.
    """
    for table in (_RUN_TAG, schema.own_tag, _VERSION_TAG, _TRACE_TAG):
        tx.execute(sa.delete(table).where(table.c.project_id == tx.project_id, table.c.key.in_(NOT_BELIEVED)))
    mark = (sa.literal(IMPORTED_TAG), sa.literal(place))
    for table, owner, columns, names in (
        (_RUN_TAG, _RUN, (_RUN.c.iid,), ("candidate_iid",)),
        (_VERSION_TAG, _VERSION, (_VERSION.c.model_id, _VERSION.c.number), ("model_id", "number")),
        (_TRACE_TAG, _TRACE, (_TRACE.c.id,), ("trace_id",)),
    ):
        rows = sa.select(owner.c.project_id, *columns, *mark).where(
            owner.c.project_id == tx.project_id, owner.c.origin_id == origin_id
        )
        tx.execute(sa.insert(table).from_select(["project_id", *names, "key", "value"], rows))
