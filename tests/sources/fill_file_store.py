"""Fill an `./mlruns` folder with the client of this environment: `python fill_file_store.py FOLDER`.

Prints the IDs that it has got as JSON.
"""

import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient

VERSION = tuple(int(part) for part in mlflow.__version__.split(".")[:2])


def main(folder: Path) -> None:
    mlflow.set_tracking_uri(folder.as_uri())
    client = MlflowClient()
    first = client.create_experiment("wine / größe", tags={"team": "red\nwhite"})
    gone = client.create_experiment("gone")
    parent = client.create_run(
        first, start_time=1_700_000_000_000, tags={"mlflow.user": "ada", "mlflow.runName": "fit"}
    )
    run_id = parent.info.run_id
    client.log_batch(
        run_id,
        metrics=[
            *(Metric("loss", 1 / (step + 1), 1_700_000_000_000 + step, step) for step in range(5)),
            Metric("loss", math.nan, 1_700_000_000_009, 2),
            Metric("val/auc", math.inf, 1_700_000_000_001, 0),
            Metric("val/low", -math.inf, 1_700_000_000_001, -3),
        ],
        params=[Param("lr", "0.1"), Param("opt/name", "ådam"), Param("empty", "")],
        tags=[RunTag("note/of", "line one\nline two\n"), RunTag("mlflow.note.content", "# Hello")],
    )
    client.log_text(run_id, "hello", "notes/readme.txt")
    client.log_text(run_id, "model", "model/MLmodel")
    client.set_terminated(run_id, "FAILED", end_time=1_700_000_100_000)
    child = client.create_run(first, tags={"mlflow.parentRunId": run_id})
    client.delete_run(child.info.run_id)
    lost = client.create_run(gone)
    client.log_metric(lost.info.run_id, "m", 1.5, timestamp=1_700_000_000_000)
    client.delete_experiment(gone)
    if VERSION >= (2, 7):  # before 2.0, the registry needs a database
        _register(client, run_id)
        _log_datasets(client, run_id)
    if VERSION >= (3, 0):
        _log_models(client, first, run_id)
        _trace(first)
    json.dump({"run": run_id, "child": child.info.run_id, "experiment": first, "deleted": gone}, sys.stdout)


def _register(client: MlflowClient, run_id: str) -> None:
    client.create_registered_model("wine", tags={"stage/of": "life"}, description="A model")
    source = f"{client.get_run(run_id).info.artifact_uri}/model"
    for number in range(1, 5):
        client.create_model_version("wine", source, run_id, tags={"n": str(number)}, description=f"no. {number}")
    client.delete_model_version("wine", "2")
    client.delete_model_version("wine", "4")
    if VERSION < (3, 0):
        client.transition_model_version_stage("wine", "3", "Production")
    if VERSION >= (2, 7):
        client.set_registered_model_alias("wine", "champion", "3")


def _log_datasets(client: MlflowClient, run_id: str) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag  # noqa: PLC0415 - not in 1.28

    data = Dataset("wine.csv", "abc123", "local", '{"uri": "wine.csv"}', schema='{"a": 1}')
    client.log_inputs(run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "train")])])


def _log_models(client: MlflowClient, experiment_id: str, run_id: str) -> None:
    from mlflow.entities import LoggedModelInput, LoggedModelOutput  # noqa: PLC0415

    model = client.create_logged_model(
        experiment_id, name="tree", source_run_id=run_id, tags={"a/b": "c"}, params={"depth": "3"}, model_type="sklearn"
    )
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 7)])
    client.log_inputs(run_id, models=[LoggedModelInput(model.model_id)])
    for step in (1, 2):
        client.log_metric(
            run_id, "acc", step / 4, timestamp=1_700_000_000_000, step=step, model_id=model.model_id,
            dataset_name="wine.csv", dataset_digest="abc123",
        )  # fmt: skip
    folder = Path(model.artifact_location.removeprefix("file://"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "MLmodel").write_text("flavors: {}")
    client.finalize_logged_model(model.model_id, "READY")


def _trace(experiment_id: str) -> None:
    from mlflow.entities import AssessmentSource  # noqa: PLC0415

    mlflow.set_experiment(experiment_id=experiment_id)

    @mlflow.trace(name="ask")
    def ask(question: str) -> str:
        return question.upper()

    ask("why?")
    mlflow.flush_trace_async_logging()
    found: Any = []
    for _ in range(3000):  # written by a thread of the client
        found = (
            mlflow.search_traces(locations=[experiment_id], return_type="list")
            if VERSION >= (3, 4)
            else (mlflow.search_traces(experiment_ids=[experiment_id], return_type="list"))
        )
        if found:
            break
        time.sleep(0.1)
    trace_id = found[0].info.trace_id
    mlflow.set_trace_tag(trace_id, "topic", "wine")
    source = AssessmentSource("HUMAN", "ada")
    mlflow.log_feedback(trace_id=trace_id, name="good", value=True, source=source, rationale="yes")
    mlflow.log_expectation(trace_id=trace_id, name="answer", value="WHY?", source=source)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
