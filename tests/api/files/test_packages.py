"""GitLab's package API for models, as its documentation calls it with curl.

https://docs.gitlab.com/user/project/ml/model_registry/#upload-files-to-a-model-version
"""

from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.registry import models, versions
from tests.mlflow_client import LOCAL_TOKEN, Make, Mlflow
from tests.team import Team

BASE = "/api/v4/projects/1/packages/ml_models"


def call(client: FlaskClient, method: str, path: str, *, base: str = BASE, **options: Any) -> TestResponse:
    headers = options.pop("headers", {"PRIVATE-TOKEN": LOCAL_TOKEN})
    return client.open(f"{base}/{path}", method=method, headers=headers, buffered=True, **options)


@pytest.fixture
def version_id(deps: Deps, make: Make) -> int:
    """Return the id that the newest of two models' versions has in the project: it is not its number."""
    make()
    number = int(make()["version"])
    with deps.project(ProjectId(1)).read() as tx:
        model_id = models.id_of(tx, "churn")
        found = versions.get(tx, model_id or 0, number)
    assert found is not None
    return found.id


@pytest.mark.parametrize("path", ["MLmodel", "data/deep/er/weights v1+2.bin", "ä/ß.txt"])
def test_files_of_a_version_go_up_and_down(client: FlaskClient, mlflow: Mlflow, version_id: int, path: str) -> None:
    put = call(client, "PUT", f"{version_id}/files/{path}", data=b"weights")
    assert (put.status_code, put.get_json()) == (201, {"message": "201 Created"})
    got = call(client, "GET", f"{version_id}/files/{path}")
    assert (got.status_code, got.data) == (200, b"weights")
    assert got.headers["Content-Disposition"].startswith("attachment")
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    # MLflow's clients find the same file.
    uri = mlflow.get("model-versions/get-download-uri", name="churn", version="2")["artifact_uri"]
    folder = uri.removeprefix("mlflow-artifacts:/")
    assert mlflow.call("GET", f"api/2.0/mlflow-artifacts/artifacts/{folder}/{path}", buffered=True).data == b"weights"


def test_files_of_a_candidate_by_its_number(client: FlaskClient, mlflow: Mlflow, run_id: str) -> None:
    tags = mlflow.get("runs/get", run_id=run_id)["run"]
    assert call(client, "PUT", "candidate:1/files/plot.png", data=b"png").status_code == 201
    listed = mlflow.get("artifacts/list", run_id=run_id)
    assert [file["path"] for file in listed["files"]] == ["plot.png"], tags
    assert call(client, "GET", "candidate:1/files/plot.png").data == b"png"


@pytest.mark.parametrize("owner", ["77", "candidate:77", "candidate:x", "churn", "-1", "9" * 40, "candidate:"])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_an_owner_that_is_not_there(client: FlaskClient, owner: str, method: str) -> None:
    answer = call(client, method, f"{owner}/files/a.txt", data=b"")
    assert answer.status_code == 404
    assert "no " in answer.get_json()["message"]


def test_a_file_that_is_not_there_and_a_folder(client: FlaskClient, version_id: int) -> None:
    call(client, "PUT", f"{version_id}/files/a/b.txt", data=b"b")
    assert call(client, "GET", f"{version_id}/files/nothing.txt").status_code == 404
    assert call(client, "GET", f"{version_id}/files/a").status_code == 400
    assert call(client, "GET", f"{version_id}/files/../../other").status_code in (400, 404)
    assert call(client, "GET", f"{version_id}/files/%2e%2e/%2e%2e/other").status_code in (400, 404)


def test_no_token_and_the_wrong_one(client: FlaskClient) -> None:
    for headers in ({}, {"PRIVATE-TOKEN": "wrong"}):
        answer = call(client, "GET", "1/files/a.txt", headers=headers)
        assert answer.status_code == 401
        assert answer.get_json()["message"]


def test_readers_upload_nothing(gitlab_client: FlaskClient, team: Team) -> None:
    base = "/api/v4/projects/42/packages/ml_models"
    mlflow = Mlflow(gitlab_client, project="42", token=team.tokens["developer"])
    mlflow.post("runs/create", experiment_id="0")
    for who, status in (("developer", 201), ("guest", 403), ("stranger", 404)):
        headers = {"Authorization": f"Bearer {team.tokens[who]}"}
        answer = call(gitlab_client, "PUT", "candidate:1/files/a.txt", base=base, headers=headers, data=b"a")
        assert answer.status_code == status, who
