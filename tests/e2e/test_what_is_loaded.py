"""A web process that serves trainings loads nothing that only people, pipelines or operators need."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.environment import without_settings
from tests.fakes.gitlab import FakeGitLab

PROGRAM = """
import sys
from mltrail_server.serve import web_process
client = web_process().test_client()
path = sys.argv[1] + "/ml/mlflow/api/2.0/mlflow/"
headers = {"Authorization": "Bearer " + sys.argv[2]}
run = client.post(path + "runs/create", json={"experiment_id": "0"}, headers=headers, base_url="http://127.0.0.1")
assert run.status_code == 200, run.text
body = {"run_id": run.json["run"]["info"]["run_id"], "metrics": [{"key": "loss", "value": 0.5, "timestamp": 1}]}
logged = client.post(path + "runs/log-batch", json=body, headers=headers, base_url="http://127.0.0.1")
assert logged.status_code == 200, logged.text
found = client.post(path + "runs/search", json={"experiment_ids": ["0"]}, headers=headers, base_url="http://127.0.0.1")
assert found.status_code == 200, found.text
missing = client.get(path + "runs/get?run_id=none", headers=headers, base_url="http://127.0.0.1")
assert missing.status_code == 404, missing.text
print(*sys.modules)
"""

NEVER = (
    "alembic",
    "boto3",
    "botocore",
    "gitlab",  # ID tokens need only the keys
    "google.protobuf",
    "markdown_it",
    "mltrail_server.artifacts.s3",
    "mltrail_server.domain.grouping",
    "mltrail_server.services.admin.overview",
    "mltrail_server.services.ci",
    "mltrail_server.services.pages",
    "mltrail_server.services.promotion",
    "mltrail_server.services.registry",
    "mltrail_server.services.review",
    "mltrail_server.services.traces.spans",
    "mltrail_server.ui.render",
    "mltrail_server.worker",
    "opentelemetry",
    "sqlalchemy.dialects.postgresql",  # with SQLite, as here
    "yaml",
)
"""Neither these modules nor what is below them."""

NOT_IN_LOCAL_MODE = ("cryptography", "jwt", "requests", "urllib3")


def loaded(folder: Path, project: str, token: str, **settings: str) -> set[str]:
    """Make the first calls of a training, in a process of its own, and name what it has loaded then."""
    environment = without_settings() | {"MLTRAIL_DATA_DIR": str(folder)} | settings
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, f"/api/v4/projects/{project}", token],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def below(modules: set[str], roots: tuple[str, ...]) -> list[str]:
    return sorted(one for one in modules if any(f"{one}.".startswith(f"{root}.") for root in roots))


@pytest.mark.e2e
def test_in_local_mode(tmp_path: Path) -> None:
    modules = loaded(tmp_path, "1", "t" * 20, MLTRAIL_LOCAL_TOKEN="t" * 20)
    assert "mltrail_server.services.tracking.logging" in modules
    assert below(modules, NEVER + NOT_IN_LOCAL_MODE) == []


@pytest.mark.e2e
def test_with_a_gitlab(tmp_path: Path) -> None:
    gitlab = FakeGitLab()
    gitlab.start()
    try:
        user = gitlab.add_user("dana")
        project = gitlab.add_project("team/churn", id=1)
        gitlab.add_member(project, user, 30)
        job = gitlab.add_job(gitlab.add_pipeline(project, "a1" * 20, "main", "push"), "train", "train", user, "running")
        modules = loaded(
            tmp_path,
            "1",
            gitlab.mint(job, "http://127.0.0.1"),
            MLTRAIL_GITLAB_URL=gitlab.url,
            MLTRAIL_EXTERNAL_URL="http://127.0.0.1",
            MLTRAIL_SECRET_KEY="k" * 40,
        )
    finally:
        gitlab.stop()
    assert "jwt" in modules
    assert below(modules, NEVER) == []


@pytest.mark.e2e
def test_s3_without_its_extra_is_refused_with_what_to_do(tmp_path: Path) -> None:
    hidden = "import sys; sys.modules['boto3'] = None; from mltrail_server.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", hidden, "serve", "--data-dir", str(tmp_path), "--port", "0"],
        env=without_settings() | {"MLTRAIL_ARTIFACTS": "s3://bucket/prefix"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "install mltrail[server,s3]" in done.stderr
