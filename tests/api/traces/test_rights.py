"""Who may read, change, link and delete traces: a job's trace is its own, and what customers wrote is not for all."""

from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from mltrail_server.app import create_app, create_deps
from mltrail_server.settings import Settings
from tests.api.identity.jobs import fork_job
from tests.api.traces.caller import a_trace, traces_by
from tests.api.tracking.runs import by, new_run
from tests.clock import FrozenClock
from tests.fakes.gitlab import Job
from tests.team import EXTERNAL_URL, Team

FORBIDDEN = (403, "PERMISSION_DENIED")
MISSING = (404, "RESOURCE_DOES_NOT_EXIST")


def token(team: Team, job: Job) -> str:
    return team.gitlab.mint(job, EXTERNAL_URL)


def test_a_jobs_trace_is_changed_by_that_job_only(gitlab_client: FlaskClient, team: Team) -> None:
    job, other = team.job(), team.job()
    own = traces_by(gitlab_client, token(team, job))
    own.start(tags={"gitlab.CI_JOB_ID": "1"}, trace_metadata={"gitlab.CI_JOB_ID": "1"})

    for who in (token(team, other), team.tokens["owner"]):
        caller = traces_by(gitlab_client, who)
        calls = [
            ("3.0", "POST", "", {"trace": a_trace()}),
            ("2.0", "PATCH", "/tr-1", {"timestamp_ms": 1, "status": "ERROR"}),
            ("2.0", "PATCH", "/tr-1/tags", {"key": "a", "value": "b"}),
            ("3.0", "DELETE", "/tr-1/tags", {"key": "mlflow.traceName"}),
            ("2.0", "POST", "/link-prompts", {"trace_id": "tr-1", "prompt_versions": [{"name": "a", "version": "1"}]}),
        ]
        for version, method, path, fields in calls:
            status, code, message = caller.refused(version, method, path, **fields)
            assert (status, code) == FORBIDDEN, path
            assert f"made by the CI job {job.id}" in message
    own.two("PATCH", "/tr-1/tags", key="a", value="b")
    info = own.info()
    assert info["tags"]["a"] == "b"
    assert "gitlab.CI_JOB_ID" not in info["tags"]
    assert info["trace_metadata"]["gitlab.CI_JOB_ID"] == str(job.id)


def test_a_persons_trace_is_changed_by_all_who_write(gitlab_client: FlaskClient, team: Team) -> None:
    traces_by(gitlab_client, team.tokens["developer"]).start()
    job = traces_by(gitlab_client, token(team, team.job()))
    job.two("PATCH", "/tr-1/tags", key="a", value="b")
    assert "gitlab.CI_JOB_ID" not in job.start()["trace_metadata"]


def test_deletion_for_privacy(gitlab_client: FlaskClient, team: Team) -> None:
    """Of a protected branch's traces it takes a Maintainer; a job never deletes another job's."""
    team.project.protected.add("main")
    protected, branch = team.job(), team.job(ref="mine")
    traces_by(gitlab_client, token(team, protected)).start("tr-main")
    traces_by(gitlab_client, token(team, branch)).start("tr-mine")

    def delete(who: str, trace_id: str) -> object:
        answer = traces_by(gitlab_client, who).call(
            "POST",
            "api/3.0/mlflow/traces/delete-traces",
            json={"experiment_id": "0", "request_ids": [trace_id]},
        )
        return answer.get_json().get("traces_deleted", answer.status_code)

    assert delete(token(team, branch), "tr-main") == 403
    assert delete(team.tokens["developer"], "tr-main") == 403
    assert delete(team.tokens["developer"], "tr-mine") == 1
    assert delete(team.tokens["maintainer"], "tr-main") == 1


def test_a_trace_is_linked_to_a_run_that_the_caller_may_write_to(gitlab_client: FlaskClient, team: Team) -> None:
    team.project.protected.add("main")
    job = team.job()
    run_id = new_run(by(gitlab_client, token(team, job)))
    person = traces_by(gitlab_client, team.tokens["developer"])
    person.start()
    status, code, _ = person.refused("2.0", "POST", "/link-to-run", trace_ids=["tr-1"], run_id=run_id)
    assert (status, code) == FORBIDDEN
    traces_by(gitlab_client, token(team, job)).two("POST", "/link-to-run", trace_ids=["tr-1"], run_id=run_id)


def test_a_fork_logs_no_traces_and_reads_none(gitlab_client: FlaskClient, team: Team) -> None:
    traces_by(gitlab_client, team.tokens["developer"]).start()
    fork = traces_by(gitlab_client, token(team, fork_job(team)))
    assert fork.refused("3.0", "POST", trace=a_trace("tr-2"))[:2] == FORBIDDEN
    assert fork.refused("3.0", "GET", "/tr-1")[:2] == FORBIDDEN


def test_another_projects_traces_do_not_exist(gitlab_client: FlaskClient, team: Team) -> None:
    other = team.gitlab.add_project("team/other", id=77)
    team.gitlab.add_member(other, team.users["developer"], 50)
    mine = traces_by(gitlab_client, team.tokens["developer"])
    mine.start()
    theirs = traces_by(gitlab_client, team.tokens["developer"])
    theirs.base = theirs.base.replace("/42/", "/77/")

    assert theirs.refused("3.0", "GET", "/tr-1")[:2] == MISSING
    assert theirs.refused("2.0", "PATCH", "/tr-1/tags", key="a", value="b")[:2] == MISSING
    assert theirs.three("POST", "/delete-traces", experiment_id="0", request_ids=["tr-1"]) == {"traces_deleted": 0}
    assert theirs.start(request_preview="theirs")["request_preview"] == "theirs"
    assert mine.info()["request_preview"] == '{"x": "a"}'


@pytest.mark.parametrize(("role", "readers"), [("reporter", "rdmo"), ("developer", "dmo"), ("maintainer", "mo")])
def test_the_setting_says_who_reads(
    gitlab_settings: Settings, clock: FrozenClock, team: Team, role: str, readers: str
) -> None:
    deps = create_deps(replace(gitlab_settings, traces_read_role=role), clock=clock)
    client = create_app(deps).test_client()
    made = traces_by(client, team.tokens["developer"])
    made.start(request_preview="secret of a customer")
    for name in ("guest", "planner", "reporter", "developer", "maintainer", "owner"):
        answer = traces_by(client, team.tokens[name]).call("GET", "api/3.0/mlflow/traces/tr-1")
        reads = name[0] in readers and name not in ("planner", "guest")
        assert answer.status_code == (200 if reads else 403), name
        if not reads:
            assert f"at least the {role.title()} role" in answer.get_json()["message"]
    job = traces_by(client, token(team, team.job()))
    assert job.info()["request_preview"] == "secret of a customer"
    # Who may write but not read learns nothing by telling a trace again.
    again = made.start(request_preview=None)
    assert again.get("request_preview") == (None if role == "maintainer" else "secret of a customer")
    traces_by(client, team.tokens["maintainer"]).two("PATCH", "/tr-1/tags", key="order", value="secret of a customer")
    ended = made.two("PATCH", "/tr-1", timestamp_ms=1, status="OK", tags=[{"key": "mine", "value": "1"}])
    assert ("secret" in str(ended)) == (role != "maintainer")
    assert {"key": "mine", "value": "1"} in ended["trace_info"]["tags"]
    deps.db.dispose()


def test_visitors_of_a_public_project_read_no_traces(gitlab_client: FlaskClient, team: Team) -> None:
    team.project.visibility = "public"
    traces_by(gitlab_client, team.tokens["developer"]).start()
    stranger = traces_by(gitlab_client, team.tokens["stranger"])
    assert stranger.get("experiments/get", experiment_id="0")
    status, code, message = stranger.refused("3.0", "GET", "/tr-1")
    assert (status, code) == FORBIDDEN
    assert "can't read traces" in message


def test_a_project_has_room_for_so_many_traces(gitlab_settings: Settings, clock: FrozenClock, team: Team) -> None:
    deps = create_deps(replace(gitlab_settings, quota_traces="2"), clock=clock)
    traces = traces_by(create_app(deps).test_client(), team.tokens["developer"])
    traces.start("tr-1")
    traces.start("tr-2")
    traces.start("tr-2")
    status, code, message = traces.refused("3.0", "POST", trace=a_trace("tr-3"))
    assert (status, code) == (403, "QUOTA_EXCEEDED")
    assert "has 2 of 2 traces" in message
    assert "MLTRAIL_QUOTA_TRACES" in message
    traces.three("POST", "/delete-traces", experiment_id="0", request_ids=["tr-1"])
    traces.start("tr-3")
    deps.db.dispose()
