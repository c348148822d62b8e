"""Experiments with an artifact location of their own: used where the operator allows it, else kept as a tag.

https://mlflow.org/docs/latest/api_reference/rest-api.html#create-experiment
"""

from dataclasses import replace

import pytest

from mltrail_server.app import create_app
from mltrail_server.domain.errors import MltrailError
from mltrail_server.services.context.deps import Deps
from mltrail_server.settings import Settings
from tests.mlflow_client import INVALID, Mlflow, failure

UNUSED = "mltrail.artifact_location_not_used"
PLACES = "s3://bucket/team, gs://other/,dbfs:/models"


@pytest.fixture
def allowing(deps: Deps) -> Mlflow:
    """A server whose operator allows some places."""
    app = create_app(replace(deps, settings=replace(deps.settings, artifact_locations=PLACES)))
    return Mlflow(app.test_client())


def made(mlflow: Mlflow, location: str, name: str = "e") -> tuple[str, str, dict[str, str]]:
    iid = mlflow.post("experiments/create", name=name, artifact_location=location)["experiment_id"]
    found = mlflow.get("experiments/get", experiment_id=iid)["experiment"]
    searched = mlflow.post("experiments/search", filter=f"name = '{name}'")["experiments"]
    listed = mlflow.get("experiments/list")["experiments"]
    by_name = mlflow.get("experiments/get-by-name", experiment_name=name)["experiment"]
    assert found == searched[0] == by_name
    assert found in listed
    return iid, found["artifact_location"], {tag["key"]: tag["value"] for tag in found["tags"]}


@pytest.mark.parametrize(
    ("location", "used"),
    [
        ("s3://bucket/team", "s3://bucket/team"),
        ("s3://bucket/team/", "s3://bucket/team"),
        ("s3://bucket/team/churn/v2", "s3://bucket/team/churn/v2"),
        ("gs://other/x", "gs://other/x"),
        ("gs://other", "gs://other"),
        ("dbfs:/models/a", "dbfs:/models/a"),
    ],
)
def test_an_allowed_place_is_used_by_clients_alone(allowing: Mlflow, location: str, used: str) -> None:
    iid, shown, tags = made(allowing, location)
    assert (shown, tags) == (used, {})
    run = allowing.post("runs/create", experiment_id=iid)["run"]["info"]
    assert run["artifact_uri"] == f"{used}/{run['run_id']}/artifacts"
    assert allowing.get("runs/get", run_id=run["run_id"])["run"]["info"] == run
    assert allowing.post("runs/search", experiment_ids=[iid])["runs"][0]["info"] == run
    by_uri = f"attributes.artifact_uri = '{run['artifact_uri']}'"
    assert len(allowing.post("runs/search", experiment_ids=[iid], filter=by_uri)["runs"]) == 1
    updated = allowing.post("runs/update", run_id=run["run_id"], status="FINISHED")["run_info"]
    assert updated["artifact_uri"] == run["artifact_uri"]
    model = allowing.post("logged-models", experiment_id=iid, name="m", source_run_id=run["run_id"])["model"]["info"]
    assert model["artifact_uri"] == f"{used}/models/{model['model_id']}/artifacts"
    assert allowing.get(f"logged-models/{model['model_id']}")["model"]["info"] == model


def test_file_routes_say_where_the_files_are(allowing: Mlflow) -> None:
    iid, _, _ = made(allowing, "s3://bucket/team")
    run = allowing.post("runs/create", experiment_id=iid)["run"]["info"]
    model = allowing.post("logged-models", experiment_id=iid, name="m", source_run_id=run["run_id"])["model"]["info"]
    proxy = "api/2.0/mlflow-artifacts"
    root, of_model = f"{iid}/{run['run_id']}/artifacts", f"{iid}/models/{model['model_id']}/artifacts"
    calls = [
        ("GET", f"api/2.0/mlflow/artifacts/list?run_id={run['run_id']}", {}),
        ("GET", f"get-artifact?run_id={run['run_id']}&path=a", {}),
        ("POST", f"api/2.0/mlflow/upload-artifact?run_id={run['run_id']}&path=a", {"data": b"x"}),
        ("GET", f"api/2.0/mlflow/logged-models/{model['model_id']}/artifacts/directories", {}),
        *(
            (method, f"{proxy}/artifacts/{folder}/f", {"data": b"x"} if method == "PUT" else {})
            for method in ("PUT", "GET", "DELETE")
            for folder in (root, of_model)
        ),
        ("GET", f"{proxy}/artifacts?path={root}", {}),
        ("POST", f"{proxy}/mpu/create/{root}/f", {"json": {"path": "f", "num_parts": 1}}),
    ]
    for method, path, options in calls:
        answer = allowing.call(method, path, **options)
        if answer.status_code == 501:
            continue
        error = failure(answer)
        assert error[:2] == INVALID, (method, path)
        assert "s3://bucket/team/" in error[2]
        assert "does not read" in error[2]


def test_versions_of_such_runs_lie_there_too(allowing: Mlflow) -> None:
    iid, _, _ = made(allowing, "s3://bucket/team")
    run = allowing.post("runs/create", experiment_id=iid)["run"]["info"]
    model = allowing.post("logged-models", experiment_id=iid, name="m", source_run_id=run["run_id"])["model"]["info"]
    allowing.post("registered-models/create", name="churn")
    cases = [
        ({"source": f"runs:/{run['run_id']}/a", "run_id": run["run_id"]}, f"{run['artifact_uri']}/a"),
        ({"source": f"{run['artifact_uri']}/a", "run_id": run["run_id"]}, f"{run['artifact_uri']}/a"),
        ({"source": model["artifact_uri"], "model_id": model["model_id"]}, model["artifact_uri"]),
        ({"source": f"models:/{model['model_id']}"}, model["artifact_uri"]),
        ({"run_id": run["run_id"]}, run["artifact_uri"]),
    ]
    for number, (fields, uri) in enumerate(cases, start=1):
        allowing.post("model-versions/create", name="churn", **fields)
        asked = {"name": "churn", "version": str(number)}
        assert allowing.get("model-versions/get-download-uri", **asked)["artifact_uri"] == uri


@pytest.mark.parametrize(
    "location",
    [
        "s3://bucket/x",
        "s3://bucket/teams",
        "s3://bucket/team/../other",
        "s3://bucket/team/%2e%2e/other",
        "S3://bucket/team",
        "gs://other2",
        "file:///tmp",
        "/tmp/x",
        "./mlruns",
        "http://host/x",
        "mlflow-artifacts:/9",
        "javascript:alert(1)",
    ],
)
def test_a_place_that_is_not_allowed_is_a_tag_of_the_experiment(
    allowing: Mlflow, mlflow: Mlflow, location: str
) -> None:
    for number, one in enumerate((allowing, mlflow)):
        iid, shown, tags = made(one, location, f"e{number}")
        assert shown == f"mlflow-artifacts:/{iid}"
        assert tags == {UNUSED: location}
        run = one.post("runs/create", experiment_id=iid)["run"]["info"]
        assert run["artifact_uri"] == f"mlflow-artifacts:/{iid}/{run['run_id']}/artifacts"


def test_a_password_in_a_place_is_not_shown(mlflow: Mlflow) -> None:
    _, _, tags = made(mlflow, "s3://user:secret@bucket/x")
    assert "secret" not in str(tags)
    assert UNUSED in tags


@pytest.mark.parametrize("location", ["", None])
def test_no_place_is_no_note(mlflow: Mlflow, location: str | None) -> None:
    _, _, tags = made(mlflow, location)  # type: ignore[arg-type] # what a client may send
    assert tags == {}


@pytest.mark.parametrize("places", ["bucket/team", "/srv/files", "file:///srv", "https://host/x", "s3://u:p@bucket/x"])
def test_an_operator_can_allow_places_of_clients_only(places: str) -> None:
    with pytest.raises(MltrailError, match="MLTRAIL_ARTIFACT_LOCATIONS"):
        Settings.from_environment({"MLTRAIL_ARTIFACT_LOCATIONS": places})
