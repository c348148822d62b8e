"""Fail if the tables in `store/schema` and the migrations differ, as `alembic check` would.

`--new "message"` writes the migration that makes them agree.
"""

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.util import CommandError

from mltrail_server.store.db import migrate
from mltrail_server.store.db.database import Database


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'check.db'}")
        if migrate.newest():
            migrate.upgrade(database)
        with database.write() as connection:
            if sys.argv[1:2] == ["--new"]:
                head = migrate.newest()
                number = 1 if head is None else int(head) + 1
                command.revision(
                    migrate.config(connection), message=sys.argv[2], autogenerate=True, rev_id=f"{number:04}"
                )
                return
            try:
                command.check(migrate.config(connection))
            except CommandError as error:
                sys.exit(
                    f'migrations: {error}; write one with: python -m scripts.check_migrations --new "what changed"'
                )


if __name__ == "__main__":
    main()
