"""Models and versions from elsewhere, with the numbers and times that they have there."""

from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

_MODEL = schema.model
_VERSION = schema.model_version


@dataclass(frozen=True, slots=True)
class NewVersion:
    """The row of a version. Times are milliseconds since the epoch."""

    model_id: int
    number: int
    semver: str
    candidate_iid: int | None
    logged_model_id: str | None
    source: str
    location: str
    run_link: str | None
    description: str | None
    user_name: str
    stage: str
    created_ms: int
    updated_ms: int


@dataclass(frozen=True, slots=True)
class VersionHere:
    """What may have changed here of a version, and where its files are."""

    number: int
    semver: str
    description: str | None
    stage: str
    location: str
    deleted: bool


def set_times(tx: Transaction, model_id: int, *, created_ms: int, updated_ms: int, user_name: str) -> None:
    """Give a model that was just created the times, in milliseconds, and the user that it has at the source."""
    where = (_MODEL.c.project_id == tx.project_id, _MODEL.c.id == model_id)
    values = {"created_ms": created_ms, "updated_ms": updated_ms, "user_name": user_name}
    tx.execute(sa.update(_MODEL).where(*where).values(values))


def move_on(tx: Transaction, model_id: int, updated_ms: int) -> None:
    """Note that a model was changed at that time, if it has not been changed later here."""
    where = (_MODEL.c.project_id == tx.project_id, _MODEL.c.id == model_id, _MODEL.c.updated_ms < updated_ms)
    tx.execute(sa.update(_MODEL).where(*where).values(updated_ms=updated_ms))


def describe(tx: Transaction, model_id: int, description: str | None) -> None:
    where = (_MODEL.c.project_id == tx.project_id, _MODEL.c.id == model_id)
    tx.execute(sa.update(_MODEL).where(*where).values(description=description))


def reserve_numbers(tx: Transaction, model_id: int, last: int) -> None:
    """Have the model's next version get a number after `last`."""
    where = (_MODEL.c.project_id == tx.project_id, _MODEL.c.id == model_id)
    if (tx.execute(sa.select(_MODEL.c.last_number).where(*where)).scalar() or 0) < last:
        tx.execute(sa.update(_MODEL).where(*where).values(last_number=last))


def add_version(tx: Transaction, new: NewVersion, *, origin_id: int) -> None:
    """Add a version under its own number, which must be free."""
    values = {name: getattr(new, name) for name in NewVersion.__slots__}
    number = tx.next_number("model_version")
    tx.execute(
        sa.insert(_VERSION).values(project_id=tx.project_id, id=number, origin_id=origin_id, promoted=False, **values)
    )


def versions_here(tx: Transaction, model_id: int) -> dict[int, VersionHere]:
    """Look up the versions of a model by number, deleted ones too."""
    columns = ("number", "semver", "description", "stage", "location", "deleted_ms")
    query = sa.select(*(_VERSION.c[name] for name in columns)).where(
        _VERSION.c.project_id == tx.project_id, _VERSION.c.model_id == model_id
    )
    return {
        row.number: VersionHere(
            row.number, row.semver, row.description, row.stage, row.location, row.deleted_ms is not None
        )
        for row in tx.execute(query)
    }


def change_version(tx: Transaction, model_id: int, number: int, **values: object) -> None:
    """Overwrite columns of a version; its times stay unless they are among them."""
    where = (_VERSION.c.project_id == tx.project_id, _VERSION.c.model_id == model_id, _VERSION.c.number == number)
    tx.execute(sa.update(_VERSION).where(*where).values(**values))
