"""How much of its limits a project uses, and when GitLab's webhooks last came."""

from dataclasses import dataclass

from mltrail_server.services.context.deps import Scope
from mltrail_server.store.admin import deleted
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.identity import projects
from mltrail_server.store.tracking import usage

_LABELS = {usage.BYTES: "Bytes of files", usage.CANDIDATES: "Runs", usage.POINTS: "Metric values"}


@dataclass(frozen=True, slots=True)
class Use:
    what: str
    used: int  # without what is deleted
    deleted: int
    limit: int


def of(scope: Scope) -> list[Use]:
    """Return how much is used of each limit that the operator has set; without a limit nothing is counted."""
    limits = {name: limit for name in _LABELS if (limit := scope.deps.settings.quota(name)) is not None}
    if not limits:
        return []
    with scope.project.read() as tx:
        return [_use(tx, name, limit) for name, limit in limits.items()]


def _use(tx: Transaction, name: str, limit: int) -> Use:
    in_trash = deleted.used(tx, name)
    return Use(_LABELS[name], max(0, (usage.of(tx, name) or 0) - in_trash), in_trash, limit)


def last_webhooks(scope: Scope) -> dict[str, int]:
    """Return when each kind of GitLab's webhooks last came, in milliseconds since the epoch."""
    with scope.project.read() as tx:
        return projects.last_webhooks(tx)
