"""Fill an SQLite database with the MLflow of this environment: `python fill_database.py FILE`.

Prints as JSON what MLflow itself then says of all that is in it.
"""

import json
import logging
import math
import sys
import time
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.tracking import MlflowClient

VERSION = tuple(int(part) for part in mlflow.__version__.split(".")[:2])
START = 1_700_000_000_000


def main(path: Path) -> None:
    logging.disable(logging.INFO)
    mlflow.set_tracking_uri(f"sqlite:///{path}")
    client = MlflowClient()
    first = client.create_experiment("wine / größe 🍷", tags={"team": "red\nwhite"})
    gone = client.create_experiment("gone", artifact_location=f"file://{path.parent}/else where")
    run_id = fill_run(client, first)
    child = client.create_run(first, start_time=START + 5, tags={"mlflow.parentRunId": run_id}).info.run_id
    client.delete_run(child)
    for number in range(3):
        lost = client.create_run(gone, start_time=START).info.run_id
        client.log_batch(lost, metrics=[Metric("m", 1.5 * step, START, step) for step in range(number * 2)])
    client.delete_experiment(gone)
    register(client, run_id)
    evaluated: dict[str, Any] = {}
    if VERSION >= (2, 4):
        log_datasets(client, run_id)
    if (2, 14) <= VERSION < (3, 0):
        trace_by_2(client, first, run_id)
    if VERSION >= (3, 0):
        trace(first)
        log_models(client, first, run_id)
    if VERSION >= (3, 4):
        evaluated |= evaluate(client, first, run_id)
    json.dump(evaluated | shown_by(client), sys.stdout, default=str)


def fill_run(client: MlflowClient, experiment_id: str) -> str:
    run_id: str = client.create_run(
        experiment_id, start_time=START + 7, tags={"mlflow.user": "ada", "mlflow.runName": "fit"}
    ).info.run_id
    client.log_batch(
        run_id,
        metrics=[
            *(Metric("loss", 1 / (step + 1), START + step, step) for step in range(5)),
            Metric("loss", math.nan, START + 9, 2),
            Metric("val/auc", math.inf, START + 1, 0),
            Metric("val/low", -math.inf, START + 1, -3),
        ],
        params=[
            Param("lr", "0.1"),
            Param("opt/name", "ådam"),
            Param("long", "x" * (250 if VERSION < (2, 0) else 6000)),
        ],
        tags=[RunTag("note/of", "line one\nline two\n"), RunTag("nul", "a\0b"), RunTag("mlflow.note.content", "# Hi")],
    )
    client.log_text(run_id, "hello", "notes/read me.txt")
    client.log_text(run_id, "model", "model/MLmodel")
    client.set_terminated(run_id, "FAILED", end_time=START + 100_000)
    return run_id


def register(client: MlflowClient, run_id: str) -> None:
    client.create_registered_model("wine", tags={"stage/of": "life"}, description="A model")
    client.create_registered_model("empty")
    source = f"{client.get_run(run_id).info.artifact_uri}/model"
    for number in range(1, 6):
        client.create_model_version("wine", source, run_id, tags={"n": str(number)}, description=f"no. {number}")
    client.delete_model_version("wine", "2")
    client.delete_model_version("wine", "5")
    if VERSION < (3, 0):
        client.transition_model_version_stage("wine", "3", "Production")
    if VERSION >= (2, 3):
        client.set_registered_model_alias("wine", "champion", "3")
    if VERSION >= (2, 22):
        for text in ("Say {{what}}.", "Please say {{what}}."):
            register_prompt = mlflow.genai.register_prompt if VERSION >= (3, 0) else client.register_prompt
            register_prompt("greet", text, commit_message="as agreed")


def log_datasets(client: MlflowClient, run_id: str) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag  # noqa: PLC0415 - not in 1.28

    for name in ("wine.csv", "other"):
        data = Dataset(name, "abc123", "local", '{"uri": "wine.csv"}', schema='{"a": 1}')
        client.log_inputs(run_id, [DatasetInput(data, [InputTag("mlflow.data.context", name)])])


def log_models(client: MlflowClient, experiment_id: str, run_id: str) -> None:
    from mlflow.entities import LoggedModelInput, LoggedModelOutput  # noqa: PLC0415

    models = [
        client.create_logged_model(
            experiment_id,
            name=name,
            source_run_id=run_id,
            tags={"a": name},
            params={"depth": "3"},
            model_type="sklearn",
        )
        for name in ("tree", "bush")
    ]
    client.log_outputs(run_id, [LoggedModelOutput(models[0].model_id, 7)])
    client.log_inputs(run_id, models=[LoggedModelInput(models[0].model_id)])
    for step in (1, 2):
        client.log_metric(
            run_id, "acc", step / 4, timestamp=START, step=step, model_id=models[0].model_id,
            dataset_name="wine.csv", dataset_digest="abc123",
        )  # fmt: skip
    folder = Path(models[0].artifact_location.removeprefix("file://"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "MLmodel").write_text("flavors: {}")
    client.finalize_logged_model(models[0].model_id, "READY")
    client.delete_logged_model(models[1].model_id)
    client.create_registered_model("tree")
    client.create_model_version("tree", f"models:/{models[0].model_id}", run_id)


def trace(experiment_id: str) -> None:
    mlflow.set_experiment(experiment_id=experiment_id)

    @mlflow.trace(name="inner")
    def inner(question: str) -> str:
        return question.upper()

    @mlflow.trace(name="ask", span_type="CHAIN")
    def ask(question: str) -> str:
        return inner(question)

    for question in ("why?", "how?"):
        ask(question)
    mlflow.flush_trace_async_logging()


def trace_by_2(client: MlflowClient, experiment_id: str, run_id: str) -> None:
    """Write traces as clients of MLflow 2 do, without the library that makes their spans."""
    from mlflow.entities import TraceData  # noqa: PLC0415
    from mlflow.entities.trace_status import TraceStatus  # noqa: PLC0415

    tracking = client._tracking_client
    for status in (TraceStatus.OK, TraceStatus.ERROR, None):
        metadata = {"mlflow.sourceRun": run_id, "mlflow.traceInputs": '{"q": "why?"}'}
        info = tracking.start_trace(experiment_id, START, metadata, {"mlflow.traceName": "ask"})
        if status:
            tracking._upload_trace_data(info, TraceData(spans=[], request='{"q": "why?"}', response='"WHY?"'))
            metadata = {"mlflow.traceOutputs": '"WHY?"'}
            tracking.end_trace(info.request_id, START + 9, status, metadata, {"topic": "wine"})


def evaluate(client: MlflowClient, experiment_id: str, run_id: str) -> dict[str, Any]:
    from mlflow.entities import AssessmentSource  # noqa: PLC0415

    found = traces(client)
    trace_id = found[0].trace_id
    mlflow.set_trace_tag(trace_id, "topic", "wine")
    source = AssessmentSource("HUMAN", "ada")
    feedback = mlflow.log_feedback(trace_id=trace_id, name="good", value=True, source=source, rationale="yes")
    mlflow.override_feedback(
        trace_id=trace_id, assessment_id=feedback.assessment_id, value=[1, {"a": None}], rationale="no", source=source
    )
    mlflow.log_expectation(trace_id=trace_id, name="answer", value="WHY?", source=source, metadata={"a": "b"})
    store = client._tracking_client.store
    store.link_traces_to_run([trace_id], run_id)
    store.register_scorer(experiment_id, "exact", '{"name": "exact"}')
    store.register_scorer(experiment_id, "exact", '{"name": "exact", "b": 2}')
    data = store.create_dataset("golden", tags={"a": "b"}, experiment_ids=[experiment_id])
    records = [
        {"inputs": {"q": "why?"}, "expectations": {"answer": "WHY?"}, "tags": {"t": "1"}},
        {"inputs": {"q": "🍷"}, "outputs": "text"},
    ]
    store.upsert_dataset_records(data.dataset_id, records)
    rows, _ = store._load_dataset_records(data.dataset_id)
    return {
        "scorers": [one.__dict__ for one in store.list_scorer_versions(experiment_id, "exact")],
        "dataset": store.get_dataset(data.dataset_id).to_dict(),
        "rows": [one.to_dict() for one in rows],
        "linked": trace_id,
    }


def traces(client: MlflowClient) -> list[Any]:
    """Return what the store says of all traces, once those that a thread writes are there."""
    where = [one.experiment_id for one in client.search_experiments(view_type=ViewType.ALL)]
    for _ in range(3000):
        found, _ = client._tracking_client.store.search_traces(
            **{"locations" if VERSION >= (3, 4) else "experiment_ids": where}
        )
        if len(found) >= 2 and all(one.state != "IN_PROGRESS" for one in found if VERSION >= (3, 0)):
            return list(found)
        time.sleep(0.1)
    raise AssertionError("the traces were not written")


def shown_by(client: MlflowClient) -> dict[str, Any]:
    experiments = client.search_experiments(view_type=ViewType.ALL)
    runs = client.search_runs([one.experiment_id for one in experiments], run_view_type=ViewType.ALL)
    models = client.search_registered_models()
    shown: dict[str, Any] = {
        "experiments": [dict(one) for one in experiments],
        "runs": [shown_run(client, client.get_run(one.info.run_id)) for one in runs],
        "models": [{**dict(one), "latest_versions": None} for one in models],
        "versions": [dict(one) for one in client.search_model_versions("")],
    }
    if VERSION >= (2, 14):
        shown["traces"] = [one.to_dict() for one in traces(client)]
    if VERSION >= (3, 0):
        found = client.search_logged_models([one.experiment_id for one in experiments])
        shown["logged_models"] = [shown_model(one) for one in found]
    return shown


def shown_model(model: Any) -> dict[str, Any]:
    shown: dict[str, Any] = model.to_dictionary()
    return {**shown, "status": str(model.status), "metrics": [dict(one) for one in model.metrics or ()]}


def shown_run(client: MlflowClient, run: Any) -> dict[str, Any]:
    shown = {
        "info": dict(run.info),
        "params": run.data.params,
        "tags": run.data.tags,
        "points": [
            dict(point) for key in run.data.metrics for point in client.get_metric_history(run.info.run_id, key)
        ],
        "latest": [dict(one) for one in run.data._metric_objs],
    }
    if VERSION >= (2, 4):
        shown |= run.inputs.to_dictionary()
    if VERSION >= (3, 0) and run.outputs:
        shown |= run.outputs.to_dictionary()
        shown["model_inputs"] = [one.model_id for one in run.inputs.model_inputs]
    return shown


if __name__ == "__main__":
    main(Path(sys.argv[1]))
