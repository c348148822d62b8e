"""A team's project at the stand-in for GitLab, and a server beside it."""

import secrets
from dataclasses import dataclass

from tests.fakes.gitlab import FakeGitLab, Job, Project, User

LEVELS = {"guest": 10, "planner": 15, "reporter": 20, "developer": 30, "maintainer": 40, "owner": 50}
EXTERNAL_URL = "https://mltrail.example.com"


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


def team_in(gitlab: FakeGitLab) -> Team:
    """Arrange a project with a member of each role, a stranger, and the bot."""
    project = gitlab.add_project("team/churn", id=42)
    users, tokens = {}, {}
    for name in (*LEVELS, "stranger", "bot"):
        users[name] = gitlab.add_user(name)
        tokens[name] = gitlab.add_token(users[name], ["api"])
        if name != "stranger":
            gitlab.add_member(project, users[name], LEVELS.get(name, 20))
    gitlab.add_commit(project, "a1" * 20, branch="main")
    return Team(gitlab, project, users, tokens)
