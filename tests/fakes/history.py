"""A history to import, made of records: every kind of thing, with names and values that are made to hurt."""

import io
import json
import math
import os
import random
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from mltrail_server.domain.errors import not_found
from mltrail_server.domain.transfer import (
    AssessmentRecord,
    Counts,
    DatasetRecord,
    Entity,
    EvaluationDatasetRecord,
    EvaluationRowRecord,
    ExperimentRecord,
    FileOwner,
    FileRecord,
    Findings,
    LoggedModelRecord,
    Loss,
    ModelLink,
    ModelMetricRecord,
    ModelRecord,
    Point,
    RunRecord,
    ScorerRecord,
    TraceRecord,
    VersionRecord,
)

BEGAN = 1_700_000_000_000
HOSTILE = ("wine / größe", "<script>alert(1)</script>", "流失 模型", "'; DROP TABLE run; --", "line\nbreak", "a" * 400)
ATTACHMENT = "attachments/0b0e7a0e-5f0a-4a53-9d1e-111111111111"


@dataclass
class FakeSource:
    """Reads its own lists. `dies_after` calls it kills its process, as an operator's `kill -9` would."""

    kind: str = "mlflow"
    address: str = "https://mlflow.example.com"
    listed_experiments: list[ExperimentRecord] = field(default_factory=list)
    listed_runs: list[RunRecord] = field(default_factory=list)
    listed_points: list[Point] = field(default_factory=list)
    listed_logged_models: list[LoggedModelRecord] = field(default_factory=list)
    listed_traces: list[TraceRecord] = field(default_factory=list)
    span_files: dict[str, bytes] = field(default_factory=dict)
    listed_scorers: list[ScorerRecord] = field(default_factory=list)
    listed_datasets: list[EvaluationDatasetRecord] = field(default_factory=list)
    rows: dict[str, list[EvaluationRowRecord]] = field(default_factory=dict)
    listed_models: list[ModelRecord] = field(default_factory=list)
    listed_versions: list[VersionRecord] = field(default_factory=list)
    bytes_of: dict[str, bytes] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    unlisted: set[str] = field(default_factory=set)
    findings: Findings = field(default_factory=Findings)
    dies_after: int = -1
    opened: list[str] = field(default_factory=list)

    def describe(self) -> str:
        return "MLflow 2.22.1"

    def experiments(self) -> Iterator[ExperimentRecord]:
        yield from self._alive(self.listed_experiments)

    def runs(self, experiment: ExperimentRecord) -> Iterator[RunRecord]:
        yield from self._alive([one for one in self.listed_runs if one.experiment_id == experiment.id])

    def points(self, runs: Sequence[RunRecord]) -> Iterator[list[Point]]:
        """Pages of three points, which end in the middle of runs."""
        of_run: dict[str, list[Point]] = {}
        for point in self.listed_points:
            of_run.setdefault(point[0], []).append(point)
        points = [point for run in runs for point in of_run.get(run.id, [])]
        for start in range(0, len(points), 3):
            yield points[start : start + 3]
            self._step()

    def logged_models(self, experiment: ExperimentRecord) -> Iterator[LoggedModelRecord]:
        yield from self._alive([one for one in self.listed_logged_models if one.experiment_id == experiment.id])

    def traces(self, experiment: ExperimentRecord) -> Iterator[TraceRecord]:
        yield from self._alive([one for one in self.listed_traces if one.experiment_id == experiment.id])

    def spans(self, trace: TraceRecord) -> bytes | None:
        self._step()
        return self.span_files.get(trace.id)

    def scorers(self, experiment: ExperimentRecord) -> Iterator[ScorerRecord]:
        yield from self._alive([one for one in self.listed_scorers if one.experiment_id == experiment.id])

    def evaluation_datasets(self) -> Iterator[EvaluationDatasetRecord]:
        yield from self._alive(self.listed_datasets)

    def evaluation_rows(self, dataset: EvaluationDatasetRecord) -> Iterator[EvaluationRowRecord]:
        yield from self._alive(self.rows.get(dataset.id, []))

    def models(self) -> Iterator[ModelRecord]:
        yield from self._alive(self.listed_models)

    def versions(self, model: ModelRecord) -> Iterator[VersionRecord]:
        yield from self._alive([one for one in self.listed_versions if one.model == model.name])

    def files(self, owner: FileOwner) -> Iterator[FileRecord]:
        root = _root(owner)
        if isinstance(owner, RunRecord) and owner.id in self.unlisted:
            self.findings.add(Loss.MISSING, Entity.FILE, f"run {owner.id}", "the bucket does not answer")
            return
        for uri, content in self._alive(sorted(self.bytes_of.items())):
            if root and uri.startswith(f"{root}/"):
                yield FileRecord(uri.removeprefix(f"{root}/"), uri, len(content))

    def open(self, file: FileRecord) -> BinaryIO:
        self._step()
        self.opened.append(file.uri)
        if file.uri in self.broken:
            raise not_found("the bucket does not have it any more")
        return io.BytesIO(self.bytes_of[file.uri])

    def totals(self) -> Counts | None:
        return None

    def close(self) -> None:
        """Nothing is open."""

    def add_points(self, run: RunRecord, points: Sequence[Point]) -> None:
        """Let a run go on."""
        self.listed_points += points
        self.change(run, points=(run.points or 0) + len(points))

    def change(self, run: RunRecord, **values: object) -> RunRecord:
        """Change what the source says of a run."""
        changed = replace(run, **values)  # type: ignore[arg-type] # a test knows its fields
        self.listed_runs = [changed if one.id == run.id else one for one in self.listed_runs]
        return changed

    def _alive(self, records: Sequence[object]) -> Iterator:  # type: ignore[type-arg] # of whatever it is given
        for record in records:
            self._step()
            yield record

    def _step(self) -> None:
        if self.dies_after == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.dies_after -= 1


def history(seed: int = 1, *, runs: int = 6) -> FakeSource:
    """Make a history with everything in it, the same for the same seed."""
    random_one = random.Random(seed)
    source = FakeSource()
    source.listed_experiments = [
        ExperimentRecord("0", "Default", created_ms=BEGAN),
        ExperimentRecord("7", HOSTILE[0], created_ms=BEGAN, updated_ms=BEGAN + 5, tags={"team": "red\nwhite"}),
        ExperimentRecord("8", "gone", deleted=True, created_ms=BEGAN),
    ]
    for number in range(runs):
        _add_run(source, random_one, number)
    _add_logged_model(source)
    _add_traces(source)
    _add_registry(source)
    _add_evaluations(source)
    return source


def eid(number: int) -> str:
    return f"{number:032x}"


def _add_run(source: FakeSource, random_one: random.Random, number: int) -> None:
    experiment = source.listed_experiments[number % 3].id
    root = f"mlflow-artifacts:/{experiment}/{eid(number)}/artifacts"
    points: list[Point] = [
        (eid(number), key, step, BEGAN + step, random_one.random())
        for key in ("loss", "val/auc")
        for step in range(random_one.randrange(1, 6))
    ]
    points += [(eid(number), "odd", 0, BEGAN, math.nan), (eid(number), "odd", -3, BEGAN, 0.0)]
    source.listed_points += points
    name = HOSTILE[number % len(HOSTILE)]
    run = RunRecord(
        eid(number),
        experiment,
        name,
        f"user {number}",
        ("FINISHED", "FAILED", "KILLED")[number % 3],
        BEGAN + number,
        BEGAN + 1000 + number,
        deleted=experiment == "8" or number == 4,
        artifact_uri=root,
        params={"lr": "0.1", "opt/name": name, "empty": ""},
        tags={"mlflow.runName": name, "mlflow.user": f"user {number}", "note": "one\ntwo"},
        points=len(points),
        datasets=(DatasetRecord("wine", "abc123", "local", "{}", "{}", "{}", {"mlflow.data.context": "training"}),),
        model_inputs=(ModelLink("m-" + eid(90)),) if number == 1 else (),
        model_outputs=(ModelLink("m-" + eid(90), 3),) if number == 4 else (),
    )
    if number == 4:
        run.tags["mlflow.parentRunId"] = eid(1)
    source.listed_runs.append(run)
    source.bytes_of[f"{root}/model/MLmodel"] = b"flavors: {}\n"
    source.bytes_of[f"{root}/notes/größe.txt"] = f"hello from {number}".encode()


def _add_logged_model(source: FakeSource) -> None:
    model_id = "m-" + eid(90)
    root = f"mlflow-artifacts:/7/models/{model_id}/artifacts"
    source.listed_logged_models = [
        LoggedModelRecord(
            model_id,
            "7",
            "forest",
            "classifier",
            eid(1),
            "READY",
            BEGAN,
            BEGAN + 9,
            root,
            tags={"kind": "tree"},
            params={"depth": "3"},
            metrics=(
                ModelMetricRecord(eid(1), "auc", 0, BEGAN, 0.75, "wine", "abc123"),
                ModelMetricRecord(eid(1), "auc", 1, BEGAN + 1, math.nan),
            ),
        )
    ]
    source.bytes_of[f"{root}/MLmodel"] = b"flavors: {python_function: {}}\n"


def _add_traces(source: FakeSource) -> None:
    trace_id = "tr-" + eid(70)
    said = (
        AssessmentRecord("a-1", "correct", "feedback", True, "HUMAN", "ada", BEGAN, BEGAN, rationale="because"),
        AssessmentRecord("a-2", "answer", "expectation", {"text": "42"}, "HUMAN", "ada", BEGAN, BEGAN, valid=False),
    )
    source.listed_traces = [
        TraceRecord(
            trace_id,
            "7",
            "OK",
            BEGAN,
            250,
            "client-1",
            '{"q": "x"}',
            "42",
            {"mlflow.traceName": "answer", "gitlab.verified": "true"},
            {"mlflow.sourceRun": eid(1), "mlflow.trace.session": "s-1"},
            said,
            (eid(4),),
            f"mlflow-artifacts:/7/traces/{trace_id}/artifacts",
        ),
        TraceRecord("tr-" + eid(71), "8", "ERROR", BEGAN, None),
    ]
    span = {
        "trace_id": "AAAAAAAAAAAAAAAAAAAARg==",
        "span_id": "AAAAAAAAAAE=",
        "parent_span_id": None,
        "name": "answer",
        "start_time_unix_nano": BEGAN * 1_000_000,
        "end_time_unix_nano": BEGAN * 1_000_000 + 5,
        "events": [],
        "status": {"code": "STATUS_CODE_OK", "message": ""},
        "attributes": {"mlflow.traceRequestId": json.dumps(trace_id), "mlflow.spanInputs": '{"q": "x"}'},
    }
    source.bytes_of[f"{source.listed_traces[0].artifact_uri}/{ATTACHMENT}"] = b"picture"
    source.span_files = {trace_id: json.dumps({"spans": [span]}).encode()}


def _add_registry(source: FakeSource) -> None:
    source.listed_models = [
        ModelRecord(
            "churn", BEGAN, BEGAN + 50, "Who leaves", "ada", {"owner": "team red"}, {"champion": 5, "old": 2}, 7
        ),
        ModelRecord("greeting", BEGAN, BEGAN, tags={"mlflow.prompt.is_prompt": "true"}, aliases={"production": 1}),
    ]
    run_uri = source.listed_runs[1].artifact_uri
    source.listed_versions = [
        VersionRecord("churn", 2, BEGAN, BEGAN, f"{run_uri}/model", run_id=eid(1), stage="Archived", user="ada"),
        VersionRecord("churn", 3, BEGAN + 1, BEGAN + 1, f"runs:/{eid(1)}/model", run_id=eid(1), description="third"),
        VersionRecord(
            "churn", 5, BEGAN + 2, BEGAN + 9, "models:/m-" + eid(90), logged_model_id="m-" + eid(90), tags={"ok": "yes"}
        ),
        VersionRecord("churn", 6, BEGAN + 3, BEGAN + 3, "s3://old/churn/6", storage_location="s3://old/churn/6"),
        VersionRecord(
            "greeting",
            1,
            BEGAN,
            BEGAN,
            "dummy-source",
            tags={"mlflow.prompt.is_prompt": "true", "mlflow.prompt.text": "Hello {{name}}"},
        ),
    ]
    source.bytes_of["s3://old/churn/6/MLmodel"] = b"flavors: {sklearn: {}}\n"


def _add_evaluations(source: FakeSource) -> None:
    judge = json.dumps({"name": "tone", "builtin_scorer_class": "Safety", "builtin_scorer_pydantic_data": {}})
    source.listed_scorers = [
        ScorerRecord("s", "7", "tone", 1, judge, BEGAN, "ada"),
        ScorerRecord("s", "7", "tone", 3, judge, BEGAN, "ada"),
    ]
    dataset = EvaluationDatasetRecord(
        "d-" + eid(60), "questions", "0abc", BEGAN, BEGAN + 3, "ada", "bob", tags={"k": "v"}, experiment_ids=("7",)
    )
    source.listed_datasets = [dataset]
    source.rows = {
        dataset.id: [
            EvaluationRowRecord("dr-1", {"q": "1 + 1"}, None, {"answer": 2}, {"hard": "no"}, None, "ada", "", BEGAN),
            EvaluationRowRecord("dr-2", {"q": "größe"}, created_ms=BEGAN, updated_ms=BEGAN),
        ]
    }


def _root(owner: FileOwner) -> str:
    if isinstance(owner, VersionRecord):
        return owner.storage_location or owner.source
    return owner.artifact_uri or ""
