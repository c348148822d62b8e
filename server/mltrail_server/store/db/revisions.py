"""The revisions of the schema that this version knows, and which versions can run on a database.

A migration declares what it means for the versions that do not know it. With `kind = "expand"` they can go on. With
`kind = "contract"` it removes something: only versions at the revision `oldest`, or at a later one, can go on. What
follows for a database is stored there, so that an older version learns it from a later one.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Literal

import sqlalchemy as sa

from mltrail_server.domain.errors import MltrailError, conflict

FOLDER = Path(__file__).parent / "migrations"
UNRELEASED = frozenset({f"{number:04}" for number in range(1, 10)})
"""Revisions of the default branch from before the first release; their migrations were merged into the first one."""

VERSION = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""As Alembic creates it."""

COMPATIBILITY = sa.Table(
    "schema_compatibility",
    sa.MetaData(),
    sa.Column("oldest_revision", sa.String(32), nullable=False),
    sa.Column("migrated_by", sa.Text, nullable=False),
)
"""One row: versions whose schema has this revision, or a later one, can run on the database. `migrated_by` is the
version that wrote it. A database that was set up before this table existed has none.
"""

OURS = frozenset({VERSION.name, COMPATIBILITY.name})
"""Tables that say how the database is built. They are in no backup."""


@dataclass(frozen=True, slots=True)
class Migration:
    """`oldest` is the first revision whose code can run after this migration; "" for all that could run before.

    `concurrently`: it runs outside of a transaction, because that is how PostgreSQL builds an index without making
    writers wait.
    """

    revision: str
    title: str
    kind: Literal["expand", "contract"]
    oldest: str
    concurrently: bool


@dataclass(frozen=True, slots=True)
class State:
    """What a database says of its schema. `revision` is None if it has never been set up."""

    revision: str | None
    oldest: str
    migrated_by: str


def migrations() -> list[Migration]:
    """Return this version's migrations, in order; the first one creates the first schema."""
    return [_read(path) for path in sorted((FOLDER / "versions").glob("[0-9]*.py"))]


@cache
def _read(path: Path) -> Migration:
    """Read what a migration declares, without Alembic. `scripts.check_migrations` checks that it is in this form."""
    text = path.read_text(encoding="utf-8")
    said = dict(re.findall(r'^(kind|oldest) = "(\w+)"$', text, re.MULTILINE))
    title = text.partition("\n")[0].strip('"')
    return Migration(
        revision=path.name.partition("_")[0],
        title=title,
        kind="contract" if said.get("kind") == "contract" else "expand",
        oldest=said.get("oldest", ""),
        concurrently=re.search(r"^concurrently = True$", text, re.MULTILINE) is not None,
    )


def newest() -> str | None:
    """Return the revision of this version's schema. Migrations are named by their revision, in order."""
    return max(known(), default=None)


def known() -> set[str]:
    """Return the revisions that this version can bring up to date, and its own."""
    return {migration.revision for migration in migrations()}


def oldest_for(revision: str) -> str:
    """Return the oldest revision whose code can run on a schema at this revision."""
    until = [migration for migration in migrations() if migration.revision <= revision]
    return max([until[0].revision, *(migration.oldest for migration in until[1:])])


def state(connection: sa.Connection) -> State:
    inspector = sa.inspect(connection)
    if not inspector.has_table(VERSION.name):
        return State(None, "", "")
    revision = connection.execute(sa.select(VERSION.c.version_num)).scalar()
    row = None
    if inspector.has_table(COMPATIBILITY.name):
        row = connection.execute(sa.select(COMPATIBILITY.c.oldest_revision, COMPATIBILITY.c.migrated_by)).first()
    return State(revision, *(row or (revision or "", "")))


def record(connection: sa.Connection, revision: str) -> None:
    """Write which versions can run on the database, now that its schema is at this revision."""
    oldest = oldest_for(revision)
    COMPATIBILITY.create(connection, checkfirst=True)
    if connection.execute(sa.select(COMPATIBILITY.c.oldest_revision)).scalars().all() == [oldest]:
        return
    connection.execute(sa.delete(COMPATIBILITY))
    version = f"mltrail {metadata.version('mltrail')}"
    connection.execute(sa.insert(COMPATIBILITY).values(oldest_revision=oldest, migrated_by=version))


def check_migratable(found: State) -> None:
    """Refuse a schema that this version can neither run on nor bring up to date. Raises CONFLICT."""
    if found.revision is None or found.revision in known() or can_run_on_later(found):
        return
    if found.revision in UNRELEASED:
        raise conflict(
            f"The database's schema is at revision {found.revision}, which only the unreleased mltrail from before 30 "
            'November 2026 had. CHANGELOG.md, "You may have to do something", names the last commit that can bring it '
            f"to revision {min(known())}: run that commit's mltrail-server migrate first."
        )
    raise _too_new(found)


def check_can_run(found: State) -> None:
    """Refuse to run on a schema that is older than this version's, or too new for it. Raises CONFLICT."""
    check_migratable(found)
    if found.revision is not None and found.revision != newest() and not can_run_on_later(found):
        raise conflict(
            f"The database's schema is at revision {found.revision}, and this version needs {newest()}. "
            "Make a backup, then run: mltrail-server migrate"
        )


def can_run_on_later(found: State) -> bool:
    """Return whether a later version has migrated the database, in a way that lets this version run."""
    ours = newest() or ""
    return found.revision is not None and found.revision > ours >= found.oldest


def _too_new(found: State) -> MltrailError:
    by = f" ({found.migrated_by})" if found.migrated_by else ""
    return conflict(
        f"The database's schema is at revision {found.revision}, and this version's is {newest()}: a later version of "
        f"mltrail{by} has migrated it, and only versions of revision {found.oldest} or later can run on it. Install "
        "such a version, or restore a backup from before the upgrade into a new, empty database."
    )
