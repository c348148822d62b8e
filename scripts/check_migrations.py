"""Fail if the tables in `store/schema` and the migrations differ, as `alembic check` would; if a migration could stop
servers of the version before; or if one that is released was edited.

`--new "message"` writes the migration that makes tables and migrations agree. `--release` adds the digests of all
migrations to those that can't be edited any more; a release needs it.
"""

import hashlib
import os
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.util import CommandError

from mltrail_server.store.db import migrate, revisions
from mltrail_server.store.db.database import Database
from scripts import migration_rules

RELEASED = revisions.FOLDER / "released.txt"
VERSIONS = revisions.FOLDER / "versions"


def main() -> None:
    arguments = sys.argv[1:]
    if arguments == ["--release"]:
        RELEASED.write_text("".join(f"{digest(path)}  {path.name}\n" for path in files()), encoding="utf-8")
        return
    if arguments[:1] == ["--new"]:
        _compare(new=arguments[1])
        return
    found = [*edited(), *broken_rules()]
    if os.environ.get("CI_COMMIT_TAG"):
        found += unreleased()
    if found:
        sys.exit("\n".join(f"migrations: {one}" for one in found))
    _compare()


def files() -> list[Path]:
    return sorted(VERSIONS.glob("[0-9]*.py"))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def released() -> dict[str, str]:
    """Return the digests of the released migrations by the names of their files."""
    lines = RELEASED.read_text(encoding="utf-8").splitlines()
    return {name: known for known, _, name in (line.partition("  ") for line in lines)}


def edited() -> list[str]:
    """Say which released migrations are not what databases have been migrated by."""
    there = {path.name: digest(path) for path in files()}
    changed = [
        f"{name} is released and can't be {'edited' if name in there else 'removed'}: databases have been migrated by "
        f'it. Restore it (git checkout), and write a new one: python -m scripts.check_migrations --new "what changed"'
        for name, known in released().items()
        if there.get(name) != known
    ]
    last = max(released(), default="")
    return changed + [
        f"{name} comes before {last}, which is released: databases that have that one would never get it. Give it a "
        "later number."
        for name in sorted(there.keys() - released().keys())
        if name < last
    ]


def unreleased() -> list[str]:
    return [
        f"{path.name} is not in {RELEASED.name}: run python -m scripts.check_migrations --release and commit "
        "the result before the tag."
        for path in files()
        if path.name not in released()
    ]


def broken_rules() -> list[str]:
    found = []
    before: set[str] = set()
    for path, read in zip(files(), revisions.migrations(), strict=True):
        module = migration_rules.load(path)
        declared = (module.revision, getattr(module, "kind", ""), getattr(module, "oldest", ""))
        if declared != (read.revision, read.kind, read.oldest) or (module.down_revision or "") != max(
            before, default=""
        ):
            found.append(f"{path.name}: write revision, down_revision, kind and oldest as plain lines, and in order")
        if before:
            found += [f"{path.name}: {problem}" for problem in migration_rules.problems(module, before)]
        before.add(read.revision)
    return found


def _compare(new: str = "") -> None:
    """Compare the tables with the result of the migrations, and write a migration if `new` says what it is for."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'check.db'}")
        migrate.upgrade(database)
        with database.write() as connection:
            if new:
                number = f"{int(revisions.newest() or 0) + 1:04}"
                command.revision(migrate.config(connection), message=new, autogenerate=True, rev_id=number)
                return
            try:
                command.check(migrate.config(connection))
            except CommandError as error:
                sys.exit(
                    f'migrations: {error}; write one with: python -m scripts.check_migrations --new "what changed"'
                )


if __name__ == "__main__":
    main()
