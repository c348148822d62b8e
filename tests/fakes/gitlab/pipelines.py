"""Pipelines and jobs. https://docs.gitlab.com/api/pipelines/ and https://docs.gitlab.com/api/jobs/"""

from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request

from . import shapes
from .door import Door, missing, paged, unknown
from .state import Job, Pipeline, Project

if TYPE_CHECKING:
    from .fake import FakeGitLab


def mount_bridges(app: Flask, fake: "FakeGitLab", door: Door) -> None:
    """The pipelines that a pipeline has started. https://docs.gitlab.com/api/jobs/#list-all-trigger-jobs-for-a-pipeline"""

    @app.get("/api/v4/projects/<project:ref>/pipelines/<int:number>/trigger_jobs")
    def trigger_jobs(ref: str, number: int) -> Response:
        return bridges(ref, number) if fake.since("19.2") else unknown()

    @app.get("/api/v4/projects/<project:ref>/pipelines/<int:number>/bridges")
    def bridges(ref: str, number: int) -> Response:
        where = door.project(ref)
        asked = fake.pipelines.get(number)
        if asked is None or asked.project_id != where.id:
            missing()

        def shown(one: Pipeline) -> dict[str, Any]:
            return shapes.pipeline(fake.url, where.path, one, fake.status_of(one))

        started = [one for one in fake.pipelines.values() if one.parent is asked]
        return paged([shapes.bridge(fake.url, where.path, shown(asked), shown(one)) for one in started])


def mount(app: Flask, fake: "FakeGitLab", door: Door) -> None:
    def existing(where: Project, number: int) -> Pipeline:
        found = fake.pipelines.get(number)
        return found if found and found.project_id == where.id else missing()

    def shown(where: Project, one: Pipeline) -> dict[str, Any]:
        return shapes.pipeline(fake.url, where.path, one, fake.status_of(one))

    def shown_job(where: Project, job: Job) -> dict[str, Any]:
        return shapes.job(fake.url, where.path, job, fake.status_of(job.pipeline))

    @app.get("/api/v4/projects/<project:ref>/pipelines")
    def pipelines(ref: str) -> Response:
        where = door.project(ref)
        of_project = [one for one in fake.pipelines.values() if one.project_id == where.id]
        if "source" not in request.args:
            # GitLab leaves out child pipelines.
            of_project = [one for one in of_project if one.source != "parent_pipeline"]
        everything = [shapes.basic(shown(where, one)) for one in of_project]
        names = [name for name in ("ref", "sha", "source", "status") if name in request.args]
        return paged([one for one in reversed(everything) if all(one[name] == request.args[name] for name in names)])

    @app.get("/api/v4/projects/<project:ref>/pipelines/<int:number>")
    def pipeline(ref: str, number: int) -> dict[str, Any]:
        where = door.project(ref)
        return shown(where, existing(where, number))

    @app.get("/api/v4/projects/<project:ref>/pipelines/<int:number>/jobs")
    def pipeline_jobs(ref: str, number: int) -> Response:
        where = door.project(ref)
        found = sorted(fake.jobs_of(existing(where, number)), key=lambda job: -job.id)
        retried = request.args.get("include_retried", "false").lower() in ("true", "1")
        scopes = request.args.getlist("scope[]")
        return paged(
            [
                shown_job(where, job)
                for job in found
                if (retried or not job.retried) and (not scopes or job.status in scopes)
            ]
        )

    @app.get("/api/v4/projects/<project:ref>/jobs/<int:number>")
    def job(ref: str, number: int) -> dict[str, Any]:
        where = door.project(ref)
        found = fake.jobs.get(number)
        return shown_job(where, found) if found and found.pipeline.project_id == where.id else missing()

    @app.get("/api/v4/projects/<project:ref>/merge_requests/<int:iid>/pipelines")
    def merge_request_pipelines(ref: str, iid: int) -> Response:
        where = door.project(ref)
        asked = where.merge_requests.get(iid) or missing()
        found = [one for one in fake.pipelines.values() if one.merge_request is asked]
        return paged([shapes.basic(shown(where, one)) for one in reversed(found)])
