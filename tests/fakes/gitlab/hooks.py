"""Project webhooks. https://docs.gitlab.com/api/project_webhooks/"""

import json
import uuid
from typing import TYPE_CHECKING, Any

import urllib3
from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import abort

from mltrail_server.domain.webhook_secrets import signature

from . import shapes
from .door import MAINTAINER, Door, missing
from .faults import aside
from .state import Hook, Pipeline, Project

if TYPE_CHECKING:
    from .fake import FakeGitLab


def mount(app: Flask, fake: "FakeGitLab", door: Door) -> None:
    base = "/api/v4/projects/<project:ref>/hooks"

    @app.post(base)
    def create_hook(ref: str) -> tuple[Response, int]:
        where, body = door.project(ref, MAINTAINER), request.get_json()
        if not body["url"].startswith(("http://", "https://")):
            abort(422, "Invalid url given")
        hook = Hook(fake.number("hook"), body["url"], body.get("token", ""), body.get("signing_token", ""))
        where.hooks[hook.id] = hook
        return jsonify(id=hook.id, url=hook.url, project_id=where.id, token_present=bool(hook.token)), 201

    @app.delete(f"{base}/<int:number>")
    def delete_hook(ref: str, number: int) -> tuple[str, int]:
        hooks = door.project(ref, MAINTAINER).hooks
        return ("", 204) if hooks.pop(number, None) else missing()

    @app.post(f"{base}/<int:number>/test/pipeline_events")
    def try_hook(ref: str, number: int) -> tuple[Response, int]:
        where = door.project(ref, MAINTAINER)
        hook = where.hooks.get(number) or missing()
        pipelines = [one for one in fake.pipelines.values() if one.project_id == where.id]
        if not pipelines:
            abort(422, "Ensure the project has CI jobs.")
        body = json.dumps(pipeline_event(fake, where, pipelines[-1])).encode()
        aside(fake, lambda: deliver(fake, hook, body))
        return jsonify(message="201 Created"), 201


def deliver(fake: "FakeGitLab", hook: Hook, body: bytes) -> None:
    number, at = str(uuid.uuid4()), str(int(fake.clock()))
    headers = {"Content-Type": "application/json", "X-Gitlab-Event": "Pipeline Hook", "Idempotency-Key": number}
    if hook.token:
        headers["X-Gitlab-Token"] = hook.token
    if hook.signing_token and fake.since("19"):
        signed = signature(hook.signing_token, number, at, body)
        headers |= {"webhook-id": number, "webhook-timestamp": at, "webhook-signature": signed}
    spoilt = fake.spoil_hook(headers, body)
    if spoilt is not None:
        urllib3.request("POST", hook.url, body=spoilt[1], headers=spoilt[0], timeout=60, retries=False)


def pipeline_event(fake: "FakeGitLab", where: Project, one: Pipeline) -> dict[str, Any]:
    """https://docs.gitlab.com/user/project/integrations/webhook_events/#pipeline-events"""
    ref = one.merge_request.source_branch if one.merge_request else one.ref
    shape = shapes.pipeline(fake.url, where.path, one, fake.status_of(one))
    return {
        "object_kind": "pipeline",
        "object_attributes": {name: shape[name] for name in ("id", "iid", "sha", "status", "source", "tag")}
        | {"ref": ref},
        "merge_request": {"iid": one.merge_request.iid} if one.merge_request else None,
        "project": {"id": where.id, "path_with_namespace": where.path, "web_url": f"{fake.url}/{where.path}"},
        "builds": [{"id": job.id, "name": job.name, "status": job.status} for job in fake.jobs_of(one)],
    }
