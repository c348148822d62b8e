"""Limits per project: what they refuse, and what they leave alone."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from mltrail_server.app import create_app, create_deps
from mltrail_server.services.context.deps import Deps
from tests.api.tracking.runs import new_run
from tests.clock import FrozenClock
from tests.mlflow_client import Mlflow, failure, good


@pytest.fixture
def limited(deps: Deps, clock: FrozenClock) -> Iterator[Mlflow]:
    settings = replace(deps.settings, quota_bytes="10", quota_candidates="3", quota_metric_points="5")
    made = create_deps(settings, clock=clock)
    yield Mlflow(create_app(made).test_client())
    made.db.dispose()


def points(*steps: int) -> list[dict[str, object]]:
    return [{"key": "loss", "value": 0.5, "timestamp": 1, "step": step} for step in steps]


def history(mlflow: Mlflow, run_id: str) -> int:
    return len(mlflow.get("metrics/get-history", run_id=run_id, metric_key="loss").get("metrics", []))


def test_runs(limited: Mlflow) -> None:
    first = [new_run(limited) for _ in range(3)]
    status, code, message = limited.error("POST", "runs/create", experiment_id="0")
    # 403 and not 429: MLflow clients try again on that, and the project stays full.
    assert (status, code) == (403, "QUOTA_EXCEEDED")
    assert "3 of 3 runs" in message
    assert "MLTRAIL_QUOTA_CANDIDATES" in message
    limited.post("runs/update", run_id=first[0], status="FINISHED")
    assert len(limited.post("runs/search", experiment_ids=["0"])["runs"]) == 3


def test_metric_values_are_refused_whole(limited: Mlflow) -> None:
    run_id = new_run(limited)
    limited.post("runs/log-batch", run_id=run_id, metrics=points(1, 2, 3))
    status, code, message = limited.error(
        "POST", "runs/log-batch", run_id=run_id, metrics=points(4, 5, 6), params=[{"key": "lr", "value": "1"}]
    )
    assert (status, code) == (403, "QUOTA_EXCEEDED")
    assert "3 of 5 metric values" in message
    assert history(limited, run_id) == 3
    assert limited.get("runs/get", run_id=run_id)["run"]["data"]["params"] == []
    limited.post("runs/log-batch", run_id=run_id, metrics=points(4, 5), params=[{"key": "lr", "value": "1"}])
    limited.post("runs/set-tag", run_id=run_id, key="note", value="tags are free")


def test_bytes_are_refused_before_they_are_kept(limited: Mlflow) -> None:
    run_id = new_run(limited)
    url = f"api/2.0/mlflow-artifacts/artifacts/0/{run_id}/artifacts"
    good(limited.call("PUT", f"{url}/a", data=b"12345678"))
    assert failure(limited.call("PUT", f"{url}/b", data=b"123"))[:2] == (403, "QUOTA_EXCEEDED")
    good(limited.call("PUT", f"{url}/c", data=b"12"))
    assert [file["path"] for file in limited.get("artifacts/list", run_id=run_id)["files"]] == ["a", "c"]


def test_projects_have_each_their_own(limited: Mlflow) -> None:
    for _ in range(3):
        new_run(limited)
    other = Mlflow(limited.client, project="2")
    assert new_run(other)


def test_what_was_there_before_the_limit_counts(limited: Mlflow, mlflow: Mlflow) -> None:
    run_id = new_run(mlflow)
    mlflow.post("runs/log-batch", run_id=run_id, metrics=points(1, 2, 3, 4))
    assert limited.error("POST", "runs/log-batch", run_id=run_id, metrics=points(5, 6))[1] == "QUOTA_EXCEEDED"
    limited.post("runs/log-batch", run_id=run_id, metrics=points(5))


def test_without_a_limit_nothing_is_counted(client: FlaskClient, mlflow: Mlflow, deps: Deps) -> None:
    mlflow.post("runs/log-batch", run_id=new_run(mlflow), metrics=points(1))
    with deps.db.read() as connection:
        names = connection.exec_driver_sql("SELECT name FROM counter").scalars().all()
    assert not [name for name in names if name.startswith("used_")]


def delete(mlflow: Mlflow, run_id: str) -> None:
    mlflow.post("runs/delete", run_id=run_id)


def put(mlflow: Mlflow, run_id: str, size: int, name: str = "a.bin") -> int:
    path = f"api/2.0/mlflow-artifacts/artifacts/0/{run_id}/artifacts/{name}"
    return mlflow.call("PUT", path, data=b"x" * size).status_code


def fill(mlflow: Mlflow) -> str:
    run_id = new_run(mlflow)
    assert put(mlflow, run_id, 8) == 200
    mlflow.post("runs/log-batch", run_id=run_id, metrics=points(1, 2, 3, 4))
    return run_id


def test_what_is_deleted_makes_room(limited: Mlflow) -> None:
    first, second = fill(limited), new_run(limited)
    assert put(limited, second, 8) == 403
    assert limited.error("POST", "runs/log-batch", run_id=second, metrics=points(1, 2))[0] == 403
    delete(limited, first)
    assert put(limited, second, 8) == 200
    limited.post("runs/log-batch", run_id=second, metrics=points(1, 2, 3))
    new_run(limited), new_run(limited)
    assert "what is deleted does not count" in limited.error("POST", "runs/create", experiment_id="0")[2]


def test_a_file_that_is_deleted_makes_room(limited: Mlflow) -> None:
    run_id = new_run(limited)
    assert put(limited, run_id, 8) == 200
    path = f"api/2.0/mlflow-artifacts/artifacts/0/{run_id}/artifacts/a.bin"
    assert limited.call("DELETE", path).status_code == 200
    assert put(limited, run_id, 9) == 200


def test_an_experiment_that_is_deleted_makes_room(limited: Mlflow) -> None:
    experiment = limited.post("experiments/create", name="e")["experiment_id"]
    for _ in range(3):
        limited.post("runs/create", experiment_id=experiment)
    assert limited.error("POST", "runs/create", experiment_id="0")[0] == 403
    limited.post("experiments/delete", experiment_id=experiment)
    new_run(limited)
    status, code, message = limited.error("POST", "experiments/restore", experiment_id=experiment)
    assert (status, code) == (403, "QUOTA_EXCEEDED")
    assert "no room to restore" in message
    assert limited.get("experiments/get", experiment_id=experiment)["experiment"]["lifecycle_stage"] == "deleted"


def test_what_is_deleted_comes_back_while_there_is_room(limited: Mlflow) -> None:
    runs = [new_run(limited) for _ in range(3)]
    delete(limited, runs[0])
    limited.post("runs/restore", run_id=runs[0])
    delete(limited, runs[0])
    new_run(limited)
    assert limited.error("POST", "runs/restore", run_id=runs[0])[:2] == (403, "QUOTA_EXCEEDED")
    limited.post("runs/restore", run_id=runs[1])
    delete(limited, runs[1])
    limited.post("runs/restore", run_id=runs[0])


def test_what_is_deleted_is_no_way_to_store_without_an_end(limited: Mlflow) -> None:
    for _ in range(6):
        delete(limited, new_run(limited))
    status, code, message = limited.error("POST", "runs/create", experiment_id="0")
    assert (status, code) == (403, "QUOTA_EXCEEDED")
    assert "gc --deleted" in message
