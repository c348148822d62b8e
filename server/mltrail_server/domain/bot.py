"""Which role mltrail's bot needs in a project: one table, from which the self-test, `mltrail doctor`, the pages and the
documentation speak.

https://docs.gitlab.com/user/permissions/#project-members-permissions
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from .identity import Role, role_of, title_of


@dataclass(frozen=True, slots=True)
class Requirement:
    role: Role
    does: str
    wanted_by: str


class Task(Enum):
    """What the bot does, with the least role that GitLab wants for it."""

    READ = Requirement(Role.REPORTER, "read jobs, merge requests and files", "always")
    NOTE = Requirement(Role.REPORTER, "write comments", "always")
    ISSUE = Requirement(Role.REPORTER, "open and close issues", "`gate: {issue: true}`")
    # Anybody who comments can open a thread; only who may resolve it can close it again.
    THREAD = Requirement(Role.DEVELOPER, "open and resolve threads", "`gate: {thread: true}`")
    STATUS = Requirement(Role.DEVELOPER, "set commit statuses", "`gate: {status: true}`")
    # For a status GitLab wants the right to push or merge, which a protected branch gives Maintainers.
    STATUS_OF_PROTECTED = Requirement(
        Role.MAINTAINER,
        "set commit statuses on protected branches",
        "`gate: {status: true}`, outside of merge requests",
    )
    WEBHOOK = Requirement(Role.MAINTAINER, "make a webhook for a test", "`selftest --webhook-listen`")


ALWAYS = (Task.READ, Task.NOTE)
ADVISED = Role.DEVELOPER
"""With it everything works but statuses on protected branches, and the self-test's webhook."""


def lacks(level: int, works: Iterable[Task]) -> list[Task]:
    """List what a bot with this access level can't do."""
    return [one for one in works if level < one.value.role]


def problem(level: int, path: str, works: Iterable[Task] = ALWAYS) -> str:
    """Say what a bot can't do in a project and which role mends it; empty when it can do all of these."""
    missing = lacks(level, works)
    if not missing:
        return ""
    needed = max(one.value.role for one in missing)
    return (
        f"mltrail's bot {_is(level)} {path}. To {_listed(one.value.does for one in missing)} it needs the "
        f"{title_of(needed)} role ({needed.value}), which a Maintainer can give it (Manage > Members)."
    )


def can(level: int) -> str:
    """Say what a bot can do, by its level."""
    return _listed(one.value.does for one in Task if level >= one.value.role) or "do nothing"


def _is(level: int) -> str:
    role = role_of(level)
    return f"has the {title_of(role)} role in" if role else "is not a member of"


def _listed(told: Iterable[str]) -> str:
    *first, last = list(told) or [""]
    return f"{', '.join(first)} and {last}" if first else last
