"""`mltrail doctor`: each usual mistake is found and explained."""

import base64
import json
import time
from typing import Any

from tests.component.conftest import Job


def token(job: Job, **changes: Any) -> str:
    claims = {"job_id": "4711", "aud": job.server.url, "exp": int(time.time()) + 3600, **changes}
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"header.{payload}.signature"


def doctor(job: Job, token: str, **variables: str) -> tuple[int, dict[str, dict[str, Any]]]:
    job.environment.setenv("CI_JOB_ID", "4711")
    job.environment.setenv("MLFLOW_TRACKING_TOKEN", token)
    for name, value in variables.items():
        job.environment.setenv(name, value)
    job.server.answers.setdefault("GET /healthz", [(200, {})])
    job.server.answers.setdefault(f"GET {job.base}/pipelines/1001/candidates", [(200, {"candidates": []})])
    code, told, _ = job.run("doctor", "--json")
    return code, {check["name"]: check for check in json.loads(told)["checks"]}


def problems(found: tuple[int, dict[str, dict[str, Any]]]) -> dict[str, str]:
    code, checks = found
    wrong = {name: check["message"] for name, check in checks.items() if not check["ok"]}
    assert code == (1 if wrong else 0)
    return wrong


def test_all_is_well(job: Job) -> None:
    code, checks = doctor(job, token(job))
    assert (code, set(checks)) == (0, {"token", "audience", "expiry", "server", "clock", "access"})


def test_clocks_that_differ(job: Job) -> None:
    job.server.clock_is_off_by = 300
    assert "differ by" in problems(doctor(job, token(job)))["clock"]


def test_a_slash_at_the_audiences_end_is_fine(job: Job) -> None:
    assert problems(doctor(job, token(job, aud=[f"{job.server.url}/"]))) == {}


def test_another_audience(job: Job) -> None:
    wrong = problems(doctor(job, token(job, aud="https://gitlab.example.com")))
    assert job.server.url in wrong["audience"]


def test_a_token_of_another_job(job: Job) -> None:
    assert "4710" in problems(doctor(job, token(job, job_id="4710")))["token"]


def test_a_variable_that_shadows_the_token(job: Job) -> None:
    assert "CI/CD variable" in problems(doctor(job, "glpat-forgotten"))["token"]


def test_no_token(job: Job) -> None:
    assert "id_tokens" in problems(doctor(job, ""))["token"]


def test_an_expired_token(job: Job) -> None:
    assert "expired" in problems(doctor(job, token(job, exp=1)))["expiry"]


def test_a_run_id_that_was_handed_on(job: Job) -> None:
    assert "dotenv" in problems(doctor(job, token(job), MLFLOW_RUN_ID="abc"))["MLFLOW_RUN_ID"]


def test_a_refused_token(job: Job) -> None:
    job.server.lay(f"GET {job.base}/pipelines/1001/candidates", {"message": "Unknown issuer."}, status=401)
    assert "Unknown issuer." in problems(doctor(job, token(job)))["access"]


def test_people_read_sentences(job: Job) -> None:
    doctor(job, token(job))
    told = job.run("doctor")[1]
    assert "ok       token: MLFLOW_TRACKING_TOKEN is the ID token of job 4711" in told
