"""Every rule and method of the URL map, with every kind of token and role, against the table in `access_matrix.txt`.

SQLite has all of it. On PostgreSQL one caller stands for all whom the table gives the same rights: who may come is
decided before the database is asked.
"""

import html
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from mltrail_server.domain.identity import Access
from tests.api.edges.url_map import PUBLIC, url_of
from tests.api.identity.jobs import fork_job
from tests.fakes.gitlab import Job
from tests.fakes.gitlab.keys import SigningKey
from tests.team import EXTERNAL_URL, Team
from tests.ui.browsing import sign_in

PAGE = Path(__file__).parent / "access_matrix.txt"
# Who, then what becomes of each kind of call.
COLUMNS = ("read", "write", "pages", "read_traces", "pages_with_traces")
LINES = {
    line[:36].strip(): line[36:].split() for line in PAGE.read_text().splitlines() if line and not line.startswith("#")
}


def other_job(team: Team) -> Job:
    other = team.gitlab.add_project("team/other", id=77)
    team.gitlab.add_member(other, team.users["developer"], 50)
    pipeline = team.gitlab.add_pipeline(other, "f" * 40, "main", "push")
    return team.gitlab.add_job(pipeline, "t", "t", team.users["developer"], "running")


def over(team: Team) -> Job:
    job = team.job()
    team.gitlab.set_job(job, "success")
    return job


def token_for(team: Team, who: str) -> str | None:
    """Make the token of a line."""
    gitlab, kind, _, what = team.gitlab, *who.partition(", ")
    if kind == "ID token":
        audience = "https://other.example.com" if what == "other audience" else EXTERNAL_URL
        prefix = "glpat-" if what == "gitlab-mlops prefix" else ""
        key = SigningKey("foreign") if what == "foreign key" else None
        times = {"exp": 1_000_000_000} if what == "expired" else {}
        return prefix + gitlab.mint(job_for(team, what), audience, key=key, **times)
    if kind == "CI_JOB_TOKEN":
        return job_for(team, what).token
    if kind == "nobody":
        return None
    if what == "administrator":
        team.users["stranger"].admin = True
    if what == "blocked user":
        team.users["developer"].state = "blocked"
    of = {"administrator": "stranger", "blocked user": "developer", "revoked": "owner"}
    scope, _, owner = what.partition(" of a")
    user = team.users.get(of.get(what, owner.removeprefix("n").strip() or what), team.users["owner"])
    scopes = [scope] if owner else ["api"]
    if kind in ("a made-up token", "deploy token"):
        return {"a made-up token": "glpat-x", "deploy token": "gldt-x"}[kind]
    oauth = "oauth" if kind == "OAuth token" else "personal"
    return gitlab.add_token(user, scopes, revoked=what == "revoked", kind=oauth)


def job_for(team: Team, what: str) -> Job:
    special: dict[str, Callable[[Team], Job]] = {"fork": fork_job, "other project": other_job, "over": over}
    if what in special:
        return special[what](team)
    return team.job(user=what if what in team.users else "developer")


def outcome(answer: TestResponse) -> str:
    """What the door said; `ok` for whatever the handler behind it has said."""
    text = html.unescape(answer.get_data(as_text=True))
    refusals = {
        302: lambda: "/-/sign-in" in answer.headers["Location"],
        401: lambda: True,
        403: lambda: any(
            words in text
            for words in ("but not change it", "can't read traces", "it needs `api`", "no role in", "has blocked")
        ),
        404: lambda: "not for this token" in text,
    }
    return str(answer.status_code) if answer.status_code in refusals and refusals[answer.status_code]() else "ok"


def calls(app: Flask) -> list[tuple[str, str, str]]:
    """Every call that can be made in project 42: column of the table, method, URL."""
    found = []
    for rule in app.url_map.iter_rules():
        access = getattr(app.view_functions[rule.endpoint], "mltrail_access", None)
        if rule.rule in PUBLIC or access is None:
            continue
        url = re.sub(r"^(/api/v4/projects/|/)1/", r"\g<1>42/", url_of(rule.rule))
        column = access.name.lower()
        if rule.rule.startswith("/<project:project>/-/"):
            column = "pages_with_traces" if access is Access.READ_TRACES else "pages"
        found += [(column, method, url) for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}]
    return found


ONE_OF_EACH = {tuple(rights): who for who, rights in sorted(LINES.items(), reverse=True)}
CALLERS = [*(("sqlite", who) for who in sorted(LINES)), *(("postgresql", who) for who in ONE_OF_EACH.values())]


@pytest.mark.every_case
@pytest.mark.parametrize(("backend", "who"), CALLERS)
def test_every_route_says_what_the_table_says(gitlab_client: FlaskClient, team: Team, who: str) -> None:
    token, client = token_for(team, who), gitlab_client
    headers = {}
    if who.startswith("session"):
        sign_in(client, token or "", base_url=EXTERNAL_URL)
    elif token is not None:
        headers["Authorization"] = f"Bearer {token}"
    expected = dict(zip(COLUMNS, LINES[who], strict=True))
    wrong = []
    everything = calls(client.application)
    for column, method, url in everything:
        if column.startswith("pages") and method == "POST" and who.startswith("session"):
            continue  # these want the form's own token first: see tests/ui/test_edits.py
        body = {} if method == "GET" else {"json": {}}
        answer = client.open(url, method=method, headers=headers, base_url=EXTERNAL_URL, buffered=True, **body)
        if outcome(answer) != expected[column]:
            wrong.append((method, url, outcome(answer), answer.status_code, answer.get_data(as_text=True)[:200]))
    assert wrong == []
    assert len(everything) > 150


@pytest.mark.parametrize("backend", ["sqlite"])
def test_the_size_of_the_matrix(gitlab_client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    rules = len(calls(gitlab_client.application))
    assert len(LINES) >= 40
    with capsys.disabled():
        sys.stdout.write(f"[access matrix: {rules} calls x {len(LINES)} callers = {rules * len(LINES)}] ")
