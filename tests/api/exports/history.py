"""A project with some of everything, logged as clients do."""

import json
from typing import Any

from tests.api.traces import calls
from tests.api.traces.traces_json import file_of
from tests.mlflow_client import FILES, Mlflow, good

HOSTILE_MODEL = "\N{SNOWMAN}" * 80
"""Its name is longer in bytes than a folder's may be."""
LONG_FILE = "deep/" + "\N{SNOWMAN}" * 90
PROMPT = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]


def fill(mlflow: Mlflow) -> dict[str, str]:
    """Log the history, and return the ids that it has got."""
    ids = {"first": mlflow.post("experiments/create", name="wine / größe")["experiment_id"]}
    ids["gone"] = mlflow.post("experiments/create", name="gone")["experiment_id"]
    mlflow.post("experiments/set-experiment-tag", experiment_id=ids["first"], key="team", value="red")
    ids["run"] = _run(mlflow, ids["first"])
    ids["child"] = _start(mlflow, ids["first"], tags=[{"key": "mlflow.parentRunId", "value": ids["run"]}])
    ids["deleted"] = _start(mlflow, ids["first"])
    ids["orphan"] = _start(mlflow, ids["first"], tags=[{"key": "mlflow.parentRunId", "value": ids["deleted"]}])
    mlflow.post("runs/delete", run_id=ids["deleted"])
    ids["lost"] = _start(mlflow, ids["gone"])
    mlflow.post("experiments/delete", experiment_id=ids["gone"])
    ids["model"] = _logged_model(mlflow, ids["first"], ids["run"])
    _register(mlflow, ids)
    ids["trace"] = _trace(mlflow, ids)
    _evaluation(mlflow, ids)
    return ids


def put(mlflow: Mlflow, path: str, content: bytes) -> None:
    good(mlflow.call("PUT", f"{FILES}/{path}", data=content))


def _start(mlflow: Mlflow, experiment_id: str, **fields: Any) -> str:
    fields = {"start_time": 1_700_000_000_000, "user_id": "ada", "run_name": "fit", **fields}
    made: str = mlflow.post("runs/create", experiment_id=experiment_id, **fields)["run"]["info"]["run_id"]
    return made


def _run(mlflow: Mlflow, experiment_id: str) -> str:
    run_id = _start(mlflow, experiment_id)
    points = [
        {"key": key, "value": value, "timestamp": 1_700_000_000_000 + step, "step": step}
        for key in ("loss", "val/auc")
        for step, value in enumerate([0.5, "NaN", 0.1 + 0.2, -1e300, "Infinity"])
    ]
    params = [{"key": "lr", "value": "0.1"}, {"key": "opt/name", "value": "ådam\n\"'\\"}]
    tags = [{"key": "note/of", "value": "a\nb"}, {"key": "mlflow.note.content", "value": "# Hi"}]
    mlflow.post("runs/log-batch", run_id=run_id, metrics=points, params=params, tags=tags)
    data = {"name": "wine.csv", "digest": "abc", "source_type": "local", "source": "{}", "schema": "{}"}
    used = {"dataset": data, "tags": [{"key": "mlflow.data.context", "value": "train"}]}
    mlflow.post("runs/log-inputs", run_id=run_id, datasets=[used])
    for path, content in {"model/MLmodel": b"flavors: {}\n", LONG_FILE: b"deep", "empty": b""}.items():
        put(mlflow, f"{experiment_id}/{run_id}/artifacts/{path}", content)
    mlflow.post("runs/update", run_id=run_id, status="FAILED", end_time=1_700_000_100_000)
    return run_id


def _logged_model(mlflow: Mlflow, experiment_id: str, run_id: str) -> str:
    fields = {"tags": [{"key": "a", "value": "b"}], "params": [{"key": "depth", "value": "3"}]}
    created = mlflow.post(
        "logged-models", experiment_id=experiment_id, name="tree", source_run_id=run_id, model_type="sklearn", **fields
    )
    model_id: str = created["model"]["info"]["model_id"]
    put(mlflow, f"{experiment_id}/models/{model_id}/artifacts/MLmodel", b"flavors: {tree: {}}\n")
    mlflow.call("PATCH", f"api/2.0/mlflow/logged-models/{model_id}", json={"model_id": model_id, "status": 2})
    mlflow.post("runs/outputs", run_id=run_id, models=[{"model_id": model_id, "step": 7}])
    mlflow.post("runs/log-inputs", run_id=run_id, models=[{"model_id": model_id}])
    point = {"key": "acc", "value": 0.25, "timestamp": 1_700_000_000_000, "step": 1, "model_id": model_id}
    measured = point | {"dataset_name": "wine.csv", "dataset_digest": "abc"}
    mlflow.post("runs/log-batch", run_id=run_id, metrics=[measured])
    return model_id


def _register(mlflow: Mlflow, ids: dict[str, str]) -> None:
    mlflow.post("registered-models/create", name="wine", description="A model", tags=[{"key": "of", "value": "life"}])
    for number in range(1, 5):
        tags = [{"key": "n", "value": str(number)}]
        source = f"runs:/{ids['run']}/model"
        mlflow.post("model-versions/create", name="wine", source=source, run_id=ids["run"], tags=tags)
    for number in ("2", "4"):
        mlflow.call("DELETE", "api/2.0/mlflow/model-versions/delete", json={"name": "wine", "version": number})
    mlflow.post("registered-models/alias", name="wine", alias="champion", version="3")
    stage = {"name": "wine", "version": "1", "stage": "Production", "archive_existing_versions": False}
    mlflow.post("model-versions/transition-stage", **stage)
    mlflow.post("registered-models/create", name=HOSTILE_MODEL)
    mlflow.post("model-versions/create", name=HOSTILE_MODEL, source=f"models:/{ids['model']}")
    mlflow.post("registered-models/create", name="ask", tags=PROMPT)
    text = [*PROMPT, {"key": "mlflow.prompt.text", "value": "Why {{x}}?"}]
    mlflow.post("model-versions/create", name="ask", source="prompt", tags=text, description="first")


def _trace(mlflow: Mlflow, ids: dict[str, str]) -> str:
    said = {
        "assessment_name": "good",
        "source": {"source_type": "HUMAN", "source_id": "ada"},
        "feedback": {"value": True},
        "create_time": "2026-11-28T18:24:20.505Z",
        "last_update_time": "2026-11-28T18:24:20.505Z",
        "rationale": "yes",
    }
    trace_id = calls.start_trace(
        mlflow,
        ids["first"],
        trace_metadata={"mlflow.sourceRun": ids["run"]},
        tags={"topic": "wine"},
        request_preview="why?",
        response_preview="so",
        client_request_id="mine",
        assessments=[said],
    )
    folder = f"{ids['first']}/traces/{trace_id}/artifacts"
    put(mlflow, f"{folder}/traces.json", file_of(1, 2))
    put(mlflow, f"{folder}/attachments/0b0e7a0e-5f0a-4a53-9d1e-111111111111", b"picture")
    return trace_id


def _evaluation(mlflow: Mlflow, ids: dict[str, str]) -> None:
    dataset = calls.post(mlflow, "datasets/create", name="golden", experiment_ids=[ids["first"]])["dataset"]
    rows = [{"inputs": {"q": "why?"}, "expectations": {"answer": "so"}, "tags": {"kind": "a"}}]
    calls.post(mlflow, f"datasets/{dataset['dataset_id']}/records", records=json.dumps(rows))
    serialized = json.dumps({"name": "short", "instructions_judge_pydantic_data": {"instructions": "{{ outputs }}?"}})
    for _ in range(2):
        body = {"experiment_id": ids["first"], "name": "short", "serialized_scorer": serialized}
        calls.post(mlflow, "scorers/register", **body)
