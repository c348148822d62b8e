"""Which role mltrail's bot needs in a project: one table for the self-test, `mltrail doctor`, the pages and the
documentation.

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
    """What the bot does, with the lowest role that GitLab requires for it."""

    READ = Requirement(Role.REPORTER, "read jobs, merge requests and files", "always")
    NOTE = Requirement(Role.REPORTER, "write comments", "always")
    ISSUE = Requirement(Role.REPORTER, "open and close issues", "`gate: {issue: true}`")
    # Anybody who can comment can open a thread, but resolving it again takes this role.
    THREAD = Requirement(Role.DEVELOPER, "open and resolve threads", "`gate: {thread: true}`")
    STATUS = Requirement(Role.DEVELOPER, "set commit statuses", "`gate: {status: true}`")
    # A status takes the right to push or merge, which Maintainers have on a protected branch.
    STATUS_OF_PROTECTED = Requirement(
        Role.MAINTAINER,
        "set commit statuses on protected branches",
        "`gate: {status: true}`, outside merge requests",
    )
    WEBHOOK = Requirement(Role.MAINTAINER, "create a webhook for a test", "`selftest --webhook-listen`")


ALWAYS = (Task.READ, Task.NOTE)


def lacks(level: int, works: Iterable[Task]) -> list[Task]:
    """List what a bot with this access level can't do."""
    return [one for one in works if level < one.value.role]


def problem(level: int, path: str, works: Iterable[Task] = ALWAYS) -> str:
    """Say what a bot can't do in a project and which role it needs; empty when it can do all of these."""
    missing = lacks(level, works)
    if not missing:
        return ""
    needed = max(one.value.role for one in missing)
    return (
        f"mltrail's bot {_is(level)} {path}. To {_listed(one.value.does for one in missing)} it needs the "
        f"{title_of(needed)} role ({needed.value}), which a Maintainer can give it (Manage > Members)."
    )


def can(level: int) -> str:
    """Say what a bot with this access level can do."""
    return _listed(one.value.does for one in Task if level >= one.value.role) or "do nothing"


def _is(level: int) -> str:
    role = role_of(level)
    return f"has the {title_of(role)} role in" if role else "is not a member of"


def _listed(items: Iterable[str]) -> str:
    *first, last = list(items) or [""]
    return f"{', '.join(first)} and {last}" if first else last
