"""`mltrail-server migrate --partitions N`: the same rows, in parts."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from mltrail_server import cli
from mltrail_server.app import create_app, create_deps
from mltrail_server.domain.errors import MltrailError
from mltrail_server.settings import Settings
from mltrail_server.store import schema
from mltrail_server.store.db import migrate
from mltrail_server.store.db.database import Database
from mltrail_server.store.db.partitions import TABLES, partition
from tests.clock import FrozenClock
from tests.mlflow_client import Mlflow
from tests.postgresql import Cluster

PROJECTS = ("1", "2", "3", "4", "5")


@pytest.fixture
def url(cluster: Cluster) -> Iterator[str]:
    """A database whose schema the test may change."""
    cluster.run("CREATE DATABASE parts")
    yield cluster.url("parts")
    cluster.run("DROP DATABASE parts WITH (FORCE)")


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    made = Database(url)
    yield made
    made.dispose()


def shape(database: Database) -> dict[str, Any]:
    """What `alembic check` compares: columns, keys and indexes of the metric tables."""
    inspector = sa.inspect(database.engine)
    return {
        table.name: (
            [(column["name"], str(column["type"]), column["nullable"]) for column in inspector.get_columns(table.name)],
            inspector.get_pk_constraint(table.name)["constrained_columns"],
            inspector.get_pk_constraint(table.name)["name"],
            sorted((index["name"], tuple(index["column_names"])) for index in inspector.get_indexes(table.name)),
        )
        for table in TABLES
    }


def parts(database: Database) -> list[int]:
    """How many of a table's parts hold rows."""
    counts = []
    with database.read() as connection:
        for table in TABLES:
            query = sa.text(f"SELECT count(DISTINCT tableoid) FROM {table.name}")
            counts.append(connection.execute(query).scalar_one())
    return counts


def logged(app: Flask) -> dict[str, Any]:
    """Log to each project, and answer what each then has, by search, history and run."""
    found = {}
    for project in PROJECTS:
        mlflow = Mlflow(app.test_client(), project=project)
        run = mlflow.post("runs/create", experiment_id="0", run_name=f"run of {project}", start_time=1)["run"]["info"]
        points = [{"key": "loss", "value": n / 2, "timestamp": n, "step": n} for n in range(30)]
        mlflow.post("runs/log-batch", run_id=run["run_id"], metrics=points)
        mlflow.post("runs/log-batch", run_id=run["run_id"], metrics=points[-3:])
        found |= read(app, project)
    return found


def read(app: Flask, project: str) -> dict[str, Any]:
    mlflow = Mlflow(app.test_client(), project=project)
    runs = mlflow.post("runs/search", experiment_ids=["0"], filter="metrics.loss > 1", order_by=["metrics.loss DESC"])[
        "runs"
    ]
    histories = [
        mlflow.get("metrics/get-history", run_id=run["info"]["run_id"], metric_key="loss")["metrics"] for run in runs
    ]
    return {project: (runs, histories)}


@pytest.mark.parametrize("counts", [(8, 3), (4, 1)])
def test_a_database_in_use_is_spread_and_keeps_what_it_holds(
    database: Database, url: str, settings: Settings, clock: FrozenClock, counts: tuple[int, ...]
) -> None:
    deps = create_deps(replace(settings, database_url=url), clock=clock)
    app = create_app(deps)
    before = logged(app)
    whole = shape(database)
    for count in counts:
        assert partition(database, count)
        assert not partition(database, count), "it is that already"
    assert shape(database) == whole
    assert {key: value for project in PROJECTS for key, value in read(app, project).items()} == before
    assert all((number > 1) == (counts[-1] > 1) for number in parts(database))
    logged(app)
    assert all(
        len(runs) == 2 and len(histories[1]) == 30
        for runs, histories in (read(app, project)[project] for project in PROJECTS)
    )
    deps.db.dispose()


def test_a_fresh_database_has_them_from_the_start(
    database: Database, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {
        "MLTRAIL_DATABASE_URL": url,
        "MLTRAIL_DATA_DIR": str(tmp_path / "data"),
        "MLTRAIL_GITLAB_URL": "https://gitlab.example.com",
        "MLTRAIL_EXTERNAL_URL": "https://mltrail.example.com",
    }.items():
        monkeypatch.setenv(name, value)
    assert cli.main(["migrate", "--partitions", "6"]) == 0
    assert "6 partitions" in capsys.readouterr().out
    migrate.prepare(database)  # the server takes it
    with database.read() as connection:
        query = sa.text("SELECT count(*) FROM pg_class WHERE relispartition AND relkind = 'r'")
        assert connection.execute(query).scalar_one() == 6 * len(TABLES)


def test_a_statement_goes_to_one_part(database: Database) -> None:
    migrate.upgrade(database)
    partition(database, 8)
    table = schema.metric
    query = sa.select(table.c.value).where(table.c.project_id == 7, table.c.candidate_iid == 1)
    with database.read() as connection:
        text = str(query.compile(connection, compile_kwargs={"literal_binds": True}))
        plan = "\n".join(row[0] for row in connection.execute(sa.text(f"EXPLAIN {text}")))
    assert plan.count(" on metric_") == 1, plan


def test_impossible_partitions_are_refused(tmp_path: Path, database: Database) -> None:
    embedded = Database(f"sqlite:///{tmp_path / 'a.db'}")
    with pytest.raises(MltrailError, match="SQLite has no partitions"):
        partition(embedded, 4)
    embedded.dispose()
    with pytest.raises(MltrailError, match="from 1 to 1024"):
        partition(database, 0)
