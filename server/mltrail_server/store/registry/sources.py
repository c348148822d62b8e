"""What a model version's source is checked against: logged models and files."""

from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage
from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

_MODEL = schema.logged_model
_FILE = schema.file


@dataclass(frozen=True, slots=True)
class SourceModel:
    model_id: str
    experiment_iid: int
    source_eid: str  # "" when no candidate made it
    beside: bool = False  # logged to the candidate by somebody other than its own jobs
    elsewhere: str | None = None  # the URI of its files if clients store them elsewhere


def logged_model(tx: Transaction, model_id: str) -> SourceModel | None:
    return _one(tx, _MODEL.c.model_id == model_id)


def logged_model_of_run(tx: Transaction, eid: str, name: str) -> SourceModel | None:
    """Find the newest model that a candidate logged under a name; one logged by others only if it has none itself."""
    return _one(tx, sa.and_(_MODEL.c.source_eid == eid, _MODEL.c.name == name))


def has_files(tx: Transaction, folder: str) -> bool:
    # A range of the key: "0" is the character after "/".
    inside = (_FILE.c.path > f"{folder}/", _FILE.c.path < f"{folder}0")
    query = sa.select(sa.literal(1)).select_from(_FILE).where(_FILE.c.project_id == tx.project_id, *inside).limit(1)
    return tx.execute(query).scalar() is not None


def _one(tx: Transaction, which: sa.ColumnElement[bool]) -> SourceModel | None:
    query = (
        sa.select(*(_MODEL.c[name] for name in ("model_id", "experiment_iid", "source_eid", "beside", "elsewhere")))
        .where(_MODEL.c.project_id == tx.project_id, _MODEL.c.stage == Stage.ACTIVE, which)
        .order_by(_MODEL.c.beside, _MODEL.c.created_ms.desc(), _MODEL.c.model_id)
        .limit(1)
    )
    row = tx.execute(query).one_or_none()
    if row is None:
        return None
    return SourceModel(row.model_id, row.experiment_iid, row.source_eid, bool(row.beside), row.elsewhere)
