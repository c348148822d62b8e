"""Which of MLflow's tables and columns a database has: that depends on the version that it was last opened with."""

from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.errors import invalid

from .opening import Reading

_NEEDED = ("experiments", "runs", "metrics", "latest_metrics", "params", "tags", "experiment_tags")
_OURS = "candidate"
_VERSIONS = {
    "cc1f77228345": "MLflow 1.28",
    "0584bdc529eb": "MLflow 2.22",
    "f4a9b2c7d1e6": "MLflow 3.18",
}


class Tables:
    """Reflects names only. What is not there reads as NULL, so that one statement serves all versions."""

    def __init__(self, reading: Reading) -> None:
        """Raises INVALID if this is no database of MLflow."""
        inspector = sa.inspect(reading.connection)
        self.names = set(inspector.get_table_names())
        shown = reading.address.shown
        if _OURS in self.names and "runs" not in self.names:
            raise invalid(
                f"{shown} is an mltrail database: move it with `mltrail-server export`, or with --from-mlflow."
            )
        missing = [name for name in _NEEDED if name not in self.names]
        if missing:
            raise invalid(
                f"{shown} is not a database of MLflow 1.28 or later: it has no table {missing[0]}. Run `mlflow db "
                "upgrade` on a copy if it is older; otherwise give the database from the old server's "
                "--backend-store-uri."
            )
        self._columns = {name: {one["name"] for one in columns} for (_, name), columns in _all_columns(inspector)}
        self._made: dict[str, sa.TableClause] = {}
        known = self.has("alembic_version", "version_num")
        self.revision = str(reading.value(sa.text("SELECT version_num FROM alembic_version"))) if known else "unknown"

    def describe(self) -> str:
        version = _VERSIONS.get(self.revision)
        return f"MLflow database, schema {self.revision}{f' ({version})' if version else ''}"

    def has(self, name: str, column: str = "") -> bool:
        """Whether the database has a table, and the column if one is named."""
        return name in self.names and (not column or column in self._columns[name])

    def table(self, name: str) -> sa.TableClause:
        """Return a table whose columns have no types, so that values come as the driver has them."""
        if name not in self._made:
            self._made[name] = sa.table(name, *(sa.column(one) for one in sorted(self._columns[name])))
        return self._made[name]

    def column(self, name: str, column: str) -> sa.ColumnElement[Any]:
        """Return a column, or NULL if the schema lacks it."""
        if self.has(name, column):
            return self.table(name).c[column]
        return sa.null().label(column)

    def columns(self, name: str, *columns: str) -> list[sa.ColumnElement[Any]]:
        return [self.column(name, one) for one in columns]


def _all_columns(inspector: sa.Inspector) -> list[tuple[Any, Any]]:
    return list(inspector.get_multi_columns().items())
