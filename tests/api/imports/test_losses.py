"""What can't come over, or not as it is, is listed; nothing that is here is overwritten."""

from dataclasses import replace

import pytest

from mltrail_server.app import create_app, create_deps
from mltrail_server.domain.transfer import Entity, Loss, ModelRecord, RunRecord, VersionRecord
from mltrail_server.services.imports.plan import FilesMode, Renames
from mltrail_server.services.imports.report import Report
from mltrail_server.settings import Settings
from tests.api.imports.conftest import Bring, bring_into
from tests.fakes.history import BEGAN, FakeSource, eid
from tests.mlflow_client import Mlflow

BACKENDS = ("sqlite",)


def found(report: Report) -> set[tuple[str, str]]:
    return {(one.loss.value, one.entity.value) for one in report.findings.kept}


def test_names_and_values_beyond_our_limits(bring: Bring, source: FakeSource, mlflow: Mlflow) -> None:
    run = source.change(
        source.listed_runs[0],
        name="n" * 600,
        params={"long": "v" * 7000, "bad?key": "x", "": "no name"},
        tags={"nul": "a\0b", "../up": "x"},
        status="LOST",
    )
    source.listed_points.append((run.id, "bad\tmetric", 0, BEGAN, 1.0))
    source.listed_points.append((run.id, "loss", 2**63, BEGAN, 1.0))
    source.change(run, points=None)

    report = bring(source)

    assert found(report) == {
        ("changed", "runs"),
        ("changed", "parameters"),
        ("refused", "parameters"),
        ("changed", "tags"),
        ("refused", "tags"),
        ("refused", "metric points"),
    }
    got = mlflow.get("runs/get", run_id=run.id)["run"]
    assert len(got["info"]["run_name"]) == 500
    assert len(got["data"]["params"][0]["value"]) == 6000
    (project,) = report.projects
    assert project.source[Entity.PARAM] - project.here[Entity.PARAM] == 2
    assert project.source[Entity.POINT] - project.here[Entity.POINT] == 2
    again = bring(source)
    assert found(again) == found(report), "what was lost is tried, and said, again"


def test_a_missing_file_is_tried_again(bring: Bring, source: FakeSource) -> None:
    uri = f"{source.listed_runs[0].artifact_uri}/model/MLmodel"
    source.broken.add(uri)
    first = bring(source)
    source.broken.clear()

    second = bring(source)

    assert found(first) == {("missing", "files")}
    assert first.projects[0].source[Entity.FILE] == first.projects[0].here[Entity.FILE] + 1
    assert second.clean
    assert second.projects[0].source == second.projects[0].here


def test_what_the_source_could_not_list_is_tried_again(bring: Bring, source: FakeSource) -> None:
    source.unlisted.add(eid(0))
    first = bring(source)
    source.unlisted.clear()

    second = bring(source)

    assert found(first) == {("missing", "files")}
    assert second.clean
    assert second.projects[0].here[Entity.FILE] == len(source.bytes_of)


@pytest.mark.parametrize("path", ["../../etc/passwd", "a\\b", "model/MLmodel/inner"])
def test_files_stay_in_their_folder(bring: Bring, source: FakeSource, path: str) -> None:
    source.bytes_of[f"{source.listed_runs[0].artifact_uri}/{path}"] = b"x"

    assert found(bring(source)) == {("refused", "files")}


def test_what_has_its_id_here_stays(bring: Bring, source: FakeSource, mlflow: Mlflow) -> None:
    mlflow.post("registered-models/create", name="churn")
    for _ in range(3):
        mlflow.post("model-versions/create", name="churn", source="")

    report = bring(source)

    assert found(report) == {("clash", "versions"), ("note", "registered models")}
    assert sum(one.loss is Loss.CLASH for one in report.findings.kept) == 2
    kept = mlflow.get("model-versions/get", name="churn", version="2")["model_version"]
    assert kept["current_stage"] == "None"
    renamed = bring(source, renames=Renames(models={"churn": "churn-old"}))
    assert {one.loss for one in renamed.findings.kept} <= {Loss.NOTE, Loss.CLASH}


def test_other_names_and_users(bring: Bring, source: FakeSource, mlflow: Mlflow) -> None:
    renames = Renames({"Default": "old default"}, {"churn": "churn-old"}, {"champion": "was-champion"})

    report = bring(source, renames=renames, users={"user 0": "ada.lovelace"})

    assert report.findings.kept == []
    by_name = mlflow.get("experiments/get-by-name", experiment_name="old default")["experiment"]
    got = mlflow.get("runs/get", run_id=eid(0))["run"]
    assert got["info"]["experiment_id"] == by_name["experiment_id"]
    assert got["info"]["user_id"] == "ada.lovelace"
    alias = mlflow.get("registered-models/alias", name="churn-old", alias="was-champion")
    assert alias["model_version"]["version"] == "5"


def test_another_servers_version_of_the_same_number(bring: Bring, source: FakeSource) -> None:
    bring(source)
    other = FakeSource(address="https://other.example.com")
    other.listed_models = [ModelRecord("churn", BEGAN)]
    other.listed_versions = [VersionRecord("churn", 2, BEGAN + 77, BEGAN + 77)]

    report = bring(other)

    assert ("clash", "versions") in found(report)


def test_only_what_was_chosen(bring: Bring, source: FakeSource) -> None:
    report = bring(source, experiments=["gone"], only_experiments=True)

    (project,) = report.projects
    assert report.clean
    assert project.here[Entity.EXPERIMENT] == 1
    assert (project.here[Entity.RUN], project.here[Entity.DELETED_RUN]) == (0, 2)
    assert project.here[Entity.VERSION] == 0


def test_files_stay_where_the_operator_allows_it(source: FakeSource, settings: Settings, bring: Bring) -> None:
    source.change(source.listed_runs[0], artifact_uri="s3://bucket/0/artifacts")

    report = bring(source, files=FilesMode.IN_PLACE)

    assert ("refused", "files") in found(report)
    assert [uri for uri in source.opened if "/traces/" not in uri] == []  # attachments come with spans


def test_files_in_place(source: FakeSource, settings: Settings) -> None:
    allowing = create_deps(replace(settings, artifact_locations="s3://bucket"))
    run = source.listed_runs[0]
    only = FakeSource(listed_experiments=source.listed_experiments)
    only.listed_runs = [replace(run, artifact_uri="s3://bucket/0/artifacts", points=0)]

    report = bring_into(allowing, only, files=FilesMode.IN_PLACE)

    assert report.clean
    got = Mlflow(create_app(allowing).test_client()).get("runs/get", run_id=run.id)["run"]
    assert got["info"]["artifact_uri"] == "s3://bucket/0/artifacts"
    allowing.db.dispose()


def test_a_run_id_that_is_taken(bring: Bring, source: FakeSource, mlflow: Mlflow) -> None:
    taken = mlflow.post("runs/create", experiment_id="0", run_name="ours")["run"]["info"]["run_id"]
    only = FakeSource(listed_experiments=source.listed_experiments)
    only.listed_runs = [RunRecord(taken, "0", "theirs", "", "FINISHED", 1, 2, deleted=False, artifact_uri="")]

    report = bring(only)

    assert found(report) == {("clash", "runs")}
    assert mlflow.get("runs/get", run_id=taken)["run"]["info"]["run_name"] == "ours"
