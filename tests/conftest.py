"""Fixtures that all tests share: a clock that stands still, a database of one's own, the application."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from mltrail_server.app import create_app, create_deps
from mltrail_server.services.deps import Deps
from mltrail_server.settings import Settings
from tests.budgets import pytest_terminal_summary as pytest_terminal_summary  # noqa: PLC0414 - pytest finds it here
from tests.fakes.gitlab import FakeGitLab, Job, Project, User
from tests.tenancy import leaks

LOCAL_TOKEN = "local-token-of-the-tests"
START = 1_790_000_000_000


class FrozenClock:
    """Time stands still until a test moves it."""

    def __init__(self, now: int = START) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def advance(self, milliseconds: int) -> None:
        self.now += milliseconds


@pytest.fixture(autouse=True)
def keeps_to_projects() -> Iterator[None]:
    """Fail every test in which a statement on a tenant's table does not keep to one project."""
    found: list[str] = []

    def look(_connection: object, statement: object, *_rest: object) -> None:
        found.extend(f"{', '.join(tables)}: {statement}" for tables in [leaks(statement)] if tables)

    event.listen(sa.Engine, "before_execute", look)
    yield
    event.remove(sa.Engine, "before_execute", look)
    assert found == []


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=str(tmp_path / "data"), local_token=LOCAL_TOKEN, secret_key="key-of-the-tests")


@pytest.fixture
def deps(settings: Settings, clock: FrozenClock) -> Iterator[Deps]:
    made = create_deps(settings, clock=clock)
    yield made
    made.db.dispose()


@dataclass
class Team:
    """The stand-in for GitLab with one project, and a token of each role in it."""

    gitlab: FakeGitLab
    project: Project
    users: dict[str, User]
    tokens: dict[str, str]

    def job(self, *, ref: str = "main", source: str = "push", name: str = "train", user: str = "developer") -> Job:
        """Begin a job in a new pipeline."""
        sha = self.project.branches.get(ref) or self.gitlab.add_commit(self.project, secrets.token_hex(20), branch=ref)
        return self.gitlab.add_job(
            self.gitlab.add_pipeline(self.project, sha, ref, source), name, "train", self.users[user], "running"
        )


LEVELS = {"guest": 10, "planner": 15, "reporter": 20, "developer": 30, "maintainer": 40, "owner": 50}
EXTERNAL_URL = "https://mltrail.example.com"


@pytest.fixture
def team(clock: FrozenClock) -> Iterator[Team]:
    with FakeGitLab(clock=lambda: clock() / 1000) as gitlab:
        project = gitlab.add_project("team/churn", id=42)
        users, tokens = {}, {}
        for name in (*LEVELS, "stranger", "bot"):
            users[name] = gitlab.add_user(name)
            tokens[name] = gitlab.add_token(users[name], ["api"])
            if name != "stranger":
                gitlab.add_member(project, users[name], LEVELS.get(name, 20))
        gitlab.add_commit(project, "a1" * 20, branch="main")
        yield Team(gitlab, project, users, tokens)


@pytest.fixture
def gitlab(team: Team) -> FakeGitLab:
    return team.gitlab


@pytest.fixture
def gitlab_deps(team: Team, tmp_path: Path, clock: FrozenClock) -> Iterator[Deps]:
    settings = Settings(
        data_dir=str(tmp_path / "team-data"),
        secret_key="key-of-the-tests",
        external_url=EXTERNAL_URL,
        gitlab_url=team.gitlab.url,
        gitlab_token=team.tokens["bot"],
    )
    made = create_deps(settings, clock=clock)
    yield made
    made.db.dispose()


@pytest.fixture
def gitlab_client(gitlab_deps: Deps) -> FlaskClient:
    return create_app(gitlab_deps).test_client()


@pytest.fixture
def app(deps: Deps) -> Flask:
    return create_app(deps)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()
