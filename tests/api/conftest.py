"""What the tests of the API begin with: a run, a maker of versions, a reviewed merge request, where files are."""

from typing import Any

import pytest

from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import MergeRequest, Pipeline
from tests.mlflow_client import Make, Mlflow
from tests.s3 import Bucket


@pytest.fixture
def run_id(mlflow: Mlflow) -> str:
    made: str = mlflow.post("runs/create", experiment_id="0", run_name="first")["run"]["info"]["run_id"]
    return made


@pytest.fixture
def make(mlflow: Mlflow) -> Make:
    """Answers a maker of versions of the model `churn`, which exists."""
    mlflow.post("registered-models/create", name="churn")

    def version(name: str = "churn", *, semver: str | None = None, **fields: Any) -> Any:
        if semver is not None:
            fields["tags"] = [*fields.get("tags", ()), {"key": "gitlab.version", "value": semver}]
        return mlflow.post("model-versions/create", name=name, **fields)["model_version"]

    return version


@pytest.fixture
def reviewed(trail: Trail) -> tuple[MergeRequest, Pipeline]:
    """A trained default branch, and a merge request whose pipeline has trained better models."""
    trail.train(trail.main(SHAS["b"]), [0.80, 0.81, 0.82])
    request = trail.request(SHAS["c"])
    pipeline = trail.of_request(request, SHAS["c"])
    trail.train(pipeline, [0.90, 0.91, 0.92], lr="0.2")
    return request, pipeline


@pytest.fixture
def root(run_id: str) -> str:
    return f"0/{run_id}/artifacts"


@pytest.fixture
def bot_is_a_developer(trail: Trail) -> None:
    """The bot may open threads and issues, and set statuses."""
    trail.team.project.members[trail.team.users["bot"].id] = 30


@pytest.fixture
def s3_next_to_postgresql(backend: str, request: pytest.FixtureRequest) -> dict[str, str]:
    """A laptop's setting and a team's: a folder beside SQLite, S3 beside PostgreSQL."""
    if backend == "sqlite":
        return {}
    bucket: Bucket = request.getfixturevalue("bucket")
    return {"artifacts": bucket.url, "s3_endpoint_url": bucket.endpoint_url}
