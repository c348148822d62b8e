"""Statements have names, which the log, PostgreSQL and `/metrics` show; their values appear nowhere."""

import logging
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from mltrail_server.services.context.deps import Deps
from mltrail_server.store.admin import overview
from mltrail_server.store.db.named_statements import SLOW_STATEMENTS
from mltrail_server.store.db.statements import Statement
from mltrail_server.telemetry import calls
from tests.mlflow_client import Mlflow


@pytest.fixture
def _all_are_slow(deps: Deps) -> Iterator[None]:
    SLOW_STATEMENTS.limit(1e-9)
    yield
    SLOW_STATEMENTS.limit(1000)


def fields_of(caplog: pytest.LogCaptureFixture) -> dict[str, dict[str, object]]:
    return {
        vars(one)["fields"]["statement"]: vars(one)["fields"]
        for one in caplog.records
        if one.name == "mltrail_server.store.db.named_statements"
    }


@pytest.mark.usefixtures("_all_are_slow")
def test_a_slow_statement_is_logged_by_name_and_without_values(
    mlflow: Mlflow, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    run = mlflow.post("runs/create", experiment_id="0", run_name="secret-run")["run"]["info"]["run_id"]
    mlflow.post("runs/log-batch", run_id=run, params=[{"key": "secret-key", "value": "secret-value"}])
    mlflow.post("runs/search", experiment_ids=["0"], filter="params.`secret-key` = 'secret-value'")
    found = fields_of(caplog)
    assert any(name.startswith("tracking.search.") for name in found)  # built by SQLAlchemy for this call
    assert any(name.startswith("upsert.") for name in found)  # built once
    assert all({"statement", "ms"} <= fields.keys() for fields in found.values())
    assert "secret" not in caplog.text
    assert "mltrail_slow_statements_total" in mlflow.client.get("/metrics").get_data(as_text=True)


@pytest.mark.parametrize("backend", ["postgresql"])
def test_the_database_sees_the_name(deps: Deps, backend: str) -> None:
    with deps.db.read() as connection:
        own = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
        overview.stored_bytes(connection)
        with deps.db.engine.connect() as other:
            query = sa.text("SELECT query FROM pg_stat_activity WHERE pid = :own")
            shown = other.execute(query, {"own": own}).scalar_one()
    assert shown.startswith("/* mltrail: admin.overview.stored_bytes */ SELECT")


def test_every_statement_has_a_name_of_its_own() -> None:
    names = {one.name for one in Statement.all_of_them}
    assert not [name for name in names if name.endswith((".statement", "<module>")) or name.startswith("mltrail")]
    of_a_module = [one.name for one in Statement.all_of_them if one._made_in == "<module>"]
    assert len(of_a_module) == len(set(of_a_module))


@pytest.mark.usefixtures("_all_are_slow")
def test_work_that_shares_a_transaction_keeps_its_own_call(deps: Deps) -> None:
    """On SQLite another thread may do it."""
    seen: list[str] = []
    calls.begin("mine")
    deps.db.write_together(lambda _connection: seen.append(calls.request_id()))
    assert (seen, calls.request_id()) == (["mine"], "mine")
    calls.resume(None)
