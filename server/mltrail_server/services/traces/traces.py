"""Start, end, find, tag, link and delete traces.

https://mlflow.org/docs/latest/genai/tracing/
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mltrail_server.domain import limits
from mltrail_server.domain.assessments import Assessment
from mltrail_server.domain.errors import MltrailError, invalid, not_found
from mltrail_server.domain.paths import TraceFile
from mltrail_server.domain.reasons import Reason
from mltrail_server.domain.traces import (
    ARCHIVAL_FAILURE_TAG,
    FINAL_KEY,
    MAX_LINKS,
    PLACE_TAG,
    RUN_KEY,
    SERVERS_TAGS,
    SESSION_KEY,
    USER_KEY,
    Trace,
    TraceState,
    check_id,
    new_id,
)
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.tracking import candidates, experiments, quotas, stamp
from mltrail_server.services.tracking.evidence import WriteKind
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files import files
from mltrail_server.store.traces import assessments as assessment_store
from mltrail_server.store.traces import links
from mltrail_server.store.traces import traces as store
from mltrail_server.store.traces.traces import Selection
from mltrail_server.store.tracking import usage

from . import assessments, redact, rights

_log = logging.getLogger(__name__)
_STAMP = ("gitlab.CI_JOB_ID", "gitlab.CI_PIPELINE_ID", "gitlab.CI_COMMIT_SHA")
"""What a job's traces have of the stamp, among their metadata."""
MAX_PREVIEW = 10_000
_COLUMN_LENGTH = 250
_DELETED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class TraceData:
    """A trace with its assessments."""

    trace: Trace
    assessments: Sequence[Assessment] = ()


def start(scope: Scope, sent: Trace, assessed: Sequence[Assessment] = ()) -> TraceData:
    """Store a trace as its client describes it, at its start or at its end, with its assessments; its spans may have
    come before. Returns what is stored.

    Raises NOT_FOUND for an unknown experiment, INVALID for a deleted one and for a trace of another experiment,
    FORBIDDEN for a trace of another job.
    """
    check_id(sent.id)
    redactor = redact.of(scope)
    sent = redactor.trace(replace(sent, metadata={**sent.metadata, FINAL_KEY: "true"}))
    assessed = [redactor.assessment(one) for one in assessed]

    def store_all(tx: Transaction) -> TraceData:
        made = begin(tx, scope, sent)
        assessments.add_to_trace(tx, scope, made.id, assessed)
        return with_assessments(tx, [made])[0]

    return scope.project.write_together(store_all)


def begin(tx: Transaction, scope: Scope, sent: Trace) -> Trace:
    """Store a trace in the caller's transaction, or what is sent again of one that is there. The caller has checked its
    id. With `announced` false only what spans say is known, and that of a trace that is there stays as it is.
    """
    sent = _cleaned(scope, sent)
    made = _stamped(tx, scope, sent)
    if store.add(tx, made):
        _link_to_its_run(tx, scope, made)
        quotas.take(tx, scope, usage.TRACES, 1)
        return made
    existing = _known(store.get_to_write(tx, sent.id), sent.id)
    if existing.experiment_iid != sent.experiment_iid:
        raise invalid(f"Trace with ID '{sent.id}' already exists in another experiment.")
    rights.check_may_change(tx, scope, existing)
    if not sent.announced:
        return existing
    changes = _changes(sent)
    if not existing.announced:
        # Whoever announces a trace has begun it, even if its spans arrived first.
        changes["announced"] = True
    store.change(tx, sent.id, **changes)
    store.put_tags(tx, sent.id, made.tags)
    store.put_metadata(tx, sent.id, sent.metadata)
    _link_to_its_run(tx, scope, replace(sent, origin_id=existing.origin_id))
    known = replace(existing, **changes)
    return replace(
        known,
        tags=dict(sorted({**existing.tags, **made.tags}.items())),
        metadata=dict(sorted({**existing.metadata, **sent.metadata}.items())),
    )


def start_v2(
    scope: Scope, *, experiment_iid: int, started_ms: int, metadata: Mapping[str, str], tags: Mapping[str, str]
) -> Trace:
    """Begin a trace of MLflow 2, whose id the server chooses."""
    sent = Trace(new_id(), experiment_iid, TraceState.IN_PROGRESS, started_ms, tags=dict(tags), metadata=dict(metadata))
    sent = redact.of(scope).trace(sent)
    return scope.project.write_together(lambda tx: begin(tx, scope, sent))


def end_v2(
    scope: Scope,
    trace_id: str,
    *,
    ended_ms: int,
    state: TraceState,
    metadata: Mapping[str, str],
    tags: Mapping[str, str],
) -> Trace:
    """End a trace of MLflow 2; metadata and tags are added to those that it has."""
    redactor = redact.of(scope)
    tags, metadata = redactor.pairs(tags), redactor.pairs(metadata)
    with scope.project.write() as tx:
        trace = changeable(tx, scope, trace_id)
        sent = replace(trace, tags=dict(tags), metadata=dict(metadata), state=state)
        made = _cleaned(scope, sent)
        changes: dict[str, object] = {"state": state, "duration_ms": ended_ms - trace.started_ms}
        store.change(tx, trace_id, **changes, **_columns_of(made.metadata))
        store.put_tags(tx, trace_id, made.tags)
        store.put_metadata(tx, trace_id, made.metadata)
        _link_to_its_run(tx, scope, replace(trace, metadata=made.metadata))
        return existing(tx, trace_id)


def without_others(stored: TraceData, sent: Trace) -> TraceData:
    """Return only what this caller has sent about a trace, for callers who may write traces but not read them."""
    trace = stored.trace
    own = replace(
        trace,
        request_preview=sent.request_preview,
        response_preview=sent.response_preview,
        tags={key: trace.tags[key] for key in {*sent.tags, PLACE_TAG} if key in trace.tags},
        metadata={key: trace.metadata[key] for key in sent.metadata if key in trace.metadata},
    )
    return TraceData(own)


def get(scope: Scope, trace_id: str) -> TraceData:
    with scope.project.read() as tx:
        return with_assessments(tx, [existing(tx, trace_id)])[0]


def of_ids(scope: Scope, trace_ids: Sequence[str], experiment_iids: Sequence[int] | None = None) -> list[TraceData]:
    """Return those of the traces that exist, in experiments if these are given."""
    with scope.project.read() as tx:
        found = store.of_ids(tx, trace_ids)
        within = [one for one in found if experiment_iids is None or one.experiment_iid in experiment_iids]
        return with_assessments(tx, within)


def with_assessments(tx: Transaction, found: Sequence[Trace]) -> list[TraceData]:
    """Add the assessments of traces. One statement."""
    said = assessment_store.of_traces(tx, [one.id for one in found])
    return [TraceData(one, said.get(one.id, ())) for one in found]


def set_tag(scope: Scope, trace_id: str, key: str, value: str) -> None:
    limits.check_key(key, "tag")
    _check_tag(scope, key, "set")
    value = redact.of(scope).pairs({key: value})[key]
    with scope.project.write() as tx:
        changeable(tx, scope, trace_id)
        store.put_tags(tx, trace_id, {key: value[: limits.MAX_TAG_VALUE]})


def delete_tag(scope: Scope, trace_id: str, key: str) -> None:
    if key != ARCHIVAL_FAILURE_TAG:
        _check_tag(scope, key, "deleted")
    with scope.project.write() as tx:
        changeable(tx, scope, trace_id)
        if not store.delete_tag(tx, trace_id, key):
            raise not_found(f"No trace tag with key '{key}' for trace with ID '{trace_id}'")


def link_to_run(scope: Scope, trace_ids: Sequence[str], eid: str) -> None:
    """Link traces to a run that the caller may write to. They may arrive later: clients send them in the background.

    Raises what `candidates.writable` raises. Traces that others than the run's own jobs have linked are no
    evidence, nor are imported ones.
    """
    if not trace_ids:
        return
    if len(trace_ids) > MAX_LINKS:
        raise invalid(
            f"Cannot link more than {MAX_LINKS} traces to a run in a single request. Provided {len(trace_ids)} traces."
        )
    for trace_id in trace_ids:
        check_id(trace_id)
    with scope.project.write() as tx:
        candidate, number = candidates.writable(tx, scope, eid, {WriteKind.TRACES})
        own, job_id = number == candidate.iid, rights.job_of(scope)
        imported = store.imported_among(tx, trace_ids) if own and job_id is not None else set()
        links.to_run(tx, candidate.iid, imported, own=False, job_id=job_id)
        links.to_run(tx, candidate.iid, set(trace_ids) - imported, own=own, job_id=job_id)


def link_prompts(scope: Scope, trace_id: str, versions: Iterable[tuple[str, str]]) -> None:
    if not trace_id:
        raise invalid(Reason.FIELD_MISSING, field="trace_id")
    versions = list(versions)
    if not versions:
        return
    if len(versions) > limits.MAX_LIST:
        raise invalid(f"A call links at most {limits.MAX_LIST} versions of prompts, not {len(versions)}.")
    with scope.project.write() as tx:
        changeable(tx, scope, trace_id)
        links.to_prompts(tx, trace_id, versions)


def delete(scope: Scope, selection: Selection, *, run_eid: str | None = None, most: int | None = None) -> int:
    """Delete traces for good, with their spans and assessments, and return how many. The oldest go first.

    `run_eid` selects those of a run, too, and `most` limits how many. Raises FORBIDDEN if there is one among the next
    thousand that the caller may not delete; nothing of those is deleted then.
    """
    deleted = 0
    while most is None or deleted < most:
        left = _DELETED_AT_ONCE if most is None else min(most - deleted, _DELETED_AT_ONCE)
        with scope.project.write() as tx:
            if run_eid is not None:
                selection = replace(selection, run_iid=candidates.known(tx, run_eid).iid)
            gone = _delete_some(tx, scope, store.selected(tx, selection, limit=left))
        deleted += gone
        if gone < left:
            break
    if deleted:
        _log.info("%s deleted %s traces of project %s", scope.actor.user_name, deleted, scope.project_id)
    return deleted


def forget(tx: Transaction, traces: Sequence[Trace], *, by: str, own_job: int | None = None) -> None:
    """Remove traces in the caller's transaction. `by` is kept in their links to runs, except in those that `own_job`
    has made, which takes its own traces back.
    """
    if not traces:
        return
    ids = [trace.id for trace in traces]
    if own_job is not None:
        links.remove(tx, ids, job_id=own_job)
    links.note_deleted(tx, ids, by=by)
    for folder in (TraceFile(trace.experiment_iid, trace.id, "").folder for trace in traces):
        if files.is_folder(tx, folder):  # attachments, which few traces have
            files.delete(tx, folder)
    usage.add(tx, usage.TRACES, -store.remove(tx, ids))


def changeable(tx: Transaction, scope: Scope, trace_id: str) -> Trace:
    """Find a trace that the caller is about to change. Raises NOT_FOUND, and FORBIDDEN for one of another job."""
    trace = _known(store.get_to_write(tx, trace_id), trace_id)
    rights.check_may_change(tx, scope, trace)
    return trace


def existing(tx: Transaction, trace_id: str) -> Trace:
    return _known(store.get(tx, trace_id), trace_id)


def no_trace(trace_id: str) -> MltrailError:
    return not_found(Reason.NO_TRACE, trace_id=trace_id[:80])


def _known(trace: Trace | None, trace_id: str) -> Trace:
    if trace is None:
        raise no_trace(trace_id)
    return trace


def _delete_some(tx: Transaction, scope: Scope, found: Sequence[Trace]) -> int:
    rights.check_may_delete(scope, found)
    job_id = rights.job_of(scope)
    by = scope.actor.user_name
    forget(tx, [one for one in found if one.job_id is not None and one.job_id == job_id], by=by, own_job=job_id)
    forget(tx, [one for one in found if one.job_id is None or one.job_id != job_id], by=by)
    return len(found)


def _stamped(tx: Transaction, scope: Scope, sent: Trace) -> Trace:
    """Return a trace with what the server says of it: whose it is, where its files would be, and its job."""
    place = experiments.check_accepts(tx, sent.experiment_iid)
    root = place or f"mlflow-artifacts:/{sent.experiment_iid}"
    job = scope.actor.job
    proved = stamp.proved(scope)
    return replace(
        sent,
        tags={**sent.tags, PLACE_TAG: f"{root}/traces/{sent.id}/artifacts"},
        metadata={**sent.metadata, **{key: proved[key] for key in _STAMP if key in proved}},
        job_id=rights.job_of(scope),
        pipeline_id=job.pipeline_id if job is not None else None,
        protected=rights.is_protected(scope),
        user_name=scope.actor.user_name,
        **_columns_of(sent.metadata),
    )


def _cleaned(scope: Scope, sent: Trace) -> Trace:
    """Return a trace without what clients may not say, and with long texts cut."""
    reserved = stamp.reserved(scope)
    if len(sent.tags) > limits.MAX_LIST or len(sent.metadata) > limits.MAX_LIST:
        raise invalid(f"A trace has at most {limits.MAX_LIST} tags, and as many entries of metadata.")
    tags = {key: value for key, value in sent.tags.items() if key not in SERVERS_TAGS and key not in reserved}
    metadata = {key: value for key, value in sent.metadata.items() if key not in reserved}
    return replace(
        sent,
        tags=_cut(tags),
        metadata=_cut(metadata),
        request_preview=_shortened(sent.request_preview),
        response_preview=_shortened(sent.response_preview),
    )


def _cut(pairs: Mapping[str, str]) -> dict[str, str]:
    return {key[: limits.MAX_KEY]: value[: limits.MAX_TAG_VALUE] for key, value in pairs.items()}


def _shortened(text: str | None) -> str | None:
    return None if text is None else text[:MAX_PREVIEW]


def _changes(sent: Trace) -> dict[str, Any]:
    """Return what a trace that is there takes over from what is sent again."""
    changes: dict[str, Any] = {
        "state": sent.state,
        "started_ms": sent.started_ms,
        "duration_ms": sent.duration_ms,
        "client_request_id": sent.client_request_id,
        **_columns_of(sent.metadata),
    }
    previews = {"request_preview": sent.request_preview, "response_preview": sent.response_preview}
    return changes | {key: _shortened(text) for key, text in previews.items() if text is not None}


def _columns_of(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return the columns by which traces are found and deleted, as far as metadata says them."""
    keys = {"session": SESSION_KEY, "end_user": USER_KEY}
    return {column: metadata[key][:_COLUMN_LENGTH] for column, key in keys.items() if key in metadata}


def _link_to_its_run(tx: Transaction, scope: Scope, trace: Trace) -> None:
    """Link a trace to the run that it was made in, as its metadata says."""
    eid = trace.metadata.get(RUN_KEY)
    found = rights.counts_for(tx, scope, eid) if eid else None
    if found is not None:
        candidate, own = found
        own = own and trace.origin_id is None
        links.to_run(tx, candidate.iid, [trace.id], own=own, job_id=rights.job_of(scope))


def _check_tag(scope: Scope, key: str, doing: str) -> None:
    if key in SERVERS_TAGS:
        raise invalid(f"Tag '{key}' is immutable and cannot be {doing} on a trace.")
    if key in stamp.reserved(scope):
        raise invalid(f"The tag '{key}' is written by mltrail itself. Use another key.")
