"""Limits per project, where the operator has set some. Without a limit nothing is counted.

What a limit refuses is refused whole, and what was logged before stays as it is.
"""

import sqlalchemy as sa

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.store import usage

from .deps import Scope

_WORDS = {
    usage.BYTES: ("bytes of files", "MLTRAIL_QUOTA_BYTES"),
    usage.CANDIDATES: ("runs", "MLTRAIL_QUOTA_CANDIDATES"),
    usage.POINTS: ("metric values", "MLTRAIL_QUOTA_METRIC_POINTS"),
}


def take(connection: sa.Connection, scope: Scope, name: str, more: int) -> None:
    """Count `more` against a limit, as the last thing in the transaction that has just written it: all writers of a
    project wait for the counter's row. Raises QUOTA, and then the transaction must not be kept.
    """
    limit = scope.deps.settings.quota(name)
    if limit is None or more == 0:
        return
    used = usage.add(connection, scope.project_id, name, more)
    if used is None:
        used = usage.count(connection, scope.project_id, name)
    if used > limit:
        raise _refused(scope, name, used - more, limit)


def check(connection: sa.Connection, scope: Scope, name: str, more: int) -> None:
    """Refuse early what can't fit, say before a large file is sent. Raises QUOTA."""
    limit = scope.deps.settings.quota(name)
    if limit is not None and (used := usage.of(connection, scope.project_id, name) or 0) + more > limit:
        raise _refused(scope, name, used, limit)


def _refused(scope: Scope, name: str, used: int, limit: int) -> MltrailError:
    what, variable = _WORDS[name]
    return MltrailError(
        Code.QUOTA,
        f"The project {scope.actor.project_path} has {used:,} of {limit:,} {what}, and this call would go beyond that. "
        "Nothing of this call was stored, and nothing that was logged before is lost. Ask the operator for more "
        f"({variable}).",
    )
