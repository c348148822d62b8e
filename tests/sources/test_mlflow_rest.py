"""MLflow's REST API as a source: what is read from MLflow's own server and from another mltrail."""

import dataclasses
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mltrail_server.app import create_app, create_deps
from mltrail_server.domain.transfer import DatasetRecord, Findings, Loss, ModelLink, ModelMetricRecord, Source
from mltrail_server.settings import Settings
from mltrail_server.sources.artifacts import Access
from mltrail_server.sources.credentials import Credentials
from mltrail_server.sources.mlflow_database import MlflowDatabase
from mltrail_server.sources.mlflow_rest import MlflowRest
from tests.clock import FrozenClock
from tests.databases import SqliteDatabases
from tests.differential.servers import mlflow_server
from tests.fakes.stubborn import Stubborn
from tests.mlflow_client import LOCAL_TOKEN
from tests.sources.rest_history import PICTURE, SPANS, START, Made, everything, make_history

PROJECT = "/api/v4/projects/1/ml/mlflow"
ONLY_BY_DATABASE = {"points", "deleted_ms", "last_number"}
"""Fields that MLflow's REST API does not show."""


@dataclasses.dataclass
class Read:
    made: Made
    found: dict[tuple[str, ...], Any]
    findings: Findings

    def run(self, name: str) -> Any:
        return self.found["RunRecord", self.made.ids[name]]

    def files(self, *key: str) -> Any:
        return self.found["files", *key]


def _read(made: Made, source: Source, findings: Findings) -> Read:
    try:
        source.describe()
        return Read(made, everything(source), findings)
    finally:
        source.close()


@pytest.fixture(scope="module")
def mlflow_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="module")
def made_at_mlflow(mlflow_folder: Path) -> Iterator[Made]:
    with mlflow_server(mlflow_folder) as url:
        yield make_history(url)


@pytest.fixture(scope="module")
def from_mlflow(made_at_mlflow: Made) -> Read:
    findings = Findings()
    return _read(made_at_mlflow, MlflowRest(made_at_mlflow.url, findings), findings)


@pytest.fixture(scope="module")
def from_mltrail(sqlite_databases: SqliteDatabases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Read]:
    folder = tmp_path_factory.mktemp("mltrail") / "data"
    with sqlite_databases.lent(folder) as database:
        settings = Settings(
            data_dir=str(folder), database_url=database, local_token=LOCAL_TOKEN, secret_key="key-of-the-tests"
        )
        deps, findings = create_deps(settings, clock=FrozenClock()), Findings()
        with Stubborn(create_app(deps)).serving() as server:
            made = make_history(server.url + PROJECT, LOCAL_TOKEN)
            yield _read(made, MlflowRest(made.url, findings, Credentials(token=LOCAL_TOKEN)), findings)
        deps.db.dispose()


@pytest.fixture(params=[pytest.param("from_mlflow", marks=pytest.mark.clients), "from_mltrail"])
def read(request: pytest.FixtureRequest) -> Read:
    found: Read = request.getfixturevalue(request.param)
    return found


def test_nothing_is_lost(read: Read) -> None:
    assert [finding.line() for finding in read.findings.kept if finding.loss is not Loss.NOTE] == []


def test_experiments_and_runs_are_all_there(read: Read) -> None:
    states = {one.name: one.deleted for key, one in read.found.items() if key[0] in {"experiment", "RunRecord"}}
    states.pop("[model]churn's model", None)  # which mltrail has for each model, as GitLab does
    assert states == {
        "Default": False,
        "churn": False,
        "gone": True,
        "first": False,
        "nested": False,
        "deleted run": True,
        "run of gone": True,
    }


def test_a_run_has_what_was_logged(read: Read) -> None:
    run, ids = read.run("first"), read.made.ids
    assert run.params == {"lr": "0.1", "empty": ""}
    assert run.tags["note"] == "größer ☃"
    assert run.started_ms == START + 60_000
    assert run.datasets == (
        DatasetRecord("customers", "d1", "local", "{}", "{}", None, {"mlflow.data.context": "train"}),
    )
    assert set(run.model_outputs) == {ModelLink(ids["kept"], 2), ModelLink(ids["dropped"], 2)}
    assert read.run("nested").model_inputs == (ModelLink(ids["kept"]),)
    assert read.run("nested").tags["mlflow.parentRunId"] == run.id


def test_histories_are_complete(read: Read) -> None:
    run = read.run("first")
    expected = [(run.id, "loss", step, START + step, 1 / (step + 1)) for step in range(30)]
    expected += [(run.id, "auc", step, START + step, value) for step, value in enumerate((0.7, 0.8))]
    found = read.found["points", run.id]
    assert set(found) >= {repr(point) for point in expected}
    odd = [float(point.rpartition(" ")[2].rstrip(")")) for point in found if "'odd'" in point]
    assert [math.isnan(value) for value in odd] == [True, False, False]
    assert abs(odd[1]) == abs(odd[2]) >= sys.float_info.max
    assert len(found) == len(expected) + len(odd)


def test_logged_models_are_there_also_deleted_ones(read: Read) -> None:
    ids = read.made.ids
    kept, dropped = (read.found["LoggedModelRecord", ids[name]] for name in ("kept", "dropped"))
    assert (kept.name, kept.status, kept.model_type, kept.params) == ("kept", "READY", "tree", {"depth": "3"})
    assert (kept.deleted, dropped.deleted) == (False, True)
    earlier, newest = (
        ModelMetricRecord(ids["first"], "auc", step, START + step, value, "customers", "d1")
        for step, value in enumerate((0.7, 0.8))
    )
    assert {newest} <= set(kept.metrics) <= {earlier, newest}  # mltrail keeps the newest only


def test_versions_keep_their_numbers(read: Read) -> None:
    model = read.found["model", "churn's model"]
    assert (model.description, model.tags, model.aliases) == ("who leaves", {"team": "growth"}, {"champion": 3})
    versions = {key[2]: one for key, one in read.found.items() if key[:2] == ("version", "churn's model")}
    assert {number: one.stage for number, one in versions.items()} == {"1": "Production", "3": "None", "4": "None"}
    assert versions["1"].run_id == read.made.ids["first"]
    assert versions["4"].logged_model_id == read.made.ids["kept"]
    assert all(one.tags["number"] == number for number, one in versions.items())


def test_prompts_are_there(read: Read) -> None:
    assert read.found["model", "greeting"].aliases == {"live": 2}
    versions = [one for key, one in read.found.items() if key[:2] == ("version", "greeting")]
    assert [one.tags["mlflow.prompt.text"] for one in versions] == ["Hi {{name}}", "Hello {{name}}"]


def test_files_are_there(read: Read) -> None:
    of_model = {"MLmodel": b"flavors: {}", "data/weights.bin": b"\0\1" * 5000}
    of_run = {f"model/{path}": content for path, content in of_model.items()}
    assert read.files(read.made.ids["first"]) == {**of_run, "x": b""}
    assert read.files(read.made.ids["nested"]) == {}
    for name in ("kept", "dropped"):
        assert read.files(read.made.ids[name]) == {"MLmodel": b"flavors: {tree: {}}"}
    assert read.files("churn's model", "3") == of_model
    assert read.files("churn's model", "4") == {"MLmodel": b"flavors: {tree: {}}"}


def test_traces_have_spans_assessments_and_links(read: Read) -> None:
    traces = [read.found["trace", read.made.ids[f"trace {number}"]] for number in range(3)]
    assert [one.started_ms for one in traces] == [START + 1000 * number + 7 for number in range(3)]
    assert [one.duration_ms for one in traces] == [5, 5, 5]
    assert [one.run_ids for one in traces] == [(), (read.made.ids["first"],), ()]
    assert traces[0].metadata["mlflow.sourceRun"] == read.made.ids["first"]
    (right,) = traces[0].assessments
    assert (right.name, right.kind, right.value, right.rationale) == ("right", "feedback", True, "it is")
    assert read.found["spans", traces[0].id] == SPANS
    assert read.files(traces[1].id) == {f"attachments/{PICTURE}": b"picture 1"}


def test_scorers_and_evaluation_datasets_are_there(read: Read) -> None:
    assert [key[2] for key in read.found if key[:2] == ("scorer", "exact")] == ["1", "2"]
    dataset = read.found["dataset", read.made.ids["golden"]]
    assert (dataset.name, dataset.tags["of"]) == ("golden", "support")
    assert dataset.experiment_ids == (read.made.ids["churn"],)
    rows = [one for key, one in read.found.items() if key[0] == "row"]
    assert sorted((row.inputs["q"], row.expectations["a"]) for row in rows) == [(0, [0]), (1, [1]), (2, [2])]


@pytest.mark.clients
def test_rest_and_database_tell_the_same(from_mlflow: Read, mlflow_folder: Path) -> None:
    findings = Findings()
    access = Access(root=str(mlflow_folder / "files"))
    read = _read(from_mlflow.made, MlflowDatabase(f"sqlite:///{mlflow_folder}/mlflow.db", findings, access), findings)
    assert [finding.line() for finding in findings.kept if finding.loss is not Loss.NOTE] == []
    assert _comparable(from_mlflow.found) == _comparable(read.found)


def _comparable(found: dict[tuple[str, ...], Any]) -> dict[tuple[str, ...], Any]:
    """Leave out what MLflow's REST API does not show, and the order of what has none."""
    sorted_points = {key: sorted(one) for key, one in found.items() if key[0] == "points"}
    return {key: _shown(one) if dataclasses.is_dataclass(one) else one for key, one in found.items()} | sorted_points


def _shown(record: Any) -> dict[str, Any]:
    fields = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    fields = {name: value for name, value in fields.items() if name not in ONLY_BY_DATABASE}
    if "latest" in fields:
        fields["latest"] = sorted(map(repr, fields["latest"]))
    if not fields.get("description", "-"):
        fields["description"] = ""
    return fields
