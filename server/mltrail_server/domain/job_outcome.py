"""The outcome of a candidate whose jobs have ended while it still says it is running: its client died silently."""

from collections.abc import Iterable, Mapping

from . import gitlab_ci
from .candidate import Status

_TIMED_OUT = frozenset({"job_execution_timeout", "job_router_failure", "stuck_or_timeout_failure"})


def all_ended(statuses: Iterable[str | None]) -> bool:
    """Whether no job will write any more. A job that GitLab was never asked about (None) may still be running."""
    return all(status in gitlab_ci.ENDED for status in statuses)


def of(jobs: Mapping[str | None, str | None]) -> tuple[Status, str]:
    """Return a candidate's status, and the reason in words, from its jobs, which have all ended: the worst decides.

    `jobs` maps the status of each to GitLab's reason for its failure.
    """
    if "failed" in jobs:
        reason = jobs["failed"]
        if reason in _TIMED_OUT:
            return Status.FAILED, f"job timed out: {reason}"
        return Status.FAILED, f"job failed: {reason or 'no reason given'}"
    for status in ("canceled", "skipped"):
        if status in jobs:
            return Status.KILLED, f"job {status}"
    if gitlab_ci.DELETED in jobs:
        return Status.KILLED, "job vanished: it was deleted in GitLab while the run was open"
    return Status.FINISHED, "job succeeded"
