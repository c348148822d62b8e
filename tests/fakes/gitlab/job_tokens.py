"""What a job can request with its `CI_JOB_TOKEN`. https://docs.gitlab.com/api/jobs/#get-job-tokens-job"""

from typing import TYPE_CHECKING, Any

from flask import Flask, request
from werkzeug.exceptions import abort

from . import shapes
from .door import Door
from .keys import LEVELS
from .state import Job

if TYPE_CHECKING:
    from .fake import FakeGitLab


def mount(app: Flask, fake: "FakeGitLab", door: Door) -> None:
    def job_of_token() -> Job:
        text = request.headers.get("JOB-TOKEN") or request.headers.get("Authorization", "").removeprefix("Bearer ")
        found = next((job for job in fake.jobs.values() if text and job.token == text), None)
        if found is None:
            door.token()
            # A known token, but of another kind.
            abort(404, "404 Job Not Found")
        if found.status != "running" or found.user.state != "active":
            abort(401, "401 Unauthorized")
        return found

    @app.get("/api/v4/job")
    def own_job() -> dict[str, Any]:
        found = job_of_token()
        path = fake.projects[found.pipeline.project_id].path
        return shapes.job(fake.url, path, found, fake.status_of(found.pipeline))

    @app.get("/api/v4/job/allowed_agents")
    def allowed_agents() -> dict[str, Any]:
        found = job_of_token()
        level = fake.projects[found.pipeline.project_id].members.get(found.user.id, 0)
        return {
            "allowed_agents": [],
            "job": {"id": found.id},
            "pipeline": {"id": found.pipeline.id},
            "project": {"id": found.pipeline.project_id, "groups": []},
            "user": {
                "id": found.user.id,
                "username": found.user.username,
                "roles_in_project": [name for number, name in sorted(LEVELS.items()) if 10 <= number <= level],
            },
            "environment": None,
        }
