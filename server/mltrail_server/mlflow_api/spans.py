"""Traces with their spans: https://mlflow.org/docs/latest/genai/tracing/."""

from flask import Response

from mltrail_server.domain.errors import not_found
from mltrail_server.domain.traces import MAX_IDS
from mltrail_server.http.answers import json_answer
from mltrail_server.http.call import Call
from mltrail_server.services.traces import spans, traces
from mltrail_server.services.traces.spans import SentSpans
from mltrail_server.services.traces.traces import TraceData

from . import trace_shapes
from .messages import Message, message_of
from .wire import check_length, experiment_number


class _Get(Message):
    trace_id: str
    allow_partial: bool = False


class _BatchGet(Message):
    trace_ids: list[str]
    experiment_ids: list[str] | None = None


def get(call: Call) -> Response:
    """Send a trace with its spans. `allow_partial` sends those that have come; without it all must have come."""
    query = message_of(call.request, _Get)
    data = traces.get(call.scope, query.trace_id)
    sent = spans.messages_of(call.scope, [data.trace]).get(query.trace_id, SentSpans())
    if not (query.allow_partial or sent.complete):
        raise not_found(f"Trace with ID {query.trace_id[:80]} is not fully exported yet, please try again later.")
    return json_answer({"trace": _shown(data, sent)})


def batch_get(call: Call) -> Response:
    """Send those of the traces whose spans have all come."""
    query = message_of(call.request, _BatchGet)
    check_length("trace_ids", query.trace_ids, MAX_IDS)
    iids = None if query.experiment_ids is None else [experiment_number(one) for one in query.experiment_ids]
    found = traces.of_ids(call.scope, query.trace_ids, iids)
    sent = spans.messages_of(call.scope, [data.trace for data in found])
    complete = [(data, sent[data.trace.id]) for data in found if data.trace.id in sent and sent[data.trace.id].complete]
    return json_answer({"traces": [_shown(data, one) for data, one in complete]} if complete else {})


def _shown(data: TraceData, sent: SentSpans) -> dict[str, object]:
    return {"trace_info": trace_shapes.info(data), **({"spans": sent.messages} if sent.count else {})}
