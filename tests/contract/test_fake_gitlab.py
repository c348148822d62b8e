"""The stand-in for GitLab answers as GitLab does.

Its answers are held against the JSON schemas of GitLab's own request specs, which are data that stays where it is: the
variable GITLAB_API_SCHEMAS names the folder. Where there is none, the table of required fields below still runs.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jsonschema
import jwt
import pytest
import urllib3
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

from tests.fakes.gitlab import Pipeline
from tests.team import EXTERNAL_URL, Team

FOLDER = Path(os.environ.get("GITLAB_API_SCHEMAS") or Path(__file__).parents[3] / "shared/facts/gitlab-api-schemas")

REQUIRED = {
    "project": {"id", "path_with_namespace", "default_branch", "web_url", "permissions"},
    "pipeline": {"id", "iid", "sha", "ref", "status", "source", "web_url", "tag"},
    "pipelines/jobs": {"id", "name", "stage", "status", "pipeline", "web_url", "allow_failure", "user"},
    "job": {"id", "name", "stage", "status", "pipeline", "web_url"},
    "merge_request": {"iid", "title", "state", "source_branch", "target_branch", "sha", "diff_refs", "web_url"},
    "merge_requests": {"iid", "state", "source_branch", "target_branch", "source_project_id"},
    "commits": {"id", "short_id", "parent_ids", "web_url"},
    "notes": {"id", "body", "author", "system", "noteable_iid", "created_at"},
    "note": {"id", "body", "author"},
    "pipelines": {"id", "sha", "ref", "status", "source", "web_url"},
    "merge_request/pipelines": {"id", "sha", "ref", "status", "source"},
    "commit": {"id", "parent_ids", "last_pipeline", "project_id"},
    "commit/merge_requests": {"iid", "state", "target_branch"},
    "branch": {"name", "protected", "default", "commit"},
    "tree": {"id", "name", "type", "path", "mode"},
    "token": {"id", "scopes", "user_id", "active", "revoked", "expires_at"},
    "user": {"id", "username", "name", "state", "web_url"},
    "member": {"id", "username", "access_level", "expires_at", "state"},
    "projects": {"id", "path_with_namespace"},
    "tag": {"name", "protected", "target", "commit"},
    "version": {"version", "revision"},
    "metadata": {"version", "revision", "kas", "enterprise"},
    "own job": {"id", "status", "ref", "tag", "pipeline", "user", "web_url", "project"},
    "allowed agents": {"allowed_agents", "job", "pipeline", "project", "user", "environment"},
    "token info": {"resource_owner_id", "scope", "expires_in", "application", "created_at"},
    "discussion": {"id", "individual_note", "notes"},
    "discussions": {"id", "notes"},
    "discussion's note": {"id", "body", "author", "system", "resolvable", "resolved", "resolved_by"},
    "commit status": {"id", "sha", "status", "name", "description", "target_url", "pipeline_id", "author"},
    "issue": {"iid", "title", "description", "state", "author", "web_url"},
    "issues": {"iid", "description", "author"},
    "webhook": {"id", "url", "project_id"},
    "new tokens": {"access_token", "token_type", "expires_in", "refresh_token", "scope", "created_at"},
}

SCHEMAS = {
    "pipeline": "public_api/v4/pipeline/detail.json",
    "job": "public_api/v4/job.json",
    "notes": "public_api/v4/notes.json",
    "commits": "public_api/v4/commit/basic.json",
    "project": "public_api/v4/project/identity.json",
    "pipelines": "public_api/v4/pipelines.json",
    "pipelines/jobs": "public_api/v4/job.json",
    "merge_request": "public_api/v4/merge_request.json",
    "merge_requests": "public_api/v4/merge_request.json",
    "commit": "public_api/v4/commit/detail.json",
    "user": "public_api/v4/user/basic.json",
    "own job": "public_api/v4/job.json",
    "member": "public_api/v4/user/basic.json",
    "members": "public_api/v4/members.json",
    "merge_request/pipelines": "public_api/v4/pipelines.json",
    "commit/merge_requests": "public_api/v4/merge_request.json",
    # GitLab has none for branches, tags, threads, statuses, issues and webhooks, but for parts of them.
    "branch's commit": "public_api/v4/commit/basic.json",
    "tag's commit": "public_api/v4/commit/basic.json",
    # Its `resolved_by` is a text or null, and GitLab answers a user (lib/api/entities/note.rb): so of an open thread.
    "open discussion's note": "public_api/v4/notes.json",
    "a new note": "public_api/v4/notes.json",
    "commit status's author": "public_api/v4/user/basic.json",
    "issue's author": "public_api/v4/user/basic.json",
    "own job's pipeline": "public_api/v4/pipeline/basic.json",
}


@pytest.fixture
def answers(team: Team) -> dict[str, Any]:
    gitlab, project = team.gitlab, team.project
    gitlab.add_commit(project, "b" * 40, parents=("a1" * 20,), branch="faster", files={"src/train.py": ""})
    request = gitlab.add_merge_request(project, "faster", "main", "Learn faster")
    pipeline = gitlab.add_pipeline(project, "b" * 40, f"refs/merge-requests/{request.iid}/head", "merge_request_event")
    job = gitlab.add_job(pipeline, "train", "train", team.users["developer"], "success")
    notes = f"projects/42/merge_requests/{request.iid}/notes"
    note = call(team, "POST", notes, json={"body": "hello"})
    paths = {
        "project": "projects/42",
        "pipeline": f"projects/42/pipelines/{pipeline.id}",
        "pipelines/jobs": f"projects/42/pipelines/{pipeline.id}/jobs",
        "job": f"projects/42/jobs/{job.id}",
        "merge_request": f"projects/42/merge_requests/{request.iid}",
        "merge_requests": "projects/42/merge_requests?state=opened&source_branch=faster",
        "commits": "projects/42/repository/commits?ref_name=faster",
        "notes": notes,
        "note": f"{notes}/{note['id']}",
        "pipelines": "projects/42/pipelines?source=merge_request_event",
        "merge_request/pipelines": f"projects/42/merge_requests/{request.iid}/pipelines",
        "commit": f"projects/42/repository/commits/{'b' * 40}",
        "commit/merge_requests": f"projects/team%2Fchurn/repository/commits/{'b' * 40}/merge_requests",
        "branch": "projects/42/repository/branches/main",
        "tree": "projects/42/repository/tree?ref=faster&recursive=true",
        "token": "personal_access_tokens/self",
        "user": "user",
        "member": f"projects/42/members/all/{team.users['developer'].id}",
        "projects": "projects?id_after=41&id_before=43&min_access_level=20",
        "tag": "projects/42/repository/tags/v1",
        "version": "version",
        "metadata": "metadata",
    }
    project.tags["v1"] = "a1" * 20
    found = {name: call(team, "GET", path) for name, path in paths.items()} | other_tokens_answers(team)
    return parts(found | {"a new note": [note]} | gate_answers(team, request.iid, pipeline))


def parts(found: dict[str, Any]) -> dict[str, Any]:
    """Answers, and those of their parts that have a schema of their own."""
    return found | {
        "members": [found["member"]],
        "branch's commit": found["branch"]["commit"],
        "tag's commit": found["tag"]["commit"],
        "commit status's author": found["commit status"]["author"],
        "issue's author": found["issue"]["author"],
        "own job's pipeline": found["own job"]["pipeline"],
    }


def gate_answers(team: Team, iid: int, pipeline: Pipeline) -> dict[str, Any]:
    """What GitLab says to the gate's threads, statuses and issues, and to a webhook that is made."""
    team.project.members[team.users["bot"].id] = 40
    discussions = f"projects/42/merge_requests/{iid}/discussions"
    made = call(team, "POST", discussions, json={"body": "hello"})
    issue = {"title": "worse", "description": "hello"}
    status = {"state": "success", "name": "mltrail", "pipeline_id": pipeline.id}
    return {
        "open discussion's note": made["notes"],
        "discussion": call(team, "PUT", f"{discussions}/{made['id']}", json={"resolved": True}),
        "discussions": call(team, "GET", discussions),
        "discussion's note": call(team, "GET", f"{discussions}/{made['id']}")["notes"],
        "commit status": call(team, "POST", f"projects/42/statuses/{pipeline.sha}", json=status),
        "issue": call(team, "POST", "projects/42/issues", json=issue),
        "issues": call(team, "GET", "projects/42/issues?state=opened"),
        "webhook": call(team, "POST", "projects/42/hooks", json={"url": "https://mltrail.example.com/hook"}),
    }


def other_tokens_answers(team: Team) -> dict[str, Any]:
    """What GitLab says to a job's token, and to OAuth's."""
    job, gitlab = team.job(), team.gitlab
    own = {"JOB-TOKEN": job.token}
    application = gitlab.add_application("https://mltrail.example.com/back", scopes=["read_api"], secret="hush")
    gitlab.visitor = team.users["guest"]
    query = {"client_id": application.client_id, "redirect_uri": application.redirect_uri, "scope": "read_api"}
    there = urllib3.request("GET", f"{gitlab.url}/oauth/authorize?{urlencode(query)}", redirect=False)
    code = parse_qs(urlsplit(there.headers["Location"]).query)["code"][0]
    form = {"client_id": application.client_id, "client_secret": "hush", "redirect_uri": application.redirect_uri}
    grant = form | {"grant_type": "authorization_code", "code": code}
    made = urllib3.request("POST", f"{gitlab.url}/oauth/token", fields=grant).json()
    bearer = {"Authorization": f"Bearer {made['access_token']}"}
    return {
        "own job": urllib3.request("GET", f"{gitlab.url}/api/v4/job", headers=own).json(),
        "allowed agents": urllib3.request("GET", f"{gitlab.url}/api/v4/job/allowed_agents", headers=own).json(),
        "new tokens": made,
        "token info": urllib3.request("GET", f"{gitlab.url}/oauth/token/info", headers=bearer).json(),
    }


def call(team: Team, method: str, path: str, **options: Any) -> Any:
    headers = {"PRIVATE-TOKEN": team.tokens["bot"]}
    response = urllib3.request(method, f"{team.gitlab.url}/api/v4/{path}", headers=headers, **options)
    assert response.status in (200, 201), response.data
    return response.json()


def items(answer: Any) -> Iterator[Any]:
    yield from answer if isinstance(answer, list) else [answer]


@pytest.mark.parametrize("name", REQUIRED)
def test_answers_hold_what_we_rely_on(answers: dict[str, Any], name: str) -> None:
    found = list(items(answers[name]))
    assert found
    for one in found:
        assert one.keys() >= REQUIRED[name]


@pytest.mark.parametrize("name", SCHEMAS)
def test_answers_validate_against_gitlabs_schemas(answers: dict[str, Any], name: str) -> None:
    path = FOLDER / SCHEMAS[name]
    if not path.is_file():
        pytest.skip(f"GitLab's schemas are not at {FOLDER}; GITLAB_API_SCHEMAS names their folder")

    def retrieve(uri: str) -> Resource[Any]:
        return DRAFT4.create_resource(json.loads(Path(uri.removeprefix("file://")).read_text()))

    registry: Registry[Any] = Registry(retrieve=retrieve)
    whole = json.loads(path.read_text()).get("type") == "array"
    validator = jsonschema.Draft4Validator({"$ref": path.as_uri()}, registry=registry)
    for answer in [answers[name]] if whole else items(answers[name]):
        validator.validate(answer)


def test_a_jobs_roles_are_all_up_to_its_users_own(answers: dict[str, Any]) -> None:
    answer = answers["allowed agents"]
    assert answer["user"]["roles_in_project"] == ["guest", "planner", "reporter", "developer"]
    assert answer["job"]["id"] == answers["own job"]["id"]
    assert answers["own job"]["project"] == {"ci_job_token_scope_enabled": False}, "neither id nor path"


def test_a_limit_comes_with_headers_or_without(team: Team) -> None:
    team.gitlab.limited = 7
    url, headers = f"{team.gitlab.url}/api/v4/projects/42", {"PRIVATE-TOKEN": team.tokens["bot"]}
    answer = urllib3.request("GET", url, headers=headers, retries=False)
    assert (answer.status, answer.data, answer.headers["Retry-After"]) == (429, b"Retry later\n", "7")
    team.gitlab.limited_bare = True
    bare = urllib3.request("GET", url, headers=headers, retries=False)
    assert (bare.status, "Retry-After" in bare.headers) == (429, False)
    assert "too many times" in bare.json()["message"]["error"]


def test_pages_are_linked(team: Team) -> None:
    pipeline = team.gitlab.add_pipeline(team.project, "a1" * 20, "main", "push")
    for number in range(25):
        team.gitlab.add_job(pipeline, f"job {number}", "test", team.users["developer"])
    url = f"{team.gitlab.url}/api/v4/projects/42/pipelines/{pipeline.id}/jobs?per_page=10"
    headers = {"PRIVATE-TOKEN": team.tokens["bot"]}
    first = urllib3.request("GET", url, headers=headers)
    assert (len(first.json()), first.headers["X-Next-Page"], first.headers["X-Total"]) == (10, "2", "25")
    assert 'rel="next"' in first.headers["Link"]
    assert first.headers["X-Total-Pages"] == "3"
    last = urllib3.request("GET", f"{url}&page=3", headers=headers)
    assert len(last.json()) == 5
    assert "Link" not in last.headers


def test_the_detectors_see_what_gitlab_would_do(team: Team) -> None:
    request = team.gitlab.add_merge_request(team.project, "x", "main", "X")
    body = "/merge\n\ntext @all and @dana, see #1 and !2\n\n`@code #3`\n\n```\n/close\n```\n<!-- @hidden -->\n x /not"
    call(team, "POST", f"projects/42/merge_requests/{request.iid}/notes", json={"body": body})
    assert team.gitlab.quick_actions == ["merge"]
    assert team.gitlab.mentions == ["all", "dana"]
    assert team.gitlab.references == ["#1", "!2"]


def test_tokens_have_gitlabs_claims_and_types(team: Team) -> None:
    claims = jwt.decode(team.gitlab.mint(team.job(), EXTERNAL_URL), options={"verify_signature": False})
    numbers = {name for name, value in claims.items() if isinstance(value, int)}
    assert numbers == {"iat", "nbf", "exp", "runner_id"}
    assert claims["ref_protected"] == "true"
    assert claims["project_id"] == claims["job_project_id"] == "42"


@pytest.mark.parametrize(
    ("token", "path", "status", "body"),
    [
        (None, "projects/42", 401, {"message": "401 Unauthorized"}),
        ("stranger", "projects/42", 404, {"message": "404 Project Not Found"}),
        ("bot", "projects/team%2Fchurn/pipelines/1", 404, {"message": "404 Not found"}),
        ("bot", "job", 404, {"message": "404 Job Not Found"}),
        ("bot", "nothing/here", 404, {"error": "404 Not Found"}),
        ("bot", "projects/42/repository/files/x%2Fy.yml/raw?ref=main", 404, {"message": "404 File Not Found"}),
        ("bot", "projects/42/repository/tree?path=x", 404, {"message": "404 invalid revision or path Not Found"}),
    ],
)
def test_refusals_have_gitlabs_words(team: Team, token: str | None, path: str, status: int, body: Any) -> None:
    headers = {"PRIVATE-TOKEN": team.tokens[token]} if token else {}
    answer = urllib3.request("GET", f"{team.gitlab.url}/api/v4/{path}", headers=headers)
    assert (answer.status, answer.json()) == (status, body)


def test_notes_belong_to_their_authors(team: Team) -> None:
    request = team.gitlab.add_merge_request(team.project, "x", "main", "X")
    url = f"{team.gitlab.url}/api/v4/projects/42/merge_requests/{request.iid}/notes"

    def send(who: str, method: str, to: str, **options: Any) -> int:
        return urllib3.request(method, to, headers={"PRIVATE-TOKEN": team.tokens[who]}, **options).status

    note = call(team, "POST", f"projects/42/merge_requests/{request.iid}/notes", json={"body": "mine"})
    one = f"{url}/{note['id']}"
    assert send("guest", "POST", url, json={"body": "no"}) == 403
    assert send("developer", "PUT", one, json={"body": "no"}) == 403
    assert send("bot", "POST", url, json={"body": "/close\n/merge"}) == 202
    assert send("bot", "POST", url, json={"body": " "}) == 400
    assert send("maintainer", "DELETE", one) == 204
    assert send("bot", "PUT", one, json={"body": "gone"}) == 404
    assert team.gitlab.notes(team.project, request.iid) == []
