"""Limits per project, if the operator has set any. Without a limit nothing is counted.

A call that goes over a limit is refused as a whole, and what was logged before stays as it is.
"""

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.admin import deleted
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.tracking import usage

_NAMES_AND_SETTINGS = {
    usage.BYTES: ("bytes of files", "MLTRAIL_QUOTA_BYTES"),
    usage.CANDIDATES: ("runs", "MLTRAIL_QUOTA_CANDIDATES"),
    usage.POINTS: ("metric values", "MLTRAIL_QUOTA_METRIC_POINTS"),
    usage.TRACES: ("traces", "MLTRAIL_QUOTA_TRACES"),
}


MOST_WITH_DELETED = 2
"""What is deleted does not count, so that anybody can make room. With it, a project may hold twice the limit."""


def take(tx: Transaction, scope: Scope, name: str, more: int) -> None:
    """Count `more` against a limit. Call it last in the transaction that has written it, since all writers of a project
    wait for the counter's row. Raises QUOTA, and then the transaction must be rolled back.
    """
    limit = scope.deps.settings.quota(name)
    if limit is None or more == 0:
        return
    used = usage.add(tx, name, more)
    if used is None:
        used = usage.count(tx, name)
    if used > limit:
        _check_without_deleted(tx, scope, name, used - more, more)


def check(tx: Transaction, scope: Scope, name: str, more: int) -> None:
    """Refuse early what can't fit, for example before a large file is sent. Raises QUOTA."""
    limit = scope.deps.settings.quota(name)
    if limit is not None and (used := usage.of(tx, name) or 0) + more > limit:
        _check_without_deleted(tx, scope, name, used, more)


def check_restored(tx: Transaction, scope: Scope) -> None:
    """Refuse to restore what there is no longer room for. Call it last in the transaction. Raises QUOTA."""
    for name, (what, variable) in _NAMES_AND_SETTINGS.items():
        limit = scope.deps.settings.quota(name)
        if limit is not None and (used := usage.of(tx, name) or 0) > limit:
            active = used - deleted.used(tx, name)
            if active > limit:
                raise MltrailError(
                    Code.QUOTA,
                    f"There is no room to restore it: the project {scope.actor.project_path} would have {active:,} "
                    f"{what}, and may have {limit:,}. Delete others first, or ask the operator for more ({variable}).",
                )


def _check_without_deleted(tx: Transaction, scope: Scope, name: str, used: int, more: int) -> None:
    """Check whether there is room when what was deleted is left out. Called only if the limit is reached with it."""
    limit = scope.deps.settings.quota(name)
    assert limit is not None  # noqa: S101 - asked about only where there is one
    of_deleted = deleted.used(tx, name)
    what, variable = _NAMES_AND_SETTINGS[name]
    project = f"The project {scope.actor.project_path}"
    nothing_lost = "Nothing from this call was stored, and nothing that was logged before is lost. "
    if used - of_deleted + more > limit:
        raise MltrailError(
            Code.QUOTA,
            f"{project} has {used - of_deleted:,} of {limit:,} {what}, and this call would go beyond that. "
            f"{nothing_lost}Delete runs, traces or files that are no longer needed: what is deleted does not count. "
            f"Or ask the operator for more ({variable}).",
        )
    if used + more > MOST_WITH_DELETED * limit:
        raise MltrailError(
            Code.QUOTA,
            f"{project} has {used:,} {what}, including those that are deleted and can be restored; the limit for both "
            f"is {MOST_WITH_DELETED * limit:,}. {nothing_lost}Ask the operator to remove what is deleted: "
            "mltrail-server gc --deleted.",
        )
