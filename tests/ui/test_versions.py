"""A model's page and a version's: what they show, creating versions, and uploading and deleting their files."""

import io
import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.api.trail import SHAS, Trail
from tests.mlflow_client import LOCAL_TOKEN, Mlflow, good
from tests.team import EXTERNAL_URL, Team
from tests.ui.browsing import ML, TEAM_ML, form_token, page, sign_in, team_page

MLMODEL = b"""\
flavors: {python_function: {}, sklearn: {}}
mlflow_version: 3.1.0
saved_input_example_info: {artifact_path: input_example.json, type: dataframe}
signature:
  inputs: '[{"name": "tenure", "type": "double"}, {"name": "note", "type": "string", "required": false}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]'
  params: '[{"name": "limit", "type": "double", "default": 0.5, "shape": null}]'
"""


@pytest.fixture
def churn(mlflow: Mlflow, client: FlaskClient) -> str:
    """A model's page, with somebody signed in."""
    mlflow.post("registered-models/create", name="churn")
    sign_in(client, LOCAL_TOKEN)
    return f"{ML}/models/churn"


def send(client: FlaskClient, path: str, **fields: Any) -> TestResponse:
    return client.post(path, data={"csrf_token": form_token(client)} | fields)


def upload_url(client: FlaskClient, version: str) -> str:
    found = re.search(r'action="([^"]+/upload\?ticket=[^"]+)"', page(client, version))
    assert found
    return found[1]


def upload(client: FlaskClient, version: str, folder: str = "", **files: bytes) -> str:
    """Send the upload's form as a browser does, and return what the page says."""
    parts = [(io.BytesIO(body), name) for name, body in files.items()]
    answer = client.post(upload_url(client, version), data={"folder": folder, "file": parts})
    assert answer.status_code == 303
    shown = page(client, answer.headers["Location"])
    found = re.search(r'<div class="alert (?:danger|success)".*?<div>(.*?)</div>', shown, re.DOTALL)
    assert found
    return found[1]


def test_a_version_is_created_filled_and_emptied(client: FlaskClient, churn: str, mlflow: Mlflow) -> None:
    made = send(client, f"{churn}/versions", semver="2.0.0", description="By hand")
    here = made.headers["Location"]
    assert here == f"{churn}/versions/2.0.0"
    assert "Created churn 2.0.0; upload its files below." in page(client, here)
    assert upload(client, here, **{"MLmodel": MLMODEL, "input_example.json": b"[1]"}) == (
        "Uploaded “MLmodel”, “input_example.json” to churn 2.0.0."
    )
    assert "Uploaded “data/a.bin”" in upload(client, here, "/data/", **{"a.bin": b"\r\n--x" * 60_000})
    shown = page(client, here)
    for text in (
        "By hand",
        "tenure",
        "double",
        "float64 (any, 2)",
        "Inference parameters",
        "0.5",
        "python_function",
    ):
        assert text in shown
    assert f"{here}/preview/input_example.json" in shown
    assert client.get(f"{here}/files/data/a.bin").get_data() == b"\r\n--x" * 60_000
    assert "2 fields → float64 (any, 2)" in page(client, churn)
    asked = send(client, f"{here}/preview/data/a.bin", do="delete")
    assert "Delete the file “data/a.bin”?" in asked.get_data(as_text=True)
    send(client, f"{here}/preview/data/a.bin", do="delete", sure="1")
    assert "Deleted the file “data/a.bin” of churn 2.0.0." in page(client, here)
    assert client.get(f"{here}/files/data/a.bin").status_code == 404
    uri = mlflow.get("model-versions/get-download-uri", name="churn", version="1")["artifact_uri"]
    stored = mlflow.call("GET", f"api/2.0/mlflow-artifacts/artifacts/{uri.partition(':/')[2].strip('/')}/MLmodel")
    assert stored.get_data() == MLMODEL


def test_a_version_is_created_from_a_run(client: FlaskClient, churn: str, mlflow: Mlflow) -> None:
    run = mlflow.post("runs/create", experiment_id="0", run_name="first")["run"]["info"]["run_id"]
    path = f"api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/model/MLmodel"
    good(mlflow.call("PUT", path, data=MLMODEL))
    number = mlflow.get("runs/get", run_id=run)["run"]["data"]
    assert number is not None
    iid = re.search(r"/candidates/(\d+)", client.get(f"{ML}/runs/{run}").headers["Location"])
    assert iid
    made = send(client, f"{churn}/versions", run=iid[1])
    assert made.headers["Location"] == f"{churn}/versions/1.0.0"
    shown = page(client, made.headers["Location"])
    assert f"Created churn 1.0.0 from run {iid[1]}." in shown
    assert "tenure" in shown
    assert mlflow.get("model-versions/get", name="churn", version="1")["model_version"]["run_id"] == run
    for fields, why in (
        ({"run": "99"}, "no run number 99"),
        ({"run": "abc"}, "Give the run's number"),
        ({"semver": "1.0.0"}, "already been taken"),
        ({"semver": "one"}, "one"),
    ):
        assert send(client, f"{churn}/versions", **fields).headers["Location"] == churn
        assert why in page(client, churn)


def test_paths_stay_within_the_version(client: FlaskClient, churn: str) -> None:
    here = send(client, f"{churn}/versions").headers["Location"]
    for folder, name in (("..", "a"), ("a/../..", "a"), ("", ".."), ("a\\b", "x"), ("", "a/../../b"), ("%2e%2e", "a")):
        said = upload(client, here, folder, **{name: b"x"})
        assert "Invalid path" in said, (folder, name)
    assert upload(client, here, **{"": b""}) == "Choose the files to upload."
    assert "No files here. " in page(client, here)


def test_a_form_with_files_needs_its_ticket(client: FlaskClient, churn: str) -> None:
    here = send(client, f"{churn}/versions").headers["Location"]
    other = send(client, f"{churn}/versions").headers["Location"]
    good_url = upload_url(client, here)
    data = lambda: {"folder": "", "file": (io.BytesIO(b"x"), "a.txt")}  # noqa: E731 - a body is read once
    for url in (
        f"{here}/upload?ticket=",
        f"{here}/upload?ticket=guessed",
        f"{here}/upload",
        good_url.replace(here, other),
        good_url.replace("/upload?", "?"),
    ):
        assert client.post(url, data=data()).status_code == 403, url
    assert client.post(good_url, data=data(), headers={"Origin": "https://evil.example.com"}).status_code == 403
    client.post("/-/sign-out", data={"csrf_token": form_token(client)})
    assert client.post(good_url, data=data()).headers["Location"].startswith("/-/sign-in?next=")
    sign_in(client, LOCAL_TOKEN)
    assert client.post(good_url, data=data()).status_code == 403, "another session"
    assert "a.txt" not in page(client, here)


def test_a_body_that_is_cut_off_stores_no_part_of_a_file(client: FlaskClient, churn: str) -> None:
    here = send(client, f"{churn}/versions").headers["Location"]
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    body = head % b"whole.txt" + b"one\r\n" + head % b"half.txt" + b"tw"
    answer = client.post(upload_url(client, here), data=body, headers=kind)
    shown = page(client, answer.headers["Location"])
    assert "The upload was cut off before its end." in shown
    assert "Stored before that: “whole.txt”." in shown
    assert f"{here}/files/whole.txt" in shown
    assert f"{here}/files/half.txt" not in shown
    long_name = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\nx\r\n--b--\r\n' % (b"x" * 100_000)
    for bad in (b"", b"nonsense", head % b"x" * 2000, long_name):
        assert client.post(upload_url(client, here), data=bad, headers=kind).status_code == 303
    assert client.post(upload_url(client, here), data={"a": "b"}).status_code == 303


def promoted(trail: Trail, name: str, lr: str, client: FlaskClient) -> None:
    pipeline = trail.main(SHAS[name])
    trail.train(pipeline, [0.8 + float(lr) / 10], lr=lr)
    job = trail.team.gitlab.add_job(pipeline, "promote", "deploy", trail.team.users["maintainer"], "running")
    headers = {"Authorization": f"Bearer {trail.team.gitlab.mint(job, EXTERNAL_URL)}"}
    good(client.post("/api/v4/projects/42/ml/promotions", headers=headers, json={"pipeline_id": pipeline.id}))
    trail.clock.advance(60_000)


def test_timeline_and_rights_of_a_promoted_model(trail: Trail, team: Team, gitlab_client: FlaskClient) -> None:
    promoted(trail, "b", "0.1", gitlab_client)
    promoted(trail, "d", "0.2", gitlab_client)
    for role, writes, maintains in (
        ("guest", False, False),
        ("reporter", False, False),
        ("developer", True, False),
        ("maintainer", True, True),
    ):
        sign_in(gitlab_client, team.tokens[role], base_url=EXTERNAL_URL)
        shown = re.sub(r"\s+", " ", team_page(gitlab_client, f"{TEAM_ML}/models/churn"))
        main = shown.partition("<main")[2]
        assert shown.count('class="event"') == 2, "a promotion and its alias are one event"
        assert "moved from" in shown
        assert ('<form method="post"' in main) == writes, role
        assert ("Roll back to 1.0.0" in main) == maintains, role
        assert ('value="unalias"' in main) == maintains, role
        assert ("It is moved by promotions. A Maintainer can move it by hand." in main) == (writes and not maintains)
        assert ("Renaming the model churn, which has promoted versions, takes the Maintainer role" in main) == (
            writes and not maintains
        )
        version = re.sub(r"\s+", " ", team_page(gitlab_client, f"{TEAM_ML}/models/churn/versions/1.1.0"))
        assert "multipart/form-data" not in version
        assert ("The files of a promoted version never change." in version) == writes
        assert ('value="delete"' in version) is False
        assert ("churn 1.1.0 is 'champion' just now. Point that alias at another version first" in version) == maintains
        assert "Pipeline" in version
        assert "run-0" in version


@pytest.mark.parametrize(
    ("role", "status"), [("guest", 403), ("reporter", 403), ("developer", 303), ("maintainer", 303)]
)
def test_roles_decide_who_creates_and_uploads(
    trail: Trail, team: Team, gitlab_client: FlaskClient, role: str, status: int
) -> None:
    trail.person("developer").post("registered-models/create", name="churn")
    sign_in(gitlab_client, team.tokens[role], base_url=EXTERNAL_URL)
    fields = {"csrf_token": form_token(gitlab_client, base_url=EXTERNAL_URL)}
    answer = gitlab_client.post(f"{TEAM_ML}/models/churn/versions", data=fields, base_url=EXTERNAL_URL)
    assert answer.status_code == status
    if status != 303:
        assert "New version" not in team_page(gitlab_client, f"{TEAM_ML}/models/churn")
        return
    shown = team_page(gitlab_client, answer.headers["Location"])
    url = re.search(r'action="([^"]+/upload\?ticket=[^"]+)"', shown)
    assert url
    sent = gitlab_client.post(url[1], data={"file": (io.BytesIO(b"x"), "a.txt")}, base_url=EXTERNAL_URL)
    assert "Uploaded “a.txt” to churn 1.0.0." in team_page(gitlab_client, sent.headers["Location"].partition("#")[0])


def test_files_of_a_run_of_ci_jobs_stay_as_they_are(trail: Trail, team: Team, gitlab_client: FlaskClient) -> None:
    trail.train(trail.main(SHAS["b"]), [0.8])
    developer = trail.person("developer")
    developer.post("registered-models/create", name="mine")
    run = developer.post("runs/search", experiment_ids=["1"])["runs"][0]["info"]["run_id"]
    developer.post("model-versions/create", name="mine", source=f"runs:/{run}/model", run_id=run)
    sign_in(gitlab_client, team.tokens["developer"], base_url=EXTERNAL_URL)
    shown = team_page(gitlab_client, f"{TEAM_ML}/models/mine/versions/1.0.0")
    assert "Its files are those of run 1, and stay as its CI jobs logged them." in shown
    assert "multipart/form-data" not in shown
