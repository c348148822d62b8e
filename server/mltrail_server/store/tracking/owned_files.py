"""Files of runs and logged models in the usual case, without asking for their owner first.

Each condition that the general way checks in turn (`services.files.files`) is a part of the statement here. Where one
does not hold nothing happens, and the general way finds out what to do, or what to say.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.paths import Owner
from mltrail_server.store import schema
from mltrail_server.store.db.statements import Statement
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files import blobs, files
from mltrail_server.store.files.files import File

from .at_once import Vouching

_FILE, _BLOB = schema.file, schema.blob
_RUN, _MODEL = schema.candidate, schema.logged_model


@dataclass(frozen=True, slots=True)
class NewFile:
    path: str
    owner: Owner
    blob_id: str
    size: int  # bytes
    sha256: str | None


def find(tx: Transaction, path: str, owner: Owner) -> File | None:
    """Find a file in its owner's folder, in one statement."""
    row = tx.one(_find(of_run=owner.eid is not None), path=path, **_named(owner))
    return None if row is None else File(*row)


def add(tx: Transaction, file: NewFile, vouching: Vouching, job_id: int | None) -> bool:
    """Add a blob and a new name for it, if nothing prevents it; return whether they were added.

    The owner must be active, have its files here, and be neither promoted nor imported. `vouching` says who its owner
    must be, and `job_id` is the caller's job, if it is one.
    """
    folders = files.folders_of(file.path, file.owner.folder)
    files.lock(tx, file.path, file.owner.folder)
    permission = _permission(len(folders), file.owner.eid is not None, vouching)
    if tx.one(permission, **_given(file, folders, job_id)) is None:
        return False
    blobs.add(tx, file.blob_id, size=file.size, sha256=file.sha256)
    return files.add(tx, file.path, file.blob_id)


def add_at_once(tx: Transaction, file: NewFile, vouching: Vouching, job_id: int | None) -> bool:
    """Do what `add` does, in one round trip to PostgreSQL.

    Two statements are sent together, so that the second one sees what was committed while the first one waited for its
    locks. The owner's row is not locked, nor is it in the general way: a file may be added while its run is deleted.
    """
    folders = files.folders_of(file.path, file.owner.folder)
    add_both = _add_both(len(folders), file.owner.eid is not None, vouching)
    given = _given(file, folders, job_id)
    given |= {"blob_id": file.blob_id, "size": file.size, "sha256": file.sha256, "created_ms": tx.now}
    return tx.one_after(files.locking(len(folders)), add_both, **given) is not None


def _given(file: NewFile, folders: dict[str, str], job_id: int | None) -> dict[str, Any]:
    given = _named(file.owner) | {"path": file.path, "start": f"{file.path}/", "stop": f"{file.path}0"} | folders
    return given if job_id is None else given | {"job_id": job_id}


def _named(owner: Owner) -> dict[str, Any]:
    return {"experiment_iid": owner.experiment_iid, "owner": owner.eid or owner.logged_model_id}


@cache
def _find(*, of_run: bool) -> Statement:
    owner = _RUN if of_run else _MODEL
    file = (_FILE.c.project_id == owner.c.project_id) & (_FILE.c.path == sa.bindparam("path"))
    blob = (_BLOB.c.project_id == _FILE.c.project_id) & (_BLOB.c.id == _FILE.c.blob_id)
    query = sa.select(_FILE.c.path, _FILE.c.blob_id, _BLOB.c.size, _BLOB.c.sha256)
    return Statement(query.select_from(owner).join(_FILE, file).join(_BLOB, blob).where(*_has_its_files(owner)))


@cache
def _permission(depth: int, of_run: bool, vouching: Vouching) -> Statement:
    return Statement(_permitted(depth, of_run, vouching))


@cache
def _add_both(depth: int, of_run: bool, vouching: Vouching) -> Statement:
    """Build the statement that adds blob and name on PostgreSQL, if it may, and then returns a row."""
    permission = _permitted(depth, of_run, vouching).cte("permission")
    blob = _inserted(_BLOB, ("id", "size", "sha256", "created_ms"), {"id": "blob_id"}, permission)
    added = blob.returning(_BLOB.c.id).cte("added")
    return Statement(_inserted(_FILE, ("path", "blob_id"), {}, added).returning(_FILE.c.path))


def _inserted(table: sa.Table, columns: tuple[str, ...], given_as: dict[str, str], once: sa.CTE) -> sa.Insert:
    """Build the INSERT of one row of parameters for each row of `once`, which has one or none."""
    names = ("project_id", *columns)
    values = [sa.bindparam(given_as.get(name, name), type_=table.c[name].type) for name in names]
    return sa.insert(table).from_select(names, sa.select(*values).select_from(once), include_defaults=False)


def _permitted(depth: int, of_run: bool, vouching: Vouching) -> sa.Select[Any]:
    """Select one row if a new file of these folders may be added."""
    owner = _RUN if of_run else _MODEL
    query: sa.Select[Any] = sa.select(sa.literal_column("1").label("granted")).select_from(owner)
    if not of_run:
        made_by = (_RUN.c.project_id == _MODEL.c.project_id) & (_RUN.c.eid == _MODEL.c.source_eid)
        query = query.join(_RUN, made_by).where(_MODEL.c.stage == sa.literal_column(str(int(Stage.ACTIVE))))
    folders: list[sa.BindParameter[str]] = [sa.bindparam(f"folder_{number}") for number in range(1, depth + 1)]
    return query.where(
        *_has_its_files(owner),
        sa.text(vouching.of(_RUN.name)),
        _RUN.c.stage == sa.literal_column(str(int(Stage.ACTIVE))),
        _RUN.c.promoted.is_(sa.false()),
        _RUN.c.origin_id.is_(None),
        ~_exists(_FILE.c.path.in_([sa.bindparam("path"), *folders])),
        ~_exists(_FILE.c.path > sa.bindparam("start"), _FILE.c.path < sa.bindparam("stop")),
    )


def _has_its_files(owner: sa.Table) -> tuple[sa.ColumnElement[bool], ...]:
    """Match the owner by its id, if its files are here."""
    key = owner.c.eid if owner is _RUN else owner.c.model_id
    return (
        owner.c.project_id == sa.bindparam("project_id"),
        key == sa.bindparam("owner"),
        owner.c.experiment_iid == sa.bindparam("experiment_iid"),
        owner.c.elsewhere.is_(None),
    )


def _exists(*conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    return sa.exists().where(_FILE.c.project_id == sa.bindparam("project_id"), *conditions)
