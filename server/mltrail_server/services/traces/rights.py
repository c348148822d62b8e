"""Who may change, link and delete a trace.

A trace that a job began is that job's: nobody else changes its state, metadata, tags and spans. Others can
assess it (which is recorded as theirs), link it to a run of their own, and delete it for privacy. A trace
of a person, and any trace in local mode, can be changed by everybody who can write; one that was imported by people
only, since nothing that a job does makes it evidence.
"""

from collections.abc import Sequence

from mltrail_server.domain.errors import MltrailError, forbidden
from mltrail_server.domain.identity import TokenKind
from mltrail_server.domain.traces import Trace
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.tracking import stamp
from mltrail_server.services.tracking.evidence import WriteKind
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.traces import links
from mltrail_server.store.tracking import candidates
from mltrail_server.store.tracking.candidates import Candidate


def may_change(scope: Scope, trace: Trace) -> bool:
    """Return whether the caller may change a trace and send spans for it."""
    if trace.origin_id is not None:
        return scope.actor.job is None
    return trace.job_id is None or trace.job_id == job_of(scope)


def check_may_change(tx: Transaction, scope: Scope, trace: Trace) -> None:
    """Raise FORBIDDEN for everybody except the trace's own job. The token of a detached run may be valid for weeks to
    come: it changes traces of that run only, and none once the run has ended, since they may have been reviewed.
    """
    if not detached_may_add(tx, scope, trace.id):
        raise forbidden(
            f"The trace {trace.id} can't be changed with this token, which is for one detached run: that run has "
            "ended, or the trace belongs to another run."
        )
    if not may_change(scope, trace):
        if trace.origin_id is not None:
            raise _is_imported(trace)
        raise forbidden(
            f"The trace {trace.id} was made by the CI job {trace.job_id}, and only that job can change it. To "
            "comment on it, log an assessment (`mlflow.log_feedback`), or log a trace of your own."
        )


def check_may_delete(scope: Scope, traces: Sequence[Trace]) -> None:
    """Raise FORBIDDEN unless all of these traces may be deleted: by their own job, or for privacy by people, who need
    the Maintainer role for traces of protected branches and tags.
    """
    for trace in traces:
        if may_change(scope, trace):
            continue
        if trace.origin_id is not None:
            raise _is_imported(trace)
        if scope.actor.job is not None:
            raise forbidden(
                f"The trace {trace.id} was made by the CI job {trace.job_id}, and a job can delete only its own "
                "traces. A member of the project can delete this one."
            )
        if trace.protected and not scope.actor.has_maintainer_rights:
            raise forbidden(
                f"The trace {trace.id} was made by a CI job on a protected branch or tag, and merge requests may be "
                "compared with it, so deleting it takes the Maintainer role."
            )


def _is_imported(trace: Trace) -> MltrailError:
    return forbidden(
        f"The trace {trace.id} was imported, and CI jobs can't change or delete it. Log a trace of your own."
    )


def detached_may_add(tx: Transaction, scope: Scope, trace_id: str) -> bool:
    """Return whether the caller's token may add to a trace as its job: any token of a job may, that of a detached run
    only until the run has ended, and never to what other runs rest on.
    """
    if scope.actor.candidate_iid is None:
        return True
    candidate = candidates.get_by_iid(tx, scope.actor.candidate_iid)
    running = candidate.iid if candidate is not None and not candidate.status.ended else None
    return not links.is_evidence(tx, trace_id, beside=running)


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
    if not stamp.may_measure(tx, scope, candidate):
        return candidate, False
    # Another job of the pipeline writes to the run by this, so what the run was before is kept.
    return candidate, stamp.on_write(tx, scope, candidate, {WriteKind.TRACES}) == candidate.iid
