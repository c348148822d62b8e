"""Create, read, change, override and delete assessments of traces.

Everybody who can write may say something of any trace, and it is recorded by whose token. Only they change or delete
it; others override it with one of their own. What a run's own jobs say is evidence, what others say is shown.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mltrail_server.domain import limits
from mltrail_server.domain.assessments import Assessment, Kind, new_id, shortened_stack
from mltrail_server.domain.errors import Code, MltrailError, already_exists, forbidden, invalid, not_found
from mltrail_server.domain.reasons import Reason
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.traces import assessments as store
from mltrail_server.store.traces import traces as trace_store

from . import redact, rights

_ID = re.compile(r"[\w.:-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Change:
    """What of an assessment changes; None leaves it as it is. `kind` is that of the new value, which may be null."""

    name: str | None = None
    kind: Kind | None = None
    value: Any = None
    error: dict[str, Any] | None = None
    rationale: str | None = None
    metadata: Mapping[str, str] | None = None


def create(scope: Scope, sent: Assessment) -> Assessment:
    """Store an assessment of a trace, as the caller's. An empty id stands for a new one. One that `overrides` another
    makes that one invalid.

    Raises NOT_FOUND for an unknown trace and for an unknown assessment to override.
    """
    sent = redact.of(scope).assessment(_cleaned(sent))

    def add(tx: Transaction) -> Assessment:
        if not trace_store.exists(tx, sent.trace_id):
            raise _no_trace(sent.trace_id)
        made = _signed(tx, scope, sent)
        if sent.id and store.of_ids(tx, [sent.id]):
            raise already_exists(f"An assessment with the ID '{sent.id}' already exists. Leave the ID out.")
        if made.overrides and not store.set_valid(tx, made.trace_id, made.overrides, valid=False):
            raise _unknown(made.trace_id, made.overrides)
        store.put(tx, [made])
        _check_count(tx, made.trace_id)
        return made

    return scope.project.write_together(add)


def add_to_trace(tx: Transaction, scope: Scope, trace_id: str, sent: Sequence[Assessment]) -> None:
    """Store the assessments that a client sends with a trace, in the caller's transaction. Clients may send both
    again: then assessments with the same ids change.
    """
    if not sent:
        return
    known = store.of_ids(tx, [one.id for one in sent if one.id])
    for one in sent:
        before = known.get(one.id)
        if before is not None and before.trace_id != trace_id:
            raise invalid(f"Assessment with ID '{one.id}' belongs to another trace. Leave the ID out.")
        if before is not None:
            _check_own(scope, before)
    signed = [_signed(tx, scope, _cleaned(replace(one, trace_id=trace_id))) for one in sent]
    store.put(tx, {one.id: one for one in signed}.values())
    _check_count(tx, trace_id)


def get(scope: Scope, trace_id: str, assessment_id: str) -> Assessment:
    with scope.project.read() as tx:
        return _existing(tx, trace_id, assessment_id)


def update(scope: Scope, trace_id: str, assessment_id: str, change: Change) -> Assessment:
    """Change one of the caller's own assessments. Metadata are added to those that it has.

    Raises FORBIDDEN for somebody else's, INVALID for a value of another kind.
    """
    redactor = redact.of(scope)
    with scope.project.write() as tx:
        before = _existing(tx, trace_id, assessment_id, to_write=True)
        _check_own(scope, before)
        keeps_rationale = change.rationale is None or before.kind is Kind.EXPECTATION
        after = replace(
            before,
            name=before.name if change.name is None else change.name,
            # MLflow has none for what was expected.
            rationale=before.rationale if keeps_rationale else change.rationale or None,
            metadata={**before.metadata, **(change.metadata or {})},
            updated_ms=tx.now,
        )
        if change.kind is not None:
            if change.kind is not before.kind:
                theirs, ours = change.kind.name.lower(), before.kind.name.lower()
                raise invalid(f"Cannot update {theirs} value on {_article(ours)} assessment.")
            after = replace(after, value=change.value, error=change.error)
        after = redactor.assessment(_cleaned(after))
        store.put(tx, [after])
    return after


def delete(scope: Scope, trace_id: str, assessment_id: str) -> None:
    """Delete one of the caller's own assessments; what it has overridden is valid again, unless another one overrides
    that, too. Deleting twice is no error.
    """
    with scope.project.write() as tx:
        found = store.get(tx, trace_id, assessment_id, to_write=True)
        if found is None:
            return
        _check_own(scope, found)
        store.delete(tx, trace_id, assessment_id)
        if found.overrides and not store.is_overridden(tx, trace_id, found.overrides):
            store.set_valid(tx, trace_id, found.overrides, valid=True)


def is_own(scope: Scope, assessment: Assessment) -> bool:
    """Return whether the caller has written an assessment: the same job, or the same person without a job's token."""
    job_id = rights.job_of(scope)
    if job_id is not None or assessment.job_id is not None:
        return job_id == assessment.job_id
    return assessment.user_name == scope.actor.user_name


def _check_own(scope: Scope, assessment: Assessment) -> None:
    if not is_own(scope, assessment):
        by = assessment.user_name if assessment.job_id is None else f"the CI job {assessment.job_id}"
        raise forbidden(
            f"The assessment {assessment.id} is {by}'s, and only they can change or delete it. If you disagree, "
            "log an assessment of your own, or override this one: `mlflow.override_feedback`."
        )


def _signed(tx: Transaction, scope: Scope, sent: Assessment) -> Assessment:
    """Return an assessment as the caller's."""
    job_id = rights.job_of(scope)
    if not rights.detached_may_add(tx, scope, sent.trace_id):
        # Its token may be valid for weeks to come. What was reported and reviewed must not change.
        job_id = None
    return replace(sent, id=sent.id or new_id(), valid=True, job_id=job_id, user_name=scope.actor.user_name)


def _cleaned(sent: Assessment) -> Assessment:
    """Check lengths, and cut a long stack trace."""
    if sent.id and (len(sent.id) > limits.MAX_ASSESSMENT_ID or not _ID.fullmatch(sent.id)):
        raise invalid(f"'{sent.id[:80]}' is not a valid assessment ID. Leave it out, and the server makes one.")
    for what, text, most in (
        ("name", sent.name, limits.MAX_KEY),
        ("source ID", sent.source_id, limits.MAX_ASSESSMENT_SOURCE),
        ("span ID", sent.span_id or "", limits.MAX_ASSESSMENT_ID),
    ):
        if len(text) > most:
            raise invalid(f"An assessment's {what} has at most {most} characters, not {len(text)}.")
    error = sent.error
    if error is not None and error.get("stack_trace"):
        error = {**error, "stack_trace": shortened_stack(error["stack_trace"])}
    size = len(json.dumps([sent.value, error, sent.rationale, sent.metadata]))
    if size > limits.MAX_ASSESSMENT:
        raise invalid(
            f"An assessment has at most {limits.MAX_ASSESSMENT:,} characters as JSON, with its rationale and metadata; "
            f"'{sent.name[:80]}' has {size:,}. Log long texts as a file of the run."
        )
    return replace(sent, error=error)


def _check_count(tx: Transaction, trace_id: str) -> None:
    if (total := store.count(tx, trace_id)) > limits.MAX_ASSESSMENTS:
        raise MltrailError(
            Code.QUOTA,
            f"A trace has at most {limits.MAX_ASSESSMENTS:,} assessments, and {trace_id} would have {total:,}. Nothing "
            "of this call was stored. Change assessments instead of adding more: `mlflow.update_assessment`.",
        )


def _existing(tx: Transaction, trace_id: str, assessment_id: str, *, to_write: bool = False) -> Assessment:
    found = store.get(tx, trace_id, assessment_id, to_write=to_write)
    if found is None:
        if not trace_store.exists(tx, trace_id):
            raise _no_trace(trace_id)
        raise _unknown(trace_id, assessment_id)
    return found


def _unknown(trace_id: str, assessment_id: str) -> MltrailError:
    return not_found(Reason.NO_ASSESSMENT, trace_id=trace_id[:80], assessment_id=assessment_id[:80])


def _no_trace(trace_id: str) -> MltrailError:
    return not_found(Reason.NO_TRACE, trace_id=trace_id[:80])


def _article(kind: str) -> str:
    return f"{'a' if kind == 'feedback' else 'an'} {kind}"
