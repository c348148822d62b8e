"""The thread that blocks a merge while the gate fails, and what counts as a person's override of it."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    author_id: int
    author: str
    body: str


@dataclass(frozen=True, slots=True)
class Thread:
    id: str
    note_id: int
    body: str
    author_id: int
    resolved: bool
    resolved_by_id: int | None
    resolved_by: str | None
    replies: tuple[Reply, ...]


@dataclass(frozen=True, slots=True)
class Override:
    """Who has accepted which broken rules, and why."""

    user_name: str
    reason: str
    rules: frozenset[str]

    def covers(self, broken: Collection[str]) -> bool:
        """Whether all of these rules were accepted: one that broke later was not."""
        return self.rules.issuperset(broken)


def override_of(thread: Thread, *, bot_id: int, rules: Collection[str]) -> Override | None:
    """Return who has accepted the rules that the thread names: the person who resolved it, if a person's reply says
    why.

    None while it is open, when we resolved it ourselves, or when nobody said why.
    """
    if not thread.resolved or thread.resolved_by_id in (None, bot_id):
        return None
    said = [one for one in thread.replies if one.author_id != bot_id and one.body.strip()]
    own = [one for one in said if one.author_id == thread.resolved_by_id]
    if not said:
        return None
    return Override(thread.resolved_by or "", (own or said)[-1].body.strip(), frozenset(rules))
