"""Promotions by a pipeline's job or by hand, and what they lead to."""

import base64
import json
from typing import Any

from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import Pipeline
from tests.team import EXTERNAL_URL


def promote(trail: Trail, pipeline: Pipeline, *, status: int = 200, token: str | None = None, **wish: Any) -> Any:
    gitlab = trail.team.gitlab
    job = gitlab.add_job(pipeline, "promote", "deploy", trail.team.users["maintainer"], "running")
    answer = trail.client.post(
        "/api/v4/projects/42/ml/promotions",
        headers={"Authorization": f"Bearer {token or gitlab.mint(job, EXTERNAL_URL)}"},
        json={"pipeline_id": pipeline.id} | wish,
    )
    assert answer.status_code == status, answer.get_data(as_text=True)
    return answer.get_json()["promotions"] if status == 200 else answer.get_json()["message"]


def aliases(trail: Trail) -> dict[str, str]:
    mlflow = trail.person("guest")
    found = mlflow.get("registered-models/get", name="churn")["registered_model"].get("aliases", ())
    return {one["alias"]: one["version"] for one in found}


def with_contract(trail: Trail, text: str, sha: str = SHAS["b"]) -> Pipeline:
    gitlab, project = trail.team.gitlab, trail.team.project
    gitlab.add_commit(project, sha, parents=("a1" * 20,), branch="main", files={".mltrail.yml": text})
    return gitlab.add_pipeline(project, sha, "main", "push")


def by_hand(trail: Trail, role: str = "maintainer", *, status: int = 200, **wish: Any) -> Any:
    answer = trail.client.post(
        "/api/v4/projects/42/ml/promotions", headers={"Authorization": f"Bearer {trail.team.tokens[role]}"}, json=wish
    )
    assert answer.status_code == status, answer.get_data(as_text=True)
    return answer.get_json()["promotions"] if status == 200 else answer.get_json()["message"]


def provenance_of(trail: Trail, version: str = "1.0.0", *, model: str = "churn", status: int = 200) -> Any:
    answer = trail.client.get(
        f"/api/v4/projects/42/ml/models/{model}/versions/{version}/provenance",
        headers={"Authorization": f"Bearer {trail.team.tokens['guest']}"},
    )
    assert answer.status_code == status, answer.get_data(as_text=True)
    return answer.get_json()


def statement(trail: Trail, version: str = "1.0.0", *, model: str = "churn") -> Any:
    return json.loads(base64.b64decode(provenance_of(trail, version, model=model)["envelope"]["payload"]))
