"""Import the traces of an experiment with their assessments and spans, redacted like any trace, and attachments."""

import json
from dataclasses import replace

from mltrail_server.domain import limits
from mltrail_server.domain.assessments import SOURCE_TYPES, Assessment, Kind
from mltrail_server.domain.batches import batches
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.paths import TraceFile
from mltrail_server.domain.traces import (
    FINAL_KEY,
    PLACE_TAG,
    RUN_KEY,
    SERVERS_TAGS,
    SESSION_KEY,
    USER_KEY,
    Trace,
    TraceState,
    check_id,
)
from mltrail_server.domain.transfer import AssessmentRecord, Entity, ExperimentRecord, Loss, TraceRecord
from mltrail_server.services.traces import redact, spans
from mltrail_server.services.traces import traces as trace_service
from mltrail_server.services.tracking import quotas
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.imports import evaluations, imported, runs
from mltrail_server.store.imports.imported import Imported
from mltrail_server.store.traces import assessments as assessment_store
from mltrail_server.store.traces import links
from mltrail_server.store.traces import traces as store
from mltrail_server.store.tracking import usage

from . import experiments, files
from .files import Before, Brought
from .fit_to_limits import Fit
from .target import USER, Target
from .written_values import WrittenValues, digests_of, fingerprint

_AT_ONCE = 100
_VERIFIED = "gitlab.verified"
_COLUMN = 250
_KINDS = {"feedback": Kind.FEEDBACK, "expectation": Kind.EXPECTATION, "issue": Kind.ISSUE}


def bring(target: Target, experiment: ExperimentRecord, iid: int | None) -> None:
    """Import an experiment's traces. `iid` is its number here, None in a dry run without it."""
    active = False
    for batch in batches(target.source.traces(experiment), _AT_ONCE):
        ids = [record.id for record in batch]
        with target.project.read() as tx:
            known = imported.of(tx, Entity.TRACE, ids)
            here = evaluations.origins_of_traces(tx, ids)
        for record in batch:
            fit = target.fit(f"trace {record.id}")
            earlier = known.get(record.id)
            folder = TraceFile(iid or 0, record.id, "").folder
            if _is_done(target, record, fit, earlier, here, folder):
                continue
            if not active and iid is not None and not target.dry_run:
                experiments.activate(target, iid)  # spans can only be added to an active one
                active = True
            _bring_one(target, record, fit, iid or 0, earlier, is_here=record.id in here)


def _is_done(
    target: Target, record: TraceRecord, fit: Fit, known: Imported | None, here: dict[str, int | None], folder: str
) -> bool:
    """Skip a trace that has not changed, and refuse one that can't have its id here."""
    there = _counts_of(record)
    target.progress.advance(Entity.TRACE)
    if known is not None and record.id in here and target.is_same(known, _fingerprint_of(record)):
        target.progress.skipped += 1
        for entity in (Entity.FILE, Entity.BYTES):
            target.progress.advance(entity, known.counts.get(entity, 0))
        target.tally.note(Entity.TRACE, record.id, fit.owner, known.counts, folder=folder)
        return True
    if here.get(record.id, 0) is None:
        fit.say(Loss.CLASH, Entity.TRACE, "a trace with this ID already existed here and was not changed")
    elif fit.passes(Entity.TRACE, "its id", lambda: check_id(record.id)):
        return False
    target.tally.note(Entity.TRACE, None, fit.owner, there)
    return True


def _bring_one(
    target: Target, record: TraceRecord, fit: Fit, iid: int, known: Imported | None, *, is_here: bool
) -> None:
    folder = TraceFile(iid, record.id, "").folder
    if target.dry_run:
        brought = files.bring_attachments(target, record, fit, folder=folder, before=Before())
    else:
        redactor = redact.of(target.scope)
        sent = redactor.trace(_trace(target, record, fit, iid))
        said = [redactor.assessment(one) for one in _assessments(record, fit)]
        data = target.source.spans(record)
        with target.project.write() as tx:
            _write(tx, target, record, sent, _without_foreign(tx, record, said, fit))
        if data is not None:
            _add_spans(target, record, fit, iid, data)
            with target.project.write() as tx:
                # Spans fill in the previews that a new trace lacks; this one lacked them at the source.
                store.change(
                    tx, record.id, request_preview=sent.request_preview, response_preview=sent.response_preview
                )
        brought = _bring_attachments(target, record, fit, folder, known)
    there = _counts_of(record) | brought.there
    here = record.id if is_here or not target.dry_run else None
    target.tally.note(Entity.TRACE, here, fit.owner, there, folder=folder, explained=fit.lost or target.dry_run)


def _bring_attachments(target: Target, record: TraceRecord, fit: Fit, folder: str, known: Imported | None) -> Brought:
    """Import the attachments, and remember the trace, which is then complete."""
    before = Before()
    if known is not None:
        with target.project.read() as tx:
            before = Before(files.here(tx, folder), WrittenValues(known.written))
    brought = files.bring_attachments(target, record, fit, folder=folder, before=before)
    fingerprint_here = "" if fit.lost else target.marked(_fingerprint_of(record))
    made = Imported(record.id, fingerprint_here, _counts_of(record) | brought.there, digests_of(brought.written))
    try:
        with target.project.write() as tx:
            files.store(tx, target, brought)
            imported.put(tx, Entity.TRACE, target.origin_id, [(record.id, made)])
    except Exception:
        files.discard(target, [brought])
        raise
    return brought


def _write(tx: Transaction, target: Target, record: TraceRecord, sent: Trace, said: list[Assessment]) -> None:
    if store.add(tx, sent):
        evaluations.mark_trace(tx, sent.id, target.origin_id)
        quotas.take(tx, target.scope, usage.TRACES, 1)
    else:
        changes = {"state": sent.state, "duration_ms": sent.duration_ms, "request_preview": sent.request_preview}
        store.change(tx, sent.id, **changes, response_preview=sent.response_preview)
        store.put_tags(tx, sent.id, sent.tags)
        store.put_metadata(tx, sent.id, sent.metadata)
    assessment_store.put(tx, said)
    eids = [one for one in (sent.metadata.get(RUN_KEY), *record.run_ids) if one]
    for iid in runs.iids_of(tx, eids).values():
        # Not the run's own: what was imported is never evidence.
        links.to_run(tx, iid, [sent.id], own=False)


def _without_foreign(tx: Transaction, record: TraceRecord, said: list[Assessment], fit: Fit) -> list[Assessment]:
    """Leave out assessments whose IDs are already taken here: by another trace's, or by one that a job wrote. Otherwise
    whoever made a history could change what a run's evaluation has found.
    """
    there = assessment_store.of_ids(tx, [one.id for one in said])
    free = []
    for one in said:
        known = there.get(one.id)
        if known is None or (known.trace_id == record.id and known.job_id is None):
            free.append(one)
        else:
            text = f"an assessment with the id {one.id!r} already existed here and was not changed"
            fit.say(Loss.CLASH, Entity.ASSESSMENT, text)
    return free


def _add_spans(target: Target, record: TraceRecord, fit: Fit, iid: int, data: bytes) -> None:
    try:
        spans.receive_file(target.scope, iid, record.id, data)
    except MltrailError as error:
        if error.code in (Code.UNAVAILABLE, Code.INTERNAL, Code.QUOTA):
            raise
        fit.say(Loss.REFUSED, Entity.TRACE, f"its spans: {error.message}")


def _trace(target: Target, record: TraceRecord, fit: Fit, iid: int) -> Trace:
    def pairs(given: dict[str, str], what: str) -> dict[str, str]:
        kept = {key: value for key, value in given.items() if key not in SERVERS_TAGS and key != _VERIFIED}
        return {
            fit.text(Entity.TRACE, f"the name of a {what}", key, limits.MAX_KEY): fit.text(
                Entity.TRACE, f"the {what} {key[:60]!r}", value, limits.MAX_TAG_VALUE
            )
            for key, value in kept.items()
        }

    metadata = pairs(record.metadata, "key of its metadata")
    tags = pairs(target.tags(record.tags), "tag")
    preview = trace_service.MAX_PREVIEW
    state = TraceState.__members__.get(record.state)
    if state is None:
        fit.say(Loss.CHANGED, Entity.TRACE, f"its state {record.state[:40]!r} is unknown to MLflow")
    return Trace(
        record.id,
        iid,
        state or TraceState.STATE_UNSPECIFIED,
        fit.whole(Entity.TRACE, "its start", record.started_ms),
        None if record.duration_ms is None else fit.whole(Entity.TRACE, "its duration", record.duration_ms),
        fit.optional(Entity.TRACE, "the client's request id", record.client_request_id),
        fit.optional(Entity.TRACE, "the preview of its request", record.request_preview, preview),
        fit.optional(Entity.TRACE, "the preview of its response", record.response_preview, preview),
        session=metadata[SESSION_KEY][:_COLUMN] if SESSION_KEY in metadata else None,
        end_user=metadata[USER_KEY][:_COLUMN] if USER_KEY in metadata else None,
        user_name=USER,
        tags={**tags, PLACE_TAG: f"mlflow-artifacts:/{TraceFile(iid, record.id, '').folder}"},
        metadata={**metadata, FINAL_KEY: "true"},
    )


def _assessments(record: TraceRecord, fit: Fit) -> list[Assessment]:
    found: dict[str, Assessment] = {}
    for one in record.assessments:
        made = _assessment(record, one, fit)
        if made is not None:
            found[made.id] = made
    if len(found) > limits.MAX_ASSESSMENTS:
        fit.say(
            Loss.REFUSED,
            Entity.ASSESSMENT,
            f"a trace has at most {limits.MAX_ASSESSMENTS:,} assessments; the last ones are left out",
            count=len(found) - limits.MAX_ASSESSMENTS,
        )
    return list(found.values())[: limits.MAX_ASSESSMENTS]


def _assessment(record: TraceRecord, one: AssessmentRecord, fit: Fit) -> Assessment | None:
    what = f"the assessment {one.id[:80]!r}"
    kind = _KINDS.get(one.kind.lower())
    size = len(json.dumps([one.value, one.error, one.rationale, one.metadata], default=str))
    why = ""
    if kind is None:
        why = f"{one.kind[:40]!r} is not a kind of assessment"
    elif not one.id or len(one.id) > limits.MAX_ASSESSMENT_ID:
        why = f"its ID is empty or has more than {limits.MAX_ASSESSMENT_ID} characters"
    elif size > limits.MAX_ASSESSMENT:
        why = f"it has {size:,} characters, and may have {limits.MAX_ASSESSMENT:,}"
    if kind is None or why:
        fit.say(Loss.REFUSED, Entity.ASSESSMENT, f"{what}: {why}")
        return None
    source = one.source_type if one.source_type in SOURCE_TYPES else SOURCE_TYPES[0]
    text = fit.text
    made = Assessment(
        one.id,
        record.id,
        text(Entity.ASSESSMENT, f"the name of {what}", one.name, limits.MAX_KEY),
        kind,
        one.value,
        source,
        text(Entity.ASSESSMENT, f"the source of {what}", one.source_id, limits.MAX_ASSESSMENT_SOURCE),
        one.created_ms,
        one.updated_ms,
        one.error,
        fit.optional(Entity.ASSESSMENT, f"the rationale of {what}", one.rationale),
        {key: text(Entity.ASSESSMENT, f"metadata of {what}", value) for key, value in one.metadata.items()},
        fit.optional(Entity.ASSESSMENT, f"the span of {what}", one.span_id, limits.MAX_ASSESSMENT_ID),
        fit.optional(Entity.ASSESSMENT, f"what {what} overrides", one.overrides, limits.MAX_ASSESSMENT_ID),
        one.valid,
        user_name=USER,
    )
    return replace(made, user_name=one.source_id) if source == "HUMAN" and one.source_id else made


def _counts_of(record: TraceRecord) -> dict[Entity, int]:
    return {Entity.TRACE: 1, Entity.ASSESSMENT: len({one.id for one in record.assessments})}


def _fingerprint_of(record: TraceRecord) -> str:
    return fingerprint(
        (record.state, record.started_ms, record.duration_ms, record.client_request_id),
        (record.request_preview, record.response_preview),
        sorted(record.tags.items()),
        sorted(record.metadata.items()),
        sorted(map(repr, record.assessments)),
        sorted(record.run_ids),
    )
