"""How much of its limits a project uses, and whether GitLab tells us what happens in it."""

from dataclasses import dataclass

from mltrail_server.store import usage, webhooks

from .deps import Scope

_WORDS = {usage.BYTES: "Bytes of files", usage.CANDIDATES: "Runs", usage.POINTS: "Metric values"}


@dataclass(frozen=True, slots=True)
class Use:
    what: str
    used: int
    limit: int


def of(scope: Scope) -> list[Use]:
    """Tell what is used of each limit that the operator has set; without a limit nothing is counted."""
    limits = {name: limit for name in _WORDS if (limit := scope.deps.settings.quota(name)) is not None}
    if not limits:
        return []
    with scope.deps.db.read() as connection:
        return [
            Use(_WORDS[name], usage.of(connection, scope.project_id, name) or 0, limit)
            for name, limit in limits.items()
        ]


def last_webhooks(scope: Scope) -> dict[str, int]:
    """Tell when each kind of GitLab's webhooks came last, in milliseconds since the epoch."""
    with scope.deps.db.read() as connection:
        return webhooks.last(connection, scope.project_id)
