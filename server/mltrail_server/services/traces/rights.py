"""Who may change, link and delete a trace.

A trace that a job began is that job's: nobody else changes its state, metadata, tags and spans. Others may say
something of it (an assessment, recorded as theirs), link it to a run of their own, and delete it for privacy. A trace
of a person, and any trace in local mode, can be changed by everybody who can write.
"""

from collections.abc import Sequence

from mltrail_server.domain.errors import forbidden
from mltrail_server.domain.identity import TokenKind
from mltrail_server.domain.traces import Trace
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.tracking import stamp
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.tracking import candidates
from mltrail_server.store.tracking.candidates import Candidate


def may_change(scope: Scope, trace: Trace) -> bool:
    """Return whether the caller may change a trace and send spans for it."""
    return trace.job_id is None or trace.job_id == job_of(scope)


def check_may_change(scope: Scope, trace: Trace) -> None:
    """Raise FORBIDDEN for everybody except the trace's own job."""
    if not may_change(scope, trace):
        raise forbidden(
            f"The trace {trace.id} was made by the CI job {trace.job_id}, and stays as that job logged it. What you "
            "want to say of it, log as an assessment (`mlflow.log_feedback`); or make a trace of your own."
        )


def check_may_delete(scope: Scope, traces: Sequence[Trace]) -> None:
    """Raise FORBIDDEN unless all of these traces may be deleted: by their own job, or for privacy by people, who need
    the Maintainer role for traces of protected branches and tags.
    """
    for trace in traces:
        if may_change(scope, trace):
            continue
        if scope.actor.job is not None:
            raise forbidden(
                f"The trace {trace.id} was made by the CI job {trace.job_id}, and this is another job. A job deletes "
                "its own traces; a member of the project can delete others."
            )
        if trace.protected and not scope.actor.has_maintainer_rights:
            raise forbidden(
                f"The trace {trace.id} was made by a CI job on a protected branch or tag, and merge requests may be "
                "compared with it, so deleting it takes the Maintainer role."
            )


def job_of(scope: Scope) -> int | None:
    """Return the job whose token the caller has; None for people and in local mode."""
    return scope.actor.job.job_id if scope.actor.job is not None else None


def is_protected(scope: Scope) -> bool:
    """Return whether the caller is a job on a protected branch or tag."""
    return scope.actor.job is not None and scope.actor.job.ref_protected


def counts_for(tx: Transaction, scope: Scope, eid: str) -> tuple[Candidate, bool] | None:
    """Find the run that a trace says it was made in, and whether what the caller logs is the run's own; None if there
    is no such run, or if this token is for another one.
    """
    candidate = candidates.get(tx, eid)
    if candidate is None or scope.actor.candidate_iid not in (None, candidate.iid):
        return None
    if scope.actor.kind is TokenKind.DETACHED:
        return candidate, not candidate.status.ended
    return candidate, stamp.may_measure(tx, scope, candidate)
