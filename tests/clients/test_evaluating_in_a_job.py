"""`mlflow.genai.evaluate` in a CI job: the run, its traces and what its scorers said belong to the job.

https://mlflow.org/docs/latest/genai/eval-monitor/
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.clients.environments import ENVIRONMENTS
from tests.team_server import TeamServer

pytestmark = pytest.mark.clients

OPINION = ("liked", True)
"""What a person adds to a trace of the job, in another test: they run in any order."""

EVALUATION = """
import mlflow
from mlflow.genai.scorers import scorer

@scorer
def correct(outputs, expectations):
    return outputs == expectations["answer"]

mlflow.set_experiment("answers")
data = [{"inputs": {"question": one}, "expectations": {"answer": one.upper()}} for one in "abc"]
result = mlflow.genai.evaluate(data=data, predict_fn=lambda question: question.upper(), scorers=[correct])
print("RUN", result.run_id)
"""


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TeamServer]:
    with TeamServer(tmp_path_factory.mktemp("team"), workers=1) as running:
        yield running


@pytest.fixture(scope="module")
def run_id(team: TeamServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run that a job has evaluated, with nothing but what `track` gives to jobs."""
    return evaluated(team, team.token(), tmp_path_factory.mktemp("job"))


def evaluated(team: TeamServer, token: str, folder: Path) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "MLFLOW_TRACKING_URI": team.tracking_uri,
        "MLFLOW_TRACKING_TOKEN": token,
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
    }
    python = ENVIRONMENTS / "mlflow-3/bin/python"
    done = subprocess.run(
        [python, "-c", EVALUATION], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.rpartition("RUN ")[2].strip()


def call(team: TeamServer, token: str, method: str, path: str, **fields: Any) -> tuple[int, Any]:
    response = urllib3.request(
        method,
        f"{team.tracking_uri}/api/{path}",
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        body=json.dumps(fields) if fields else None,
    )
    return response.status, response.json()


def run_of(team: TeamServer, run_id: str) -> tuple[dict[str, str], str]:
    """A run's tags, and its experiment."""
    run = call(team, developer(team), "GET", f"2.0/mlflow/runs/get?run_id={run_id}")[1]["run"]
    return {tag["key"]: tag["value"] for tag in run["data"]["tags"]}, run["info"]["experiment_id"]


def traces_of(team: TeamServer, run_id: str) -> list[dict[str, Any]]:
    places = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": run_of(team, run_id)[1]}}]
    status, found = call(
        team, developer(team), "POST", "3.0/mlflow/traces/search", locations=places, filter=f"run_id = '{run_id}'"
    )
    assert status == 200, found
    return list(found["traces"])


def developer(team: TeamServer) -> str:
    return team.gitlab.add_token(team.developer, ["api"])


def another_job(team: TeamServer) -> str:
    job = team.gitlab.add_job(team.job.pipeline, "other", "train", team.developer, "running")
    return team.gitlab.mint(job, team.url)


def test_run_and_traces_have_the_job_s_stamp(team: TeamServer, run_id: str) -> None:
    wanted = {"gitlab.CI_JOB_ID": str(team.job.id), "gitlab.CI_PIPELINE_ID": str(team.job.pipeline.id)}
    assert wanted.items() <= run_of(team, run_id)[0].items()
    traces = traces_of(team, run_id)
    assert len(traces) == 3
    for trace in traces:
        assert wanted.items() <= trace["trace_metadata"].items()
        given = {(one["assessment_name"], "feedback" in one) for one in trace["assessments"]}
        assert given - {OPINION} == {("correct", True), ("answer", False)}


def test_nobody_else_changes_what_the_job_logged(team: TeamServer, run_id: str) -> None:
    trace = traces_of(team, run_id)[0]
    feedback = next(one for one in trace["assessments"] if one["assessment_name"] == "correct")
    at = f"3.0/mlflow/traces/{trace['trace_id']}"
    its_feedback = f"{at}/assessments/{feedback['assessment_id']}"
    for token in (another_job(team), developer(team)):
        status, answer = call(team, token, "PATCH", f"{at}/tags", key="mlflow.test.name", value="other")
        assert (status, answer["error_code"]) == (403, "PERMISSION_DENIED")
        changed = {"assessment_name": "correct", "feedback": {"value": False}, "source": feedback["source"]}
        status, answer = call(team, token, "PATCH", its_feedback, assessment=changed, update_mask="feedback")
        assert (status, answer["error_code"]) == (403, "PERMISSION_DENIED")
        assert call(team, token, "DELETE", its_feedback)[0] == 403
    assert next(one for one in traces_of(team, run_id) if one["trace_id"] == trace["trace_id"]) == trace


def test_a_person_adds_feedback_and_evaluates_without_a_stamp(team: TeamServer, run_id: str, tmp_path: Path) -> None:
    trace = traces_of(team, run_id)[0]
    opinion = {
        "assessment_name": OPINION[0],
        "trace_id": trace["trace_id"],
        "source": {"source_type": "HUMAN", "source_id": "developer"},
        "feedback": {"value": True},
    }
    at = f"3.0/mlflow/traces/{trace['trace_id']}/assessments"
    assert call(team, developer(team), "POST", at, assessment=opinion)[0] == 200
    own = evaluated(team, developer(team), tmp_path)
    assert "gitlab.CI_JOB_ID" not in run_of(team, own)[0]
    assert all("gitlab.CI_JOB_ID" not in trace["trace_metadata"] for trace in traces_of(team, own))
