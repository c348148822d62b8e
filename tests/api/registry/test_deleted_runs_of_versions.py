"""The run of a model version, when it is deleted: https://mlflow.org/docs/latest/ml/model-registry/."""

import pytest
from flask.testing import FlaskClient

from mltrail_server.services.context.deps import Deps
from tests.api.tracking.runs import by, new_run
from tests.mlflow_client import Make, Mlflow
from tests.team import EXTERNAL_URL, Team


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
def test_a_run_of_a_protected_branch_is_deleted_and_restored_by_maintainers(
    gitlab_client: FlaskClient, gitlab_deps: Deps, team: Team, paths: tuple[str, ...]
) -> None:
    run_id = new_run(by(gitlab_client, team.gitlab.mint(team.job(), EXTERNAL_URL)))
    refused = by(gitlab_client, team.tokens["developer"]).error("POST", "runs/delete", run_id=run_id)
    assert refused[:2] == (403, "PERMISSION_DENIED")
    assert "a Maintainer may delete it" in refused[2]
    person = by(gitlab_client, team.tokens["maintainer"])
    for path in paths:
        person.post(f"runs/{path}", run_id=run_id)
    with gitlab_deps.db.read() as connection:
        amendment = connection.exec_driver_sql("SELECT user_name, job_id, kinds FROM amendment").one()
        discarded = connection.exec_driver_sql("SELECT discarded FROM candidate").scalar_one()
    assert tuple(amendment) == ("maintainer", 0, "deletion")
    assert not discarded


@pytest.mark.parametrize("restored", [False, True])
def test_a_job_that_deletes_its_own_run_takes_it_back(
    gitlab_client: FlaskClient, gitlab_deps: Deps, team: Team, *, restored: bool
) -> None:
    mlflow = by(gitlab_client, team.gitlab.mint(team.job(), EXTERNAL_URL))
    run_id = new_run(mlflow)
    mlflow.post("runs/delete", run_id=run_id)
    assert mlflow.error("POST", "runs/set-tag", run_id=run_id, key="a", value="b")[0] == 400
    if restored:
        mlflow.post("runs/restore", run_id=run_id)
    with gitlab_deps.db.read() as connection:
        kept = connection.exec_driver_sql("SELECT amendment_iid, discarded FROM candidate").one()
    assert tuple(kept) == (None, not restored)
