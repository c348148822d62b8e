"""The role that mltrail's bot needs: `domain.bot`, GitLab, doctor, self-test, messages and documentation say the same.

https://docs.gitlab.com/user/permissions/#project-members-permissions
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from mltrail_contract import FILE_NAME
from mltrail_server.domain import bot
from mltrail_server.domain.bot import Task
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.identity import Role, title_of
from mltrail_server.domain.ids import ProjectId
from mltrail_server.gitlab.client import GitLab
from mltrail_server.gitlab.connections import Connections
from mltrail_server.gitlab.gate_objects import GateObjects
from mltrail_server.gitlab.probe import Probe
from mltrail_server.services.admin.checks import FAILED, CheckResult
from mltrail_server.services.admin.selftest import SelfTest, SelfTestInput
from mltrail_server.settings import Settings
from tests.clock import FrozenClock
from tests.fakes.gitlab import Pipeline
from tests.team import EXTERNAL_URL, Team

PROJECT, MAIN, FASTER = ProjectId(42), "a1" * 20, "b2" * 20
DOCS = Path(__file__).parents[2] / "docs"
LEVELS = (10, 15, 20, 25, 30, 40, 50)
ADVISED = Role.DEVELOPER  # the role that the reference advises for the bot


class Bot:
    """Does each work as the server does it."""

    def __init__(self, team: Team) -> None:
        self.team = team
        self.sessions = Connections(team.gitlab.url)
        self.gitlab = GitLab(self.sessions, team.tokens["bot"])
        self.objects = GateObjects(self.gitlab)
        team.gitlab.add_commit(team.project, FASTER, parents=(MAIN,), branch="faster", files={"x": "y"})
        self.iid = team.gitlab.add_merge_request(team.project, "faster", "main", "Learn faster").iid
        self.ref = f"refs/merge-requests/{self.iid}/head"

    def pipeline(self, sha: str, ref: str) -> Pipeline:
        return self.team.gitlab.add_pipeline(self.team.project, sha, ref, "push")

    def do(self, work: Task) -> None:
        doing: dict[Task, Callable[[], object]] = {
            Task.READ: self.read,
            Task.NOTE: lambda: self.gitlab.create_note(PROJECT, self.iid, "hello"),
            Task.ISSUE: self.issue,
            Task.THREAD: self.thread,
            Task.STATUS: lambda: self.status(FASTER, self.ref),
            Task.STATUS_OF_PROTECTED: lambda: self.status(MAIN, "main"),
            Task.WEBHOOK: self.webhook,
        }
        doing[work]()

    def read(self) -> None:
        self.gitlab.look(PROJECT, self.pipeline(FASTER, self.ref).id)
        self.gitlab.merge_request(PROJECT, self.iid)
        assert self.gitlab.raw_file(PROJECT, "x", FASTER) == b"y"

    def issue(self) -> None:
        made = self.objects.create_issue(PROJECT, title="worse", body="hello")
        self.objects.edit_issue(PROJECT, made.iid, "better", close=True)

    def thread(self) -> None:
        made = self.objects.create_thread(PROJECT, self.iid, "hello")
        self.objects.resolve_thread(PROJECT, self.iid, made, resolved=True)

    def status(self, sha: str, ref: str) -> None:
        number = self.pipeline(sha, ref).id
        self.objects.set_status(PROJECT, sha, pipeline_id=number, state="success", description="good", url=EXTERNAL_URL)

    def webhook(self) -> None:
        probe = Probe(self.sessions, self.team.tokens["bot"])
        probe.create_hook(PROJECT, url="https://mltrail.example.com", token="a", signing_token="")


def with_level(team: Team, level: int) -> None:
    team.project.members[team.users["bot"].id] = level


@pytest.mark.parametrize("work", Task)
def test_the_table_is_what_gitlab_wants(team: Team, work: Task) -> None:
    doer, team.gitlab.guests_see_code = Bot(team), False
    for level in LEVELS:
        with_level(team, level)
        if level >= work.value.role:
            doer.do(work)
        else:
            with pytest.raises(MltrailError) as caught:
                doer.do(work)
            assert caught.value.code in (Code.FORBIDDEN, Code.NOT_FOUND)


@pytest.mark.parametrize("through", ["project", "group", "invited group"])
def test_every_way_to_be_a_member_counts(team: Team, through: str) -> None:
    team.gitlab.add_member(team.project, team.users["bot"], 30, through=through)  # type: ignore[arg-type] # parametrized
    assert GitLab(Connections(team.gitlab.url), team.tokens["bot"]).bot_level(PROJECT) == 30


def test_an_administrator_may_everything(team: Team) -> None:
    del team.project.members[team.users["bot"].id]
    team.users["bot"].admin = True
    assert GitLab(Connections(team.gitlab.url), team.tokens["bot"]).bot_level(PROJECT) == Role.OWNER


def problem_by_doctor(client: FlaskClient, team: Team) -> str:
    headers = {"Authorization": f"Bearer {team.gitlab.mint(team.job(), EXTERNAL_URL)}"}
    answer = client.get("/api/v4/projects/42/ml/setup", headers=headers)
    assert answer.status_code == 200
    return str(answer.get_json()["bot"]["problem"])


def line_of_selftest(team: Team, clock: FrozenClock) -> CheckResult:
    settings = Settings(external_url=EXTERNAL_URL, gitlab_url=team.gitlab.url, gitlab_token=team.tokens["bot"])
    lines = SelfTest(settings, SelfTestInput("team/churn"), clock).run()
    return next(line for line in lines if line.name == "bot's role")


@pytest.mark.parametrize("level", LEVELS)
def test_doctor_and_selftest_say_the_same(
    gitlab_client: FlaskClient, team: Team, clock: FrozenClock, level: int
) -> None:
    with_level(team, level)
    problem, line = problem_by_doctor(gitlab_client, team), line_of_selftest(team, clock)
    assert problem == bot.problem(level, "team/churn")
    assert (line.outcome == FAILED) == bool(problem)
    assert line.detail == (problem or f"level {level}: it can {bot.can(level)}")


@pytest.mark.parametrize(
    ("gate", "level", "needed"),
    [
        ("thread: true", 20, Role.DEVELOPER),
        ("status: true", 20, Role.DEVELOPER),
        ("thread: true, status: true, issue: true", 20, Role.DEVELOPER),
        ("issue: true", 20, None),
        ("thread: true, status: true", 30, None),
        ("thread: false", 20, None),
    ],
)
def test_doctor_knows_what_the_contract_asks_for(
    gitlab_client: FlaskClient, team: Team, gate: str, level: int, needed: Role | None
) -> None:
    text = f"version: 1\ngate: {{{gate}}}\nmodels: {{churn: {{}}}}\n"
    team.gitlab.add_commit(team.project, "c3" * 20, parents=(MAIN,), branch="main", files={FILE_NAME: text})
    with_level(team, level)
    problem = problem_by_doctor(gitlab_client, team)
    assert (f"needs the {title_of(needed)} role ({needed.value})" in problem) if needed else problem == ""


def test_a_contract_that_can_not_be_read_asks_for_nothing(gitlab_client: FlaskClient, team: Team) -> None:
    team.gitlab.add_commit(team.project, "c3" * 20, parents=(MAIN,), branch="main", files={FILE_NAME: "gate: ["})
    assert problem_by_doctor(gitlab_client, team) == ""


def test_the_reference_has_the_table() -> None:
    page = (DOCS / "reference/tokens.md").read_text()
    rows = re.findall(
        r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", page.partition("## What the bot needs")[2], re.MULTILINE
    )
    rows = rows[1 : len(Task) + 1]
    assert rows == [(one.value.does, title_of(one.value.role), one.value.wanted_by) for one in Task]


def test_the_how_to_advises_that_role() -> None:
    page = " ".join((DOCS / "how-to/sign-in.md").read_text().split())
    assert f"a group access token with the role {title_of(ADVISED)}" in page
    assert bot.lacks(ADVISED, Task) == [Task.STATUS_OF_PROTECTED, Task.WEBHOOK], "as the reference says"


def test_the_problem_names_the_role_that_the_bot_lacks() -> None:
    assert bot.problem(0, "team/churn").startswith("mltrail's bot is not a member of team/churn. To read jobs")
    assert bot.problem(25, "team/churn", [Task.THREAD]) == (
        "mltrail's bot has the Security Manager role in team/churn. To open and resolve threads it needs the Developer "
        "role (30), which a Maintainer can give it (Manage > Members)."
    )


@pytest.mark.parametrize("visible", [True, False])
def test_a_refusal_of_the_bot_does_not_blame_the_caller(team: Team, visible: bool) -> None:
    doer, team.gitlab.guests_see_code = Bot(team), False
    if visible:
        with_level(team, 10)
    else:
        del team.project.members[team.users["bot"].id]
    with pytest.raises(MltrailError) as caught:
        doer.gitlab.merge_request(PROJECT, doer.iid)
    assert "mltrail's bot" in caught.value.message
    assert "this token" not in caught.value.message
    assert caught.value.code is (Code.FORBIDDEN if visible else Code.NOT_FOUND)
