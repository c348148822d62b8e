"""The outcome of a candidate whose jobs have ended while it still says it is running: its client died silently."""

from collections.abc import Iterable
from typing import Protocol

from . import gitlab_ci
from .candidate import Status


class Ended(Protocol):
    @property
    def status(self) -> str | None: ...

    @property
    def failure_reason(self) -> str | None: ...


_TIMED_OUT = frozenset({"job_execution_timeout", "job_router_failure", "stuck_or_timeout_failure"})


def all_ended(jobs: Iterable[Ended]) -> bool:
    """Whether no job will write any more. A job that GitLab was never asked about may still be running."""
    return all(job.status in gitlab_ci.ENDED for job in jobs)


def of(jobs: Iterable[Ended]) -> tuple[Status, str]:
    """Return a candidate's status, and the reason in words, from its jobs, which have all ended: the worst decides."""
    by_status = {job.status: job for job in jobs}
    if failed := by_status.get("failed"):
        if failed.failure_reason in _TIMED_OUT:
            return Status.FAILED, f"job timed out: {failed.failure_reason}"
        return Status.FAILED, f"job failed: {failed.failure_reason or 'no reason given'}"
    for status in ("canceled", "skipped"):
        if status in by_status:
            return Status.KILLED, f"job {status}"
    if gitlab_ci.DELETED in by_status:
        return Status.KILLED, "job vanished: it was deleted in GitLab while the run was open"
    return Status.FINISHED, "job succeeded"
