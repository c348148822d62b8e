"""https://mlflow.org/docs/latest/ml/tracking/tracking-api/ on runs."""

import contextlib
import os
import time

import mlflow
import pandas as pd
from checks.registry import Desk, check, refused
from mlflow.entities import Metric, Param, RunTag, ViewType


@check()
def start_and_end(desk: Desk) -> None:
    with mlflow.start_run(run_name="first", tags={"a": "b"}) as run:
        assert desk.client.get_run(run.info.run_id).info.status == "RUNNING"
    got = desk.client.get_run(run.info.run_id)
    assert (got.info.status, got.data.tags["a"], got.data.tags["mlflow.runName"]) == ("FINISHED", "b", "first")
    assert got.info.end_time >= got.info.start_time > 1_600_000_000_000


@check()
def a_run_that_raises_has_failed(desk: Desk) -> None:
    with contextlib.suppress(ZeroDivisionError), mlflow.start_run() as run:
        1 / 0  # noqa: B018 - the training breaks
    assert desk.client.get_run(run.info.run_id).info.status == "FAILED"


@check()
def resume(desk: Desk) -> None:
    with mlflow.start_run() as run:
        mlflow.log_param("lr", "0.1")
    with mlflow.start_run(run_id=run.info.run_id):
        mlflow.log_metric("accuracy", 0.9)
    got = desk.client.get_run(run.info.run_id)
    assert (got.data.params, got.data.metrics) == ({"lr": "0.1"}, {"accuracy": 0.9})


@check()
def resume_by_environment(desk: Desk) -> None:
    os.environ["MLFLOW_RUN_ID"] = desk.run()
    wanted = os.environ["MLFLOW_RUN_ID"]
    try:
        with mlflow.start_run() as run:
            assert run.info.run_id == wanted
    finally:
        os.environ.pop("MLFLOW_RUN_ID", None)


@check()
def nested(desk: Desk) -> None:
    with mlflow.start_run() as parent, mlflow.start_run(nested=True) as child:
        pass
    assert desk.client.get_run(child.info.run_id).data.tags["mlflow.parentRunId"] == parent.info.run_id
    found = mlflow.search_runs([desk.experiment_id], f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
    assert list(found.run_id) == [child.info.run_id]


@check(since=(2, 4))
def parent_of_a_child(desk: Desk) -> None:
    with mlflow.start_run() as parent, mlflow.start_run(nested=True) as child:
        pass
    assert mlflow.get_parent_run(child.info.run_id).info.run_id == parent.info.run_id


@check()
def metrics_params_tags_one_by_one(desk: Desk) -> None:
    run_id = desk.run()
    for step, value in enumerate([0.5, 0.7, 0.6]):
        desk.client.log_metric(run_id, "val/accuracy", value, step=step)
    desk.client.log_param(run_id, "lr", 0.1)
    desk.client.log_param(run_id, "lr", 0.1)
    desk.client.set_tag(run_id, "stage", "eval")
    desk.client.set_tag(run_id, "stage", "prod")
    desk.client.set_tag(run_id, "gone", "soon")
    desk.client.delete_tag(run_id, "gone")
    data = desk.client.get_run(run_id).data
    assert (data.metrics, data.params, data.tags["stage"]) == ({"val/accuracy": 0.6}, {"lr": "0.1"}, "prod")
    assert "gone" not in data.tags
    history = desk.client.get_metric_history(run_id, "val/accuracy")
    assert [(one.step, one.value) for one in history] == [(0, 0.5), (1, 0.7), (2, 0.6)]


@check()
def a_parameter_never_changes(desk: Desk) -> None:
    run_id = desk.run()
    desk.client.log_param(run_id, "lr", "0.1")
    refused("INVALID_PARAMETER_VALUE", lambda: desk.client.log_param(run_id, "lr", "0.2"))


@check()
def nan_and_infinity(desk: Desk) -> None:
    run_id = desk.run()
    desk.client.log_metric(run_id, "nan", float("nan"))
    desk.client.log_metric(run_id, "high", float("inf"))
    metrics = desk.client.get_run(run_id).data.metrics
    assert metrics["nan"] != metrics["nan"]
    assert metrics["high"] > 1e300


@check()
def a_batch(desk: Desk) -> None:
    run_id = desk.run()
    desk.client.log_batch(
        run_id,
        [Metric("loss", 1 / step, 1_700_000_000_000 + step, step) for step in range(1, 901)],
        [Param(f"p{number}", str(number)) for number in range(50)],
        [RunTag("kind", "batch")],
    )
    assert len(desk.client.get_metric_history(run_id, "loss")) == 900
    data = desk.client.get_run(run_id).data
    assert (len(data.params), data.tags["kind"]) == (50, "batch")


@check()
def many_at_once(desk: Desk) -> None:
    with mlflow.start_run() as run:
        mlflow.log_metrics({"a": 1, "b": 2}, step=3)
        mlflow.log_params({"x": 1, "y": "two"})
        mlflow.set_tags({"k": "v"})
        mlflow.delete_tag("k")
    data = desk.client.get_run(run.info.run_id).data
    assert (data.metrics, data.params) == ({"a": 1, "b": 2}, {"x": "1", "y": "two"})


@check()
def a_bad_batch_leaves_nothing(desk: Desk) -> None:
    run_id = desk.run()
    desk.client.log_param(run_id, "lr", "1")
    refused(
        "INVALID_PARAMETER_VALUE",
        lambda: desk.client.log_batch(run_id, [Metric("a", 1, 1, 0)], [Param("lr", "2"), Param("new", "1")]),
    )
    data = desk.client.get_run(run_id).data
    assert (data.metrics, data.params) == ({}, {"lr": "1"})


@check()
def terminate_and_update(desk: Desk) -> None:
    run_id = desk.run()
    desk.client.set_terminated(run_id, "KILLED", end_time=1_700_000_000_000)
    info = desk.client.get_run(run_id).info
    assert (info.status, info.end_time) == ("KILLED", 1_700_000_000_000)


@check(since=(2, 0))
def rename(desk: Desk) -> None:
    run_id = desk.run()
    desk.client.update_run(run_id, status="FAILED", name="renamed")
    got = desk.client.get_run(run_id)
    assert (got.info.run_name, got.data.tags["mlflow.runName"], got.info.status) == ("renamed", "renamed", "FAILED")


@check()
def delete_and_restore(desk: Desk) -> None:
    run_id = desk.run()
    desk.client.delete_run(run_id)
    assert desk.client.get_run(run_id).info.lifecycle_stage == "deleted"
    assert not desk.client.search_runs([desk.experiment_id])
    assert len(desk.client.search_runs([desk.experiment_id], run_view_type=ViewType.DELETED_ONLY)) == 1
    desk.client.restore_run(run_id)
    assert len(desk.client.search_runs([desk.experiment_id])) == 1


@check()
def search_as_the_documentation_does(desk: Desk) -> None:
    for number in range(7):
        with mlflow.start_run(run_name=f"run-{number}"):
            mlflow.log_metric("val/acc", number / 10)
            mlflow.log_param("depth", number % 3)
            mlflow.set_tag("kind", "even" if number % 2 == 0 else "odd")
    found = mlflow.search_runs(
        experiment_ids=[desk.experiment_id],
        filter_string="metrics.`val/acc` > 0.15 and params.depth = '2' and tags.kind LIKE 'e%'",
        order_by=["metrics.`val/acc` DESC"],
    )
    assert isinstance(found, pd.DataFrame)
    assert list(found["metrics.val/acc"]) == [0.2]
    everything = mlflow.search_runs([desk.experiment_id], order_by=["metrics.`val/acc` ASC"], output_format="list")
    assert [run.data.metrics["val/acc"] for run in everything] == [number / 10 for number in range(7)]
    first = desk.client.search_runs([desk.experiment_id], max_results=3, order_by=["params.depth", "start_time ASC"])
    second = desk.client.search_runs(
        [desk.experiment_id], max_results=3, order_by=["params.depth", "start_time ASC"], page_token=first.token
    )
    assert [run.data.params["depth"] for run in [*first, *second]] == ["0", "0", "0", "1", "1", "2"]
    assert desk.client.search_runs([desk.experiment_id], "attributes.status = 'FINISHED'", max_results=1)
    refused("INVALID_PARAMETER_VALUE", lambda: desk.client.search_runs([desk.experiment_id], "metrics.x == 'a'"))


@check()
def search_by_experiment_name(desk: Desk) -> None:
    name = desk.client.get_experiment(desk.experiment_id).name
    with mlflow.start_run():
        pass
    assert len(mlflow.search_runs(experiment_names=[name])) == 1


@check(since=(2, 8))
def logging_in_the_background(desk: Desk) -> None:
    with mlflow.start_run() as run:
        waiting = [mlflow.log_metric("loss", step, step=step, synchronous=False) for step in range(50)]
        waiting.append(mlflow.log_params({"lr": 1}, synchronous=False))
        waiting.append(mlflow.set_tag("a", "b", synchronous=False))
        for one in waiting:
            one.wait()
    assert len(desk.client.get_metric_history(run.info.run_id, "loss")) == 50
    data = desk.client.get_run(run.info.run_id).data
    assert (data.params, data.tags["a"]) == ({"lr": "1"}, "b")


@check(since=(2, 8))
def system_metrics(desk: Desk) -> None:
    mlflow.set_system_metrics_sampling_interval(1)
    mlflow.set_system_metrics_samples_before_logging(1)

    def logged() -> bool:
        return any(key.startswith("system/") for key in desk.client.get_run(run.info.run_id).data.metrics)

    with mlflow.start_run(log_system_metrics=True) as run:
        until = time.monotonic() + 300
        while not logged() and time.monotonic() < until:
            time.sleep(0.05)  # the client samples once a second, in a thread of its own
    assert logged()


@check(since=(2, 4))
def datasets(desk: Desk) -> None:
    dataset = mlflow.data.from_pandas(
        pd.DataFrame({"x": [1, 2], "y": [0, 1]}), source="https://example.com/d.csv", name="d"
    )
    with mlflow.start_run() as run:
        mlflow.log_input(dataset, context="training")
    (found,) = desk.client.get_run(run.info.run_id).inputs.dataset_inputs
    assert (found.dataset.name, found.dataset.digest) == ("d", dataset.digest)
    assert {tag.key: tag.value for tag in found.tags}["mlflow.data.context"] == "training"
    by_dataset = mlflow.search_runs([desk.experiment_id], "datasets.name = 'd' and dataset.context = 'training'")
    assert list(by_dataset.run_id) == [run.info.run_id]


@check()
def an_unknown_run(desk: Desk) -> None:
    refused("RESOURCE_DOES_NOT_EXIST", lambda: desk.client.get_run("0" * 32))
    refused("RESOURCE_DOES_NOT_EXIST", lambda: desk.client.log_metric("0" * 32, "a", 1))
