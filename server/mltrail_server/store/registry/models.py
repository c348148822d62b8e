"""Models, their tags, and what their pages list."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.errors import conflict
from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import schema
from mltrail_server.store.db.statements import Row
from mltrail_server.store.db.transaction import Transaction

_T = schema.model
_TAG = schema.model_tag

Tags = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Model:
    """One model; times are milliseconds since the epoch."""

    id: int
    name: str
    description: str | None
    user_name: str
    created_ms: int
    updated_ms: int
    tags: Tags = ()


COLUMNS = (_T.c.id, _T.c.name, _T.c.description, _T.c.user_name, _T.c.created_ms, _T.c.updated_ms)


def create(tx: Transaction, *, name: str, description: str | None, user_name: str) -> int | None:
    """Insert a model and return its id, or None if the name is taken."""
    number = tx.next_number("model")
    row = {
        "project_id": tx.project_id,
        "id": number,
        "name": name,
        "description": description,
        "user_name": user_name,
        "created_ms": tx.now,
        "updated_ms": tx.now,
        "last_number": 0,
    }
    insert = tx.insert(_T).values(row).on_conflict_do_nothing(index_elements=[_T.c.project_id, _T.c.name])
    made: int | None = tx.execute(insert.returning(_T.c.id)).scalar()
    return made


def get(tx: Transaction, name: str) -> Model | None:
    row = tx.execute(sa.select(*COLUMNS).where(_T.c.project_id == tx.project_id, _T.c.name == name)).one_or_none()
    return None if row is None else model_of(row, tags_of(tx, [row.id]).get(row.id, ()))


def id_of(tx: Transaction, name: str) -> int | None:
    query = sa.select(_T.c.id).where(_T.c.project_id == tx.project_id, _T.c.name == name)
    found: int | None = tx.execute(query).scalar()
    return found


def name_of(project_id: ProjectId, model_id: int) -> sa.ScalarSelect[str]:
    """Select a model's name within a statement: histories keep it, since they outlive the model."""
    return sa.select(_T.c.name).where(_T.c.project_id == project_id, _T.c.id == model_id).scalar_subquery()


def lock(tx: Transaction, model_id: int) -> None:
    """Have other writers of this model wait until the transaction ends. SQLite has one writer anyway."""
    query = sa.select(_T.c.id).where(_T.c.project_id == tx.project_id, _T.c.id == model_id)
    tx.execute(query.with_for_update())


def change(tx: Transaction, model_id: int, **values: object) -> None:
    """Overwrite columns of one model, and note that it has changed."""
    where = (_T.c.project_id == tx.project_id, _T.c.id == model_id)
    tx.execute(sa.update(_T).where(*where).values(updated_ms=tx.now, **values))


def take_number(tx: Transaction, model_id: int) -> int:
    """Take the model's next version number, and lock the model until the transaction ends.

    Raises CONFLICT if somebody else has deleted the model since it was found.
    """
    where = (_T.c.project_id == tx.project_id, _T.c.id == model_id)
    statement = sa.update(_T).where(*where).values(last_number=_T.c.last_number + 1, updated_ms=tx.now)
    number: int | None = tx.execute(statement.returning(_T.c.last_number)).scalar()
    if number is None:
        raise conflict("Another call has just deleted this model; nothing was stored.")
    return number


def delete(tx: Transaction, model_id: int) -> None:
    """Delete a model with its versions and aliases; name and numbers are free again. Its histories are kept."""
    tx.execute(sa.delete(_T).where(_T.c.project_id == tx.project_id, _T.c.id == model_id))


def put_tags(tx: Transaction, model_id: int, tags: Mapping[str, str]) -> None:
    rows = [{"project_id": tx.project_id, "model_id": model_id, "key": key, "value": tags[key]} for key in tags]
    tx.upsert(_TAG, rows, update=["value"])


def delete_tag(tx: Transaction, model_id: int, key: str) -> None:
    where = (_TAG.c.project_id == tx.project_id, _TAG.c.model_id == model_id, _TAG.c.key == key)
    tx.execute(sa.delete(_TAG).where(*where))


def tags_of(tx: Transaction, model_ids: Iterable[int]) -> dict[int, Tags]:
    """Fetch the tags of several models in one statement, by key."""
    query = (
        sa.select(_TAG.c.model_id, _TAG.c.key, _TAG.c.value)
        .where(_TAG.c.project_id == tx.project_id, _TAG.c.model_id.in_(list(model_ids)))
        .order_by(_TAG.c.model_id, _TAG.c.key)
    )
    found: dict[int, Tags] = {}
    for model_id, key, value in tx.execute(query):
        found[model_id] = (*found.get(model_id, ()), (key, value))
    return found


def model_of(row: Row, tags: Tags) -> Model:
    return Model(row.id, row.name, row.description, row.user_name, row.created_ms, row.updated_ms, tags)


_VERSION = schema.model_version
_MODEL = schema.model


@dataclass(frozen=True, slots=True)
class VersionCount:
    """How many versions a model has, without deleted ones, and the highest number among them."""

    versions: int
    newest: int | None


def name_by_id(tx: Transaction, model_id: int) -> str | None:
    """Return a model's name by the number that GitLab's URLs hold."""
    query = sa.select(_MODEL.c.name).where(_MODEL.c.project_id == tx.project_id, _MODEL.c.id == model_id)
    return tx.execute(query).scalar()


def semvers(tx: Transaction, model_id: int, numbers: Iterable[int]) -> dict[int, str]:
    """Look up the semvers of some versions by their numbers, deleted ones too."""
    query = sa.select(_VERSION.c.number, _VERSION.c.semver).where(
        _VERSION.c.project_id == tx.project_id, _VERSION.c.model_id == model_id, _VERSION.c.number.in_(sorted(numbers))
    )
    return {row.number: row.semver for row in tx.execute(query)}


def counts(tx: Transaction, model_ids: Iterable[int]) -> dict[int, VersionCount]:
    """Count the versions of several models in one statement."""
    query = (
        sa.select(_VERSION.c.model_id, sa.func.count(), sa.func.max(_VERSION.c.number))
        .where(
            _VERSION.c.project_id == tx.project_id,
            _VERSION.c.model_id.in_(sorted(model_ids)),
            _VERSION.c.deleted_ms.is_(None),
        )
        .group_by(_VERSION.c.model_id)
    )
    return {model_id: VersionCount(versions, newest) for model_id, versions, newest in tx.execute(query)}
