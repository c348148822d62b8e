"""A temporary database that an archive's rows are read into first.

There the schema itself says what fits: each row's types, its keys, and the rows that it refers to. An archive of an
earlier schema is read at that revision, and then migrated as a server would be.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.errors import invalid
from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import schema
from mltrail_server.store.db import migrate, revisions
from mltrail_server.store.db.database import Database
from mltrail_server.store.db.statements import Tuple

from . import rows, spelling

MOST_NUMBER = 1 << 53
"""Beyond it, numbers that this server goes on from would not be exact everywhere."""

_COUNTED_BY = {
    "candidate_iid": "candidate",
    "amendment_iid": "candidate",
    "snapshot_iid": "candidate",
    "experiment_iid": "experiment",
    "model_id": "model",
    "key_id": "metric_key",
    "dataset_id": "dataset",
    "origin_id": "origin",
}
_COUNTED_KEYS = {
    "alias_event": "id",
    "candidate": "iid",
    "dataset": "id",
    "experiment": "iid",
    "metric_key": "id",
    "model": "id",
    "model_version": "id",
    "origin": "id",
    "saved_view": "id",
}
"""The counters of a project, and the columns with numbers that they have given out."""


def counted() -> dict[str, list[sa.Column[int]]]:
    """Return the columns whose numbers each counter gives out. A row with a number that is yet to come would become a
    part of whatever gets the number.
    """
    found = {name: [schema.METADATA.tables[name].c[key]] for name, key in _COUNTED_KEYS.items()}
    for table in rows.ARCHIVED:
        for column in table.columns:
            if column.name in _COUNTED_BY and isinstance(column.type, sa.BigInteger):
                found[_COUNTED_BY[column.name]].append(column)
    return found


class Staging:
    """One project's rows, as they are at the source."""

    def __init__(self, folder: Path, revision: str) -> None:
        """Make an empty database with the schema of this revision."""
        self.database = Database(f"sqlite:///{folder / 'archive.db'}", sqlite_synchronous="off")
        self.tables: Sequence[sa.Table] = rows.ARCHIVED
        if revision == revisions.newest():
            migrate.create(self.database)
            return
        migrate.upgrade(self.database, to=revision)
        before = sa.MetaData()
        with self.database.read() as connection:
            before.reflect(connection)
        left_out = {*rows.LEFT_OUT, *revisions.OURS}
        self.tables = [table for table in before.sorted_tables if table.name not in left_out]

    def close(self) -> None:
        self.database.dispose()

    def check_columns(self, given: Mapping[str, Sequence[str]]) -> None:
        """Raise INVALID unless these are all tables and columns of the revision."""
        known = {table.name: [column.name for column in rows.columns(table)] for table in self.tables}
        for name in [*given, *known]:
            if name not in known or name not in given:
                raise invalid(f"The archive {'names' if name in given else 'lacks'} the table {name}; {_NOT_OURS}")
            if sorted(known[name]) != sorted(given[name]):
                raise invalid(f"The archive has different columns in the table {name}; {_NOT_OURS}")

    def load(
        self, table: sa.Table, names: Sequence[str], lines: Iterable[list[bytes]], *, project_id: ProjectId
    ) -> None:
        """Read a table's lines, with the values in the order of `names`. Raises INVALID for one that is no row of this
        project's.
        """
        read = spelling.reader(table, names)
        place = [column.name for column in rows.columns(table)].index("project_id")
        with self.database.write() as connection:
            for batch in lines:
                found = [read(line) for line in batch]
                if any(row[place] != project_id for row in found):
                    raise invalid(
                        f"A row of the table {table.name} does not belong to project {project_id}; {_NOT_OURS}"
                    )
                rows.write(connection, table, found)

    def upgrade(self) -> None:
        """Bring what was read to this version's schema."""
        if self.tables is not rows.ARCHIVED:
            migrate.upgrade(self.database)
            self.tables = rows.ARCHIVED

    def settle(self) -> None:
        """Check what no key says, and let each counter go on after the highest number that is in use. Raises INVALID
        for numbers that no server has given out, and for aliases of versions that are yet to come.
        """
        version, alias = schema.model_version, schema.model_alias
        of_version = (
            (version.c.project_id == alias.c.project_id)
            & (version.c.model_id == alias.c.model_id)
            & (version.c.number == alias.c.number)
        )
        everything = {"all_projects": True}
        with self.database.write() as connection:
            nowhere = sa.select(alias.c.alias).where(
                ~sa.select(sa.literal(1)).where(of_version).correlate(alias).exists()
            )
            found = connection.execute(nowhere, execution_options=everything).scalar()
            if found is not None:
                raise invalid(f"The alias {found!r} points to a version that does not exist; {_NOT_OURS}")
            project_id = connection.execute(sa.select(schema.project.c.project_id)).scalar()
            for name, columns in counted().items():
                last = self._last(connection, name, columns)
                if last > MOST_NUMBER:
                    raise invalid(f"A number of a {name} is {last}, which no server assigns; {_NOT_OURS}")
                update = sa.update(schema.counter).where(
                    schema.counter.c.name == name, schema.counter.c.project_id == project_id
                )
                if not connection.execute(update.values(value=last)).rowcount and last:
                    connection.execute(sa.insert(schema.counter).values(project_id=project_id, name=name, value=last))

    @staticmethod
    def _last(connection: sa.Connection, name: str, columns: Sequence[sa.Column[int]]) -> int:
        everything = {"all_projects": True}
        numbers = [
            connection.execute(sa.select(sa.func.max(column)), execution_options=everything).scalar() or 0
            for column in columns
        ]
        given = sa.select(schema.counter.c.value).where(schema.counter.c.name == name)
        return max(connection.execute(given, execution_options=everything).scalar() or 0, *numbers)

    def values(self, *columns: sa.ColumnElement[Any], distinct: bool = False) -> Iterator[Tuple]:
        """Read some columns of a table."""
        query = sa.select(*columns).distinct() if distinct else sa.select(*columns)
        with self.database.read() as connection:
            found = connection.execute(query, execution_options={"all_projects": True, "yield_per": 1000})
            for row in found:
                yield tuple(row)

    def all(self, table: sa.Table) -> Iterator[Tuple]:
        """Read the rows of a table."""
        with self.database.read() as connection:
            for batch in rows.read(connection, table):
                yield from batch


_NOT_OURS = "mltrail never writes that. Nothing was imported."
