"""`mltrail doctor` in a job: what it finds."""

import base64
import json
import time
from typing import Any

from mltrail_ci import __version__
from tests.component.conftest import Job


def token(job: Job, **changes: Any) -> str:
    claims = {"job_id": "4711", "aud": job.server.url, "exp": int(time.time()) + 3600, **changes}
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"header.{payload}.signature"


def a_setup(**changes: Any) -> dict[str, Any]:
    return {
        "version": __version__,
        "user": "dana",
        "access": "write",
        "limit": "",
        "job_id": 4711,
        "bot": {"ok": True, "problem": ""},
        **changes,
    }


def doctor(job: Job, token: str, **variables: str) -> tuple[int, dict[str, dict[str, Any]]]:
    job.environment.setenv("CI_JOB_ID", "4711")
    job.environment.setenv("MLFLOW_TRACKING_TOKEN", token)
    for name, value in variables.items():
        job.environment.setenv(name, value)
    job.server.answers.setdefault("GET /healthz", [(200, {})])
    job.server.answers.setdefault(f"GET {job.base}/setup", [(200, a_setup())])
    code, output, _ = job.run("doctor", "--json")
    return code, {check["name"]: check for check in json.loads(output)["checks"]}


def problems(found: tuple[int, dict[str, dict[str, Any]]]) -> dict[str, str]:
    code, checks = found
    wrong = {name: check["message"] for name, check in checks.items() if not check["ok"]}
    assert code == (1 if wrong else 0)
    return wrong
