"""Versions of models and their tags."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain import semver
from mltrail_server.domain.model import PROMPT_TAG
from mltrail_server.domain.source import is_elsewhere
from mltrail_server.store import schema
from mltrail_server.store.db.statements import Row
from mltrail_server.store.db.transaction import Transaction

from . import aliases
from .models import Tags

_T = schema.model_version
_TAG = schema.model_version_tag
_MODEL = schema.model
_CANDIDATE = schema.candidate


@dataclass(frozen=True, slots=True)
class Version:
    """One version; times are in milliseconds since the epoch. `location` is relative to the project's files, empty if
    it has none; `elsewhere` is a URI that clients read themselves.
    """

    id: int
    model_id: int
    model_name: str
    number: int
    semver: str
    candidate_iid: int | None
    eid: str | None
    logged_model_id: str | None
    source: str
    location: str
    run_link: str | None
    description: str | None
    user_name: str
    stage: str
    created_ms: int
    updated_ms: int
    tags: Tags = ()
    aliases: tuple[str, ...] = ()
    elsewhere: str = ""
    promoted: bool = False  # by a promotion: verified, with files of its own; only Maintainers can change it
    origin_id: int | None = None  # where it was imported from; None if it was registered here

    @property
    def is_prompt(self) -> bool:
        return dict(self.tags).get(PROMPT_TAG) == "true"


@dataclass(frozen=True, slots=True)
class NewVersion:
    """What a version is made of."""

    semver: str
    candidate_iid: int | None
    logged_model_id: str | None
    source: str
    location: str
    run_link: str | None
    description: str | None
    user_name: str
    promoted: bool = False


def select() -> sa.Select[Row]:
    """Begin a query for versions that are not deleted."""
    owner = sa.and_(_MODEL.c.project_id == _T.c.project_id, _MODEL.c.id == _T.c.model_id)
    maker = sa.and_(_CANDIDATE.c.project_id == _T.c.project_id, _CANDIDATE.c.iid == _T.c.candidate_iid)
    return (
        sa.select(_T, _MODEL.c.name.label("model_name"), _CANDIDATE.c.eid)
        .select_from(_T.join(_MODEL, owner).outerjoin(_CANDIDATE, maker))
        .where(_T.c.deleted_ms.is_(None))
    )


def insert(tx: Transaction, model_id: int, *, number: int, new: NewVersion, stage: str) -> None:
    tx.execute(
        sa.insert(_T).values(
            project_id=tx.project_id,
            model_id=model_id,
            number=number,
            id=tx.next_number("model_version"),
            semver=new.semver,
            candidate_iid=new.candidate_iid,
            logged_model_id=new.logged_model_id,
            source=new.source,
            location=new.location,
            run_link=new.run_link,
            description=new.description,
            user_name=new.user_name,
            promoted=new.promoted,
            stage=stage,
            created_ms=tx.now,
            updated_ms=tx.now,
        )
    )


def get(tx: Transaction, model_id: int, number: int) -> Version | None:
    return _one(tx, model_id, _T.c.number == number)


def get_by_semver(tx: Transaction, model_id: int, text: str) -> Version | None:
    return _one(tx, model_id, _T.c.semver == text)


def get_by_id(tx: Transaction, version_id: int) -> Version | None:
    """Find a version by its number in the project, which package and web URLs hold."""
    query = select().where(_T.c.project_id == tx.project_id, _T.c.id == version_id)
    found = filled(tx, tx.execute(query).all())
    return found[0] if found else None


def created_after(tx: Transaction, model_id: int, number: int) -> int | None:
    """Return when the first version after this one was created; None if there is none."""
    query = sa.select(sa.func.min(_T.c.created_ms)).where(
        _T.c.project_id == tx.project_id, _T.c.model_id == model_id, _T.c.number > number, _T.c.deleted_ms.is_(None)
    )
    found: int | None = tx.execute(query).scalar()
    return found


def id_of(tx: Transaction, model_id: int, number: int) -> int:
    """Return a version's number in the project. The version must exist."""
    query = sa.select(_T.c.id).where(_T.c.project_id == tx.project_id, _T.c.model_id == model_id, _T.c.number == number)
    found: int = tx.execute(query).scalar_one()
    return found


def highest(tx: Transaction, model_id: int) -> Version | None:
    """Find the version with the highest semver among those that are not deleted."""
    query = sa.select(_T.c.number, _T.c.semver).where(
        _T.c.project_id == tx.project_id, _T.c.model_id == model_id, _T.c.deleted_ms.is_(None)
    )
    rows = tx.execute(query).all()
    if not rows:
        return None
    number = max((semver.parse(row.semver), row.number) for row in rows)[1]
    return get(tx, model_id, number)


def tags_of_names(
    tx: Transaction, wanted: Iterable[tuple[str, int]], keys: Iterable[str]
) -> dict[tuple[str, int], dict[str, str]]:
    """Fetch some tags of versions by the name of their model and their number; those that are deleted are left out."""
    pairs = set(wanted)
    owner = sa.and_(_MODEL.c.project_id == _T.c.project_id, _MODEL.c.id == _T.c.model_id)
    its_tags = sa.and_(
        *(_TAG.c[name] == _T.c[name] for name in ("project_id", "model_id", "number")), _TAG.c.key.in_(sorted(keys))
    )
    query = (
        sa.select(_MODEL.c.name, _T.c.number, _TAG.c.key, _TAG.c.value)
        .select_from(_T.join(_MODEL, owner).outerjoin(_TAG, its_tags))
        .where(
            _T.c.project_id == tx.project_id,
            _MODEL.c.name.in_(sorted({name for name, _ in pairs})),
            _T.c.number.in_(sorted({number for _, number in pairs})),
            _T.c.deleted_ms.is_(None),
        )
    )
    found: dict[tuple[str, int], dict[str, str]] = {}
    for name, number, key, value in tx.execute(query):
        if (name, number) in pairs:
            tags = found.setdefault((name, number), {})
            if key is not None:
                tags[key] = value
    return found


def all_semvers(tx: Transaction, model_id: int) -> dict[str, bool]:
    """Fetch every semver that a version of this model ever had, and whether that version still exists."""
    there = _T.c.deleted_ms.is_(None).label("there")
    query = sa.select(_T.c.semver, there).where(_T.c.project_id == tx.project_id, _T.c.model_id == model_id)
    return {row.semver: bool(row.there) for row in tx.execute(query)}


def semvers(tx: Transaction, model_id: int) -> dict[int, str]:
    """Fetch the semver of every version of a model by number, deleted ones included."""
    query = sa.select(_T.c.number, _T.c.semver).where(_T.c.project_id == tx.project_id, _T.c.model_id == model_id)
    return {row.number: row.semver for row in tx.execute(query)}


def any_promoted(tx: Transaction, model_id: int, *, stage: str | None = None) -> bool:
    """Return whether a model has a promoted version that is not deleted, with `stage` one in this stage."""
    where = [_T.c.project_id == tx.project_id, _T.c.model_id == model_id, _T.c.deleted_ms.is_(None)]
    if stage is not None:
        where.append(_T.c.stage == stage)
    query = sa.select(sa.literal(1)).where(*where, _T.c.promoted.is_(sa.true())).limit(1)
    return tx.execute(query).scalar() is not None


def latest(
    tx: Transaction, model_ids: Sequence[int], *, most: int = 0, names: aliases.OfModels | None = None
) -> dict[int, list[Version]]:
    """Fetch the version with the highest semver in each stage of several models, the highest first, then others by
    semver until a model has `most`. Four statements, or three if the models' aliases are passed as `names`.
    """
    query = sa.select(_T.c.id, _T.c.model_id, _T.c.number, _T.c.semver, _T.c.stage).where(
        _T.c.project_id == tx.project_id, _T.c.model_id.in_(model_ids), _T.c.deleted_ms.is_(None)
    )
    rows = sorted(tx.execute(query), key=lambda row: (semver.parse(row.semver), row.number), reverse=True)
    chosen: dict[int, list[int]] = {}
    others: dict[int, list[int]] = {}
    seen: set[tuple[int, str]] = set()
    for row in rows:
        is_first = (row.model_id, row.stage) not in seen
        seen.add((row.model_id, row.stage))
        (chosen if is_first else others).setdefault(row.model_id, []).append(row.id)
    wanted = {model: ids + others.get(model, [])[: max(0, most - len(ids))] for model, ids in chosen.items()}
    ids = [one for ids in wanted.values() for one in ids]
    full = select().where(_T.c.project_id == tx.project_id, _T.c.id.in_(ids))
    full_rows = tx.execute(full).all() if ids else []
    found = {one.id: one for one in filled(tx, full_rows, names)}
    return {model: [found[one] for one in ids] for model, ids in wanted.items()}


def change(tx: Transaction, model_id: int, number: int, **values: object) -> None:
    where = (_T.c.project_id == tx.project_id, _T.c.model_id == model_id, _T.c.number == number)
    tx.execute(sa.update(_T).where(*where).values(updated_ms=tx.now, **values))


def archive_others(tx: Transaction, model_id: int, number: int, *, stage: str, archived: str) -> None:
    """Move all other versions of a stage to the stage `archived`."""
    where = (_T.c.project_id == tx.project_id, _T.c.model_id == model_id, _T.c.number != number, _T.c.stage == stage)
    live = _T.c.deleted_ms.is_(None)
    tx.execute(sa.update(_T).where(*where, live).values(stage=archived, updated_ms=tx.now))


def put_tags(tx: Transaction, model_id: int, number: int, tags: Mapping[str, str]) -> None:
    owner = {"project_id": tx.project_id, "model_id": model_id, "number": number}
    tx.upsert(_TAG, [owner | {"key": key, "value": value} for key, value in tags.items()], update=["value"])


def delete_tags(tx: Transaction, model_id: int, number: int, *, key: str | None = None) -> None:
    """Remove one tag of a version, or all."""
    where = [_TAG.c.project_id == tx.project_id, _TAG.c.model_id == model_id, _TAG.c.number == number]
    if key is not None:
        where.append(_TAG.c.key == key)
    tx.execute(sa.delete(_TAG).where(*where))


def filled(tx: Transaction, rows: Iterable[Row], known: aliases.OfModels | None = None) -> list[Version]:
    """Make versions from the rows of a `select()` query, with tags and aliases, in two statements, or in one if the
    models' aliases are `known`.
    """
    rows = list(rows)
    if not rows:
        return []
    keys = [(row.model_id, row.number) for row in rows]
    tags = _tags_of(tx, keys)
    if known is None:
        known = aliases.of_models(tx, sorted({model_id for model_id, _ in keys}))
    names = aliases.by_version(known)
    return [_version(row, tags.get(key, ()), names.get(key, ())) for row, key in zip(rows, keys, strict=True)]


def _tags_of(tx: Transaction, keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], Tags]:
    # Model and number are separate conditions: pairs in an IN are slow on SQLite, and a page is small.
    query = (
        sa.select(_TAG.c.model_id, _TAG.c.number, _TAG.c.key, _TAG.c.value)
        .where(
            _TAG.c.project_id == tx.project_id,
            _TAG.c.model_id.in_({model_id for model_id, _ in keys}),
            _TAG.c.number.in_({number for _, number in keys}),
        )
        .order_by(_TAG.c.model_id, _TAG.c.number, _TAG.c.key)
    )
    found: dict[tuple[int, int], Tags] = {}
    for model_id, number, key, value in tx.execute(query):
        found[model_id, number] = (*found.get((model_id, number), ()), (key, value))
    return found


def _one(tx: Transaction, model_id: int, which: sa.ColumnElement[bool]) -> Version | None:
    query = select().where(_T.c.project_id == tx.project_id, _T.c.model_id == model_id, which)
    found = filled(tx, tx.execute(query).all())
    return found[0] if found else None


def _version(row: Row, tags: Tags, names: tuple[str, ...]) -> Version:
    return Version(
        row.id,
        row.model_id,
        row.model_name,
        row.number,
        row.semver,
        row.candidate_iid,
        row.eid,
        row.logged_model_id,
        row.source,
        "" if is_elsewhere(row.location) else row.location,
        row.run_link,
        row.description,
        row.user_name,
        row.stage,
        row.created_ms,
        row.updated_ms,
        tags,
        names,
        row.location if is_elsewhere(row.location) else "",
        bool(row.promoted),
        row.origin_id,
    )
