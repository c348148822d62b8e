"""A read replica answers searches, and only those; without it the database does."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from mltrail_server.app import create_app, create_deps
from mltrail_server.services.context.deps import Deps
from mltrail_server.settings import Settings
from tests.clock import FrozenClock
from tests.mlflow_client import Mlflow
from tests.postgresql import Cluster

BACKENDS = ("postgresql",)


@pytest.fixture(scope="module")
def primary() -> Iterator[Cluster]:
    with Cluster.started() as running:
        running.run("CREATE DATABASE mltrail")
        yield running


@pytest.fixture
def replica(primary: Cluster) -> Iterator[Cluster]:
    with primary.follower() as running:
        yield running


@pytest.fixture
def deps(settings: Settings, clock: FrozenClock, primary: Cluster, replica: Cluster) -> Iterator[Deps]:
    urls = {"database_url": primary.url("mltrail"), "database_replica_url": replica.url("mltrail")}
    made = create_deps(replace(settings, **urls), clock=clock)
    yield made
    made.db.dispose()


def names(mlflow: Mlflow) -> set[str]:
    return {run["info"]["run_name"] for run in mlflow.post("runs/search", experiment_ids=["0"]).get("runs", [])}


def caught_up(primary: Cluster, replica: Cluster) -> None:
    with psycopg.connect(primary.url()) as here, psycopg.connect(replica.url()) as there:
        (position,) = here.execute("SELECT pg_current_wal_insert_lsn()").fetchone() or ("",)
        wait = threading.Event()
        while there.execute("SELECT pg_last_wal_replay_lsn() < %s", [position]).fetchone() == (True,):
            wait.wait(0.02)


def test_searches_go_to_the_replica_and_nothing_else(deps: Deps, primary: Cluster, replica: Cluster) -> None:
    mlflow = Mlflow(create_app(deps).test_client())
    mlflow.post("runs/create", experiment_id="0", run_name="first")
    caught_up(primary, replica)
    assert "first" in names(mlflow)
    replica.run("SELECT pg_wal_replay_pause()")
    made = mlflow.post("runs/create", experiment_id="0", run_name="second")["run"]["info"]["run_id"]
    mlflow.post("runs/log-metric", run_id=made, key="loss", value=1, timestamp=1)
    assert "second" not in names(mlflow), "it lags"
    assert mlflow.get("runs/get", run_id=made)["run"]["data"]["metrics"][0]["value"] == 1
    replica.run("SELECT pg_wal_replay_resume()")
    caught_up(primary, replica)
    assert "second" in names(mlflow)


def test_without_it_the_database_searches(deps: Deps, primary: Cluster, replica: Cluster) -> None:
    mlflow = Mlflow(create_app(deps).test_client())
    mlflow.post("runs/create", experiment_id="0", run_name="third")
    caught_up(primary, replica)
    assert "third" in names(mlflow)
    replica.kill()
    first = mlflow.call("POST", "api/2.0/mlflow/runs/search", json={"experiment_ids": ["0"]})
    assert first.status_code in {200, 503}, "a connection that was open may break once"
    mlflow.post("runs/create", experiment_id="0", run_name="fourth")
    assert "fourth" in names(mlflow)
