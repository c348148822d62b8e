"""A small history with everything that MLflow keeps, made by REST: at MLflow's own server, or at another mltrail."""

import json
from dataclasses import dataclass, field
from typing import Any

import urllib3

from mltrail_server.domain.transfer import Source

START = 1_700_000_000_000
PICTURE = "0b0e7a0e-5f0a-4a53-9d1e-111111111111"
SPANS = {
    "spans": [
        {
            "trace_id": "4OnggHDhiFkKEQ2Gq2l/ow==",
            "span_id": "/sfUMmd7V30=",
            "parent_span_id": None,
            "name": "answer",
            "start_time_unix_nano": START * 1_000_000,
            "end_time_unix_nano": START * 1_000_000 + 5_000_000,
            "events": [],
            "status": {"code": "STATUS_CODE_OK", "message": ""},
            "attributes": {
                "mlflow.spanInputs": f'{{"x": 1, "picture": "mlflow-attachment://{PICTURE}?content_type=a"}}'
            },
        }
    ]
}


@dataclass
class Made:
    """The ids of what was made, by names that tests use."""

    url: str
    token: str = ""
    ids: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if content is not None and not isinstance(body, bytes):
            headers["Content-Type"] = "application/json"
        response = urllib3.request(method, f"{self.url}/{path}", body=content, headers=headers)
        assert response.status < 300, (method, path, response.data[:500])
        return json.loads(response.data) if response.data.startswith(b"{") else {}

    def post(self, path: str, **fields: Any) -> Any:
        return self.call("POST", f"api/2.0/mlflow/{path}", fields)

    def post_3(self, path: str, **fields: Any) -> Any:
        return self.call("POST", f"api/3.0/mlflow/{path}", fields)

    def put(self, uri: str, path: str, content: bytes) -> None:
        folder = uri.removeprefix("mlflow-artifacts:").strip("/")
        self.call("PUT", f"api/2.0/mlflow-artifacts/artifacts/{folder}/{path}", content)

    def run(self, experiment: str, name: str, *, minute: int, parent: str = "") -> str:
        tags = [{"key": "mlflow.parentRunId", "value": parent}] if parent else []
        fields = {"experiment_id": self.ids[experiment], "run_name": name, "start_time": START + minute * 60_000}
        run = self.post("runs/create", **fields, tags=tags)["run"]["info"]
        self.ids[name], self.ids[f"{name} files"] = run["run_id"], run["artifact_uri"]
        return str(run["run_id"])

    def metric(self, run_id: str, key: str, *values: float | str, model_id: str = "") -> None:
        of_model = {"model_id": model_id, "dataset_name": "customers", "dataset_digest": "d1"} if model_id else {}
        metrics = [
            {"key": key, "value": value, "timestamp": START + step, "step": step, **of_model}
            for step, value in enumerate(values)
        ]
        self.post("runs/log-batch", run_id=run_id, metrics=metrics)


def make_history(url: str, token: str = "") -> Made:
    made = Made(url, token)
    _make_runs(made)
    _make_models(made)
    _make_evaluations(made)
    for name in ("first", "nested"):
        made.post("runs/update", run_id=made.ids[name], status="FINISHED", end_time=START + 600_000)
    made.post("runs/delete", run_id=made.ids["deleted run"])
    made.post("experiments/delete", experiment_id=made.ids["gone"])
    return made


def _make_runs(made: Made) -> None:
    for name in ("churn", "gone"):
        tags = [{"key": "of", "value": name}]
        made.ids[name] = made.post("experiments/create", name=name, tags=tags)["experiment_id"]
    first = made.run("churn", "first", minute=1)
    made.run("churn", "nested", minute=2, parent=first)
    made.run("churn", "deleted run", minute=3)
    made.run("gone", "run of gone", minute=4)
    made.metric(first, "loss", *(1 / (step + 1) for step in range(30)))
    made.metric(first, "odd", "NaN", "Infinity", "-Infinity")
    made.metric(made.ids["nested"], "loss", 0.5, 0.25)
    params = [{"key": "lr", "value": "0.1"}, {"key": "empty", "value": ""}]
    made.post("runs/log-batch", run_id=first, params=params, tags=[{"key": "note", "value": "größer ☃"}])
    dataset = {"name": "customers", "digest": "d1", "source_type": "local", "source": "{}", "schema": "{}"}
    used_as = [{"key": "mlflow.data.context", "value": "train"}]
    made.post("runs/log-inputs", run_id=first, datasets=[{"dataset": dataset, "tags": used_as}])
    for path, content in {"model/MLmodel": b"flavors: {}", "model/data/weights.bin": b"\0\1" * 5000, "x": b""}.items():
        made.put(made.ids["first files"], path, content)


def _make_models(made: Made) -> None:
    first = made.ids["first"]
    for name in ("kept", "dropped"):
        fields = {"experiment_id": made.ids["churn"], "name": name, "source_run_id": first, "model_type": "tree"}
        model = made.post("logged-models", **fields, params=[{"key": "depth", "value": "3"}])["model"]["info"]
        made.ids[name], made.ids[f"{name} files"] = model["model_id"], model["artifact_uri"]
        body = {"status": "LOGGED_MODEL_READY", "model_id": model["model_id"]}
        made.call("PATCH", f"api/2.0/mlflow/logged-models/{model['model_id']}", body)
        made.put(made.ids[f"{name} files"], "MLmodel", b"flavors: {tree: {}}")
    outputs = [{"model_id": made.ids[name], "step": 2} for name in ("kept", "dropped")]
    made.post("runs/outputs", run_id=first, models=outputs)
    made.post("runs/log-inputs", run_id=made.ids["nested"], models=[{"model_id": made.ids["kept"]}])
    made.metric(first, "auc", 0.7, 0.8, model_id=made.ids["kept"])
    made.call("DELETE", f"api/2.0/mlflow/logged-models/{made.ids['dropped']}")
    made.post("registered-models/create", name="churn's model", description="who leaves")
    made.post("registered-models/set-tag", name="churn's model", key="team", value="growth")
    for number in range(1, 5):
        source = {"source": f"models:/{made.ids['kept']}", "model_id": made.ids["kept"]}
        if number < 4:
            source = {"source": f"{made.ids['first files']}/model", "run_id": first}
        tags = [{"key": "number", "value": str(number)}]
        made.post("model-versions/create", name="churn's model", description=f"no. {number}", tags=tags, **source)
    made.call("DELETE", "api/2.0/mlflow/model-versions/delete", {"name": "churn's model", "version": "2"})
    made.post("registered-models/alias", name="churn's model", alias="champion", version="3")
    stage = {"stage": "Production", "archive_existing_versions": False}
    made.post("model-versions/transition-stage", name="churn's model", version="1", **stage)
    is_prompt = {"key": "mlflow.prompt.is_prompt", "value": "true"}
    made.post("registered-models/create", name="greeting", tags=[is_prompt])
    for text in ("Hi {{name}}", "Hello {{name}}"):
        tags = [is_prompt, {"key": "mlflow.prompt.text", "value": text}]
        made.post("model-versions/create", name="greeting", source="dummy-source", tags=tags)
    made.post("registered-models/alias", name="greeting", alias="live", version="2")


def _make_evaluations(made: Made) -> None:
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": made.ids["churn"]}}
    for number in range(3):
        trace_id = f"tr-{number:032x}"
        info = {
            "trace_id": trace_id,
            "trace_location": place,
            "request_time": f"2023-11-14T22:13:2{number}.007Z",
            "execution_duration": "0.005s",
            "state": "OK",
            "trace_metadata": {"mlflow.sourceRun": made.ids["first"]} if number == 0 else {},
            "tags": {"mlflow.traceName": "answer"},
            "request_preview": f"question {number}",
        }
        answered = made.post_3("traces", trace={"trace_info": info})["trace"]["trace_info"]
        folder = answered["tags"]["mlflow.artifactLocation"]
        made.put(folder, "traces.json", json.dumps(SPANS).encode())
        made.put(folder, f"attachments/{PICTURE}", f"picture {number}".encode())
        made.ids[f"trace {number}"] = trace_id
    source = {"source_type": "HUMAN", "source_id": "ada"}
    times = {"create_time": "2023-11-14T22:14:00Z", "last_update_time": "2023-11-14T22:14:01.5Z"}
    answered = {"assessment_name": "right", "trace_id": made.ids["trace 0"], "source": source, **times}
    said = {**answered, "feedback": {"value": True}, "rationale": "it is"}
    made.post_3(f"traces/{made.ids['trace 0']}/assessments", assessment=said)
    made.post("traces/link-to-run", trace_ids=[made.ids["trace 1"]], run_id=made.ids["first"])
    for _ in range(2):
        scorer = {"name": "exact", "serialized_scorer": '{"name": "exact"}'}
        made.post_3("scorers/register", experiment_id=made.ids["churn"], **scorer)
    fields = {"name": "golden", "experiment_ids": [made.ids["churn"]], "tags": '{"of": "support"}'}
    made.ids["golden"] = made.post_3("datasets/create", **fields)["dataset"]["dataset_id"]
    rows = [{"inputs": {"q": number}, "expectations": {"a": [number]}} for number in range(3)]
    made.post_3(f"datasets/{made.ids['golden']}/records", records=json.dumps(rows))


def everything(source: Source) -> dict[tuple[str, ...], Any]:
    """Read all that a source has, by kind and id. Files and spans with their content."""
    found: dict[tuple[str, ...], Any] = {}
    for experiment in source.experiments():
        found["experiment", experiment.id] = experiment
        runs = list(source.runs(experiment))
        owners: list[Any] = [*runs, *source.logged_models(experiment)]
        found |= {(type(one).__name__, one.id): one for one in owners}
        for page in source.points(runs):
            for point in page:
                found.setdefault(("points", point[0]), []).append(repr(point))
        for trace in source.traces(experiment):
            spans = source.spans(trace)
            found["trace", trace.id], found["spans", trace.id] = trace, spans and json.loads(spans)
            found["files", trace.id] = _files(source, trace)
        found |= {("scorer", one.name, str(one.version)): one for one in source.scorers(experiment)}
        found |= {("files", one.id): _files(source, one) for one in owners}
    for dataset in source.evaluation_datasets():
        found["dataset", dataset.id] = dataset
        found |= {("row", row.id): row for row in source.evaluation_rows(dataset)}
    for model in source.models():
        found["model", model.name] = model
        for version in source.versions(model):
            found["version", version.model, str(version.number)] = version
            found["files", version.model, str(version.number)] = _files(source, version)
    return found


def _files(source: Source, owner: Any) -> dict[str, bytes]:
    found = {}
    for file in source.files(owner):
        with source.open(file) as opened:
            found[file.path] = opened.read()
            assert file.size in {len(found[file.path]), None}
    return found
