"""The run of a model version, when it is deleted: https://mlflow.org/docs/latest/ml/model-registry/."""

import pytest
from flask.testing import FlaskClient

from mltrail_server.services.deps import Deps
from tests.api.conftest import Make, Mlflow
from tests.api.test_identity_stamp import by, new_run
from tests.conftest import EXTERNAL_URL, Team


def test_a_version_keeps_its_files_when_its_run_is_deleted(mlflow: Mlflow, make: Make, run_id: str) -> None:
    folder = f"api/2.0/mlflow-artifacts/artifacts/0/{run_id}/artifacts/model"
    assert mlflow.call("PUT", f"{folder}/weights.bin", data=b"weights").status_code == 200
    made = make(source=f"runs:/{run_id}/model", run_id=run_id)
    mlflow.post("runs/delete", run_id=run_id)
    uri = mlflow.get("model-versions/get-download-uri", name="churn", version=made["version"])["artifact_uri"]
    assert uri == f"mlflow-artifacts:/0/{run_id}/artifacts/model"
    with mlflow.call("GET", f"{folder}/weights.bin") as answer:
        assert answer.data == b"weights"


def test_deleting_and_restoring_twice_is_no_error(mlflow: Mlflow, run_id: str) -> None:
    for path, stage in (("delete", "deleted"), ("delete", "deleted"), ("restore", "active"), ("restore", "active")):
        mlflow.post(f"runs/{path}", run_id=run_id)
        assert mlflow.get("runs/get", run_id=run_id)["run"]["info"]["lifecycle_stage"] == stage


@pytest.mark.parametrize("paths", [("delete",), ("delete", "restore")])
def test_a_run_of_a_job_that_a_person_deletes_or_restores_is_amended(
    gitlab_client: FlaskClient, gitlab_deps: Deps, team: Team, paths: tuple[str, ...]
) -> None:
    run_id = new_run(by(gitlab_client, team.gitlab.mint(team.job(), EXTERNAL_URL)))
    person = by(gitlab_client, team.tokens["developer"])
    for path in paths:
        person.post(f"runs/{path}", run_id=run_id)
    with gitlab_deps.db.read() as connection:
        amended = connection.exec_driver_sql("SELECT amended FROM candidate").scalar_one()
    assert bool(amended)


def test_a_job_that_deletes_its_own_run_amends_nothing(
    gitlab_client: FlaskClient, gitlab_deps: Deps, team: Team
) -> None:
    mlflow = by(gitlab_client, team.gitlab.mint(team.job(), EXTERNAL_URL))
    mlflow.post("runs/delete", run_id=new_run(mlflow))
    with gitlab_deps.db.read() as connection:
        amended = connection.exec_driver_sql("SELECT amended FROM candidate").scalar_one()
    assert not amended
