"""GitLab's webhooks: an accelerator, believed in nothing.

https://docs.gitlab.com/user/project/integrations/webhook_events/
"""

import json
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from mltrail_server.app import create_app
from mltrail_server.domain import webhook_secrets
from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.settings import Settings
from mltrail_server.store.identity import projects
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import MergeRequest, Pipeline

BACKENDS = ("sqlite",)
URL = "/api/webhooks/gitlab"
SECRET = "token-of-the-hooks"
SIGNING = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoxMjM0NTY="


@pytest.fixture
def gitlab_settings(gitlab_settings: Settings) -> Settings:
    return replace(gitlab_settings, webhook_secret=f"{SECRET}, {SIGNING}")


def pipeline_hook(pipeline: Pipeline) -> dict[str, Any]:
    return {
        "object_kind": "pipeline",
        "object_attributes": {"id": pipeline.id, "iid": pipeline.iid, "status": "success", "ref": "faster"},
        "project": {"id": pipeline.project_id, "path_with_namespace": "team/churn"},
        "builds": [{"id": 1, "name": "train"}],
    }


def job_hook(pipeline: Pipeline) -> dict[str, Any]:
    kind = {"object_kind": "build", "build_id": 5001, "build_status": "success"}
    return kind | {"pipeline_id": pipeline.id, "project_id": pipeline.project_id, "commit": {"id": pipeline.id}}


def request_hook(request: MergeRequest, action: str) -> dict[str, Any]:
    attributes = {"iid": request.iid, "action": action, "source_branch": request.source_branch, "target_project_id": 42}
    return {"object_kind": "merge_request", "object_attributes": attributes, "project": {"id": 42}}


def deliver(client: FlaskClient, body: Any, **headers: str) -> TestResponse:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(URL, data=content, headers={"X-Gitlab-Token": SECRET} | headers)


@pytest.fixture
def waiting(trail: Trail) -> tuple[MergeRequest, Pipeline]:
    """A merge request whose training has ended without a word of its client, while nobody will look for minutes."""
    request = trail.request(SHAS["c"])
    pipeline = trail.of_request(request, SHAS["c"])
    job = trail.train(pipeline, [0.9], status=None)
    assert trail.work() == 0
    trail.team.gitlab.set_job(job, "success")
    return request, pipeline


@pytest.mark.parametrize("hook", [pipeline_hook, job_hook])
def test_a_hook_has_the_note_written_at_once(trail: Trail, waiting: tuple[MergeRequest, Pipeline], hook: Any) -> None:
    request, pipeline = waiting
    before = len(trail.team.gitlab.requests)
    answer = deliver(trail.client, hook(pipeline))
    assert (answer.status_code, answer.data) == (204, b"")
    assert len(trail.team.gitlab.requests) == before, "nothing is asked in the request"
    assert trail.work(seconds=0) == 1
    assert len(trail.notes(request)) == 1


def test_what_changes_nothing_costs_no_look(trail: Trail, waiting: tuple[MergeRequest, Pipeline]) -> None:
    _, pipeline = waiting
    other = job_hook(pipeline) | {"build_id": 6001}
    begun = pipeline_hook(pipeline)
    begun["object_attributes"]["status"] = "running"
    for body in (other, begun, *(job_hook(pipeline) | {"build_status": one} for one in ("created", "running"))):
        assert deliver(trail.client, body).status_code == 204
    assert trail.work(seconds=0) == 0


def test_doubled_and_late_deliveries_change_nothing(trail: Trail, waiting: tuple[MergeRequest, Pipeline]) -> None:
    request, pipeline = waiting
    newer = trail.of_request(request, SHAS["c"])
    trail.train(newer, [0.8])
    trail.work()
    standing = trail.notes(request)
    for body in (pipeline_hook(newer), pipeline_hook(newer), pipeline_hook(pipeline), job_hook(pipeline)):
        assert deliver(trail.client, body, **{"Idempotency-Key": "1"}).status_code == 204
    trail.work()
    assert trail.notes(request) == standing
    assert "0.8" in standing[0]


def test_a_merge_request_opened_after_the_training_gets_its_note(trail: Trail) -> None:
    trail.team.gitlab.add_commit(trail.team.project, SHAS["c"], parents=("a1" * 20,), branch="faster")
    pipeline = trail.team.gitlab.add_pipeline(trail.team.project, SHAS["c"], "faster", "push")
    trail.train(pipeline, [0.9])
    trail.work()
    request = trail.team.gitlab.add_merge_request(trail.team.project, "faster", "main", "Learn faster")
    deliver(trail.client, request_hook(request, "open"))
    trail.work(seconds=0)
    assert len(trail.notes(request)) == 1


def test_without_webhooks_it_gets_its_note_too(trail: Trail) -> None:
    trail.team.gitlab.add_commit(trail.team.project, SHAS["c"], parents=("a1" * 20,), branch="faster")
    pipeline = trail.team.gitlab.add_pipeline(trail.team.project, SHAS["c"], "faster", "push")
    trail.train(pipeline, [0.9])
    trail.work()
    request = trail.team.gitlab.add_merge_request(trail.team.project, "faster", "main", "Learn faster")
    trail.work(seconds=15 * 60)
    assert len(trail.notes(request)) == 1
    calls = len(trail.team.gitlab.requests)
    for _ in range(4):
        trail.work(seconds=15 * 60)
    assert len(trail.team.gitlab.requests) - calls <= 4, "one call a quarter of an hour while nothing changes"


def test_a_new_target_branch_is_seen(trail: Trail, waiting: tuple[MergeRequest, Pipeline]) -> None:
    request, _ = waiting
    trail.train(trail.main(SHAS["b"]), [0.5])
    gitlab, project = trail.team.gitlab, trail.team.project
    gitlab.add_commit(project, SHAS["e"], parents=("a1" * 20,), branch="next")
    trail.work(seconds=300)
    assert "`main`" in trail.notes(request)[0]
    request.target_branch = "next"
    deliver(trail.client, request_hook(request, "update"))
    trail.work(seconds=0)
    assert "`next`" in trail.notes(request)[0]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[" * 100_000,
        b"\xff\xfe",
        {"object_kind": "push"},
        {"object_kind": "pipeline"},
        {"object_kind": "pipeline", "object_attributes": {"id": "x"}, "project": {"id": 42}},
        {"object_kind": "pipeline", "object_attributes": {"id": 10**30}, "project": {"id": 42}},
        {"object_kind": "pipeline", "object_attributes": {"id": -1}, "project": {"id": 42}},
        {"object_kind": "pipeline", "object_attributes": {"id": 901}, "project": {"id": 4711}},
        {"object_kind": "build", "pipeline_id": 77_777, "project_id": 42},
        {"object_kind": "merge_request", "object_attributes": {"iid": 1, "source_branch": "\0"}, "project": {"id": 42}},
    ],
)
def test_what_it_can_t_use_is_taken_all_the_same(trail: Trail, body: Any) -> None:
    trail.main(SHAS["b"])
    answer = deliver(trail.client, body)
    assert (answer.status_code, answer.data) == (204, b""), "GitLab switches hooks off that fail"
    assert trail.work(seconds=600) == 0


def test_it_is_kept_when_hooks_came_last(trail: Trail, waiting: tuple[MergeRequest, Pipeline]) -> None:
    deliver(trail.client, pipeline_hook(waiting[1]))
    with trail.deps.project(ProjectId(42)).read() as tx:
        assert projects.last_webhooks(tx) == {"pipeline": trail.clock()}


class TestSecrets:
    def signed(self, body: bytes, now_ms: int, *, secret: str = SIGNING, before: str = "") -> dict[str, str]:
        at = str(now_ms // 1000)
        signature = webhook_secrets.signature(secret, "delivery-1", at, body)
        return {"webhook-id": "delivery-1", "webhook-timestamp": at, "webhook-signature": before + signature}

    def test_the_example_of_the_standard_verifies(self) -> None:
        # https://github.com/standard-webhooks/standard-webhooks, its first example
        secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
        signature = webhook_secrets.signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body)
        assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

    @pytest.mark.parametrize("before", ["", "v1,b2xk ", "v2,b2xk "])
    def test_a_signature_is_enough(self, trail: Trail, before: str) -> None:
        headers = self.signed(b"{}", trail.clock(), before=before)
        assert trail.client.post(URL, data=b"{}", headers=headers).status_code == 204

    def test_a_signature_of_something_else_is_refused(self, trail: Trail) -> None:
        good = self.signed(b"{}", trail.clock())
        other = "whsec_" + "QUJD"
        for body, headers in (
            (b"{ }", good),
            (b"{}", good | {"webhook-id": "delivery-2"}),
            (b"{}", good | {"webhook-timestamp": str(trail.clock() // 1000 + 1)}),
            (b"{}", good | {"webhook-timestamp": "²"}),
            (b"{}", good | {"webhook-signature": "v1,"}),
            (b"{}", good | {"webhook-signature": ""}),
            (b"{}", self.signed(b"{}", trail.clock(), secret=other)),
            (b"{}", self.signed(b"{}", trail.clock() - 301_000)),
            (b"{}", self.signed(b"{}", trail.clock() + 301_000)),
        ):
            assert trail.client.post(URL, data=body, headers=headers).status_code == 401

    @pytest.mark.parametrize("token", ["", "wrong", SECRET[:-1], SIGNING, "ü"])
    def test_a_wrong_token_is_refused(self, trail: Trail, waiting: tuple[MergeRequest, Pipeline], token: str) -> None:
        headers = {"X-Gitlab-Token": token.encode().decode("latin-1")}
        answer = trail.client.post(URL, json=pipeline_hook(waiting[1]), headers=headers)
        assert answer.status_code == 401
        assert "MLTRAIL_WEBHOOK_SECRET" in answer.get_json()["message"]
        assert trail.work(seconds=0) == 0

    def test_no_secret_at_all_is_refused(self, trail: Trail) -> None:
        assert trail.client.post(URL, json={}).status_code == 401

    def test_too_much_is_not_read(self, trail: Trail) -> None:
        length = {"CONTENT_LENGTH": str(26 * 1024 * 1024)}
        answer = trail.client.post(URL, headers={"X-Gitlab-Token": SECRET}, environ_overrides=length)
        assert answer.status_code == 413

    def test_without_a_setting_there_is_no_such_url(self, gitlab_deps: Deps) -> None:
        without = replace(gitlab_deps, settings=replace(gitlab_deps.settings, webhook_secret=""))
        assert deliver(create_app(without).test_client(), {}).status_code == 404

    def test_a_signing_token_that_is_none_is_found_at_the_start(self) -> None:
        with pytest.raises(MltrailError, match="MLTRAIL_WEBHOOK_SECRET"):
            Settings.from_environment({"MLTRAIL_WEBHOOK_SECRET": "whsec_€"})
