"""Traces, without their spans: https://mlflow.org/docs/latest/genai/tracing/.

MLflow 3 has endpoints of its own below `/api/3.0/mlflow/`; those of MLflow 2 are still called by old clients, and some
of them by new ones as well.
"""

import math
from dataclasses import replace
from typing import Annotated

from flask import Response
from msgspec import Meta

from mltrail_server.domain import filters, limits
from mltrail_server.domain.errors import Code, MltrailError, invalid
from mltrail_server.domain.traces import MAX_IDS, Trace
from mltrail_server.http.answers import json_answer
from mltrail_server.http.call import Call
from mltrail_server.services.traces import search, traces
from mltrail_server.services.traces.search import TracePage
from mltrail_server.services.traces.traces import TraceData
from mltrail_server.store.traces.traces import Selection

from . import assessments, trace_shapes
from .messages import Message, message_of
from .times import FIRST_MS, LAST_MS
from .trace_shapes import Location, TraceInfo
from .wire import MAX_INT64, TagList, check_length, experiment_number, orders_of

_Time = Annotated[int, Meta(ge=FIRST_MS, le=LAST_MS)]


class _Trace(Message):
    trace_info: TraceInfo


class _Start(Message):
    trace: _Trace


class _Ids(Message):
    trace_ids: list[str]
    experiment_ids: list[str] | None = None


class _Tag(Message):
    key: str
    value: str = ""


class _TagKey(Message):
    key: str


class _LinkToRun(Message):
    trace_ids: list[str]
    run_id: str


class _PromptVersion(Message):
    name: str
    version: str


class _LinkPrompts(Message):
    trace_id: str
    prompt_versions: list[_PromptVersion]


class _Delete(Message):
    experiment_id: str
    max_timestamp_millis: Annotated[int, Meta(ge=-MAX_INT64, le=MAX_INT64)] | None = None
    max_traces: int | None = None
    request_ids: list[str] | None = None


class _Search(Message):
    locations: list[Location]
    filter: str | None = None
    max_results: int = 100
    order_by: list[str] | None = None
    page_token: str | None = None


class _SearchV2(Message):
    experiment_ids: list[str]
    filter: str | None = None
    max_results: int = 100
    order_by: list[str] | str | None = None
    page_token: str | None = None


class _Correlation(Message):
    experiment_ids: list[str]
    filter_string1: str
    filter_string2: str
    base_filter: str | None = None


class _StartV2(Message):
    experiment_id: str
    timestamp_ms: _Time = 0
    request_metadata: TagList | None = None
    tags: TagList | None = None


class _EndV2(Message):
    timestamp_ms: _Time = 0
    status: str | int | None = None
    request_metadata: TagList | None = None
    tags: TagList | None = None


def start(call: Call) -> Response:
    info = message_of(call.request, _Start).trace.trace_info
    sent = trace_shapes.as_sent(info)
    assessed = [assessments.as_sent(one, sent.id, call.scope.now) for one in info.assessments or ()]
    stored = traces.start(call.scope, sent, assessed)
    if not call.sees_traces:
        # A caller who may write but not read must not see what others have said about the trace.
        stored = traces.without_others(stored, sent)
    return json_answer({"trace": {"trace_info": trace_shapes.info(stored)}})


def get(call: Call, trace_id: str) -> Response:
    return json_answer({"trace": {"trace_info": trace_shapes.info(traces.get(call.scope, trace_id))}})


def batch_get_infos(call: Call) -> Response:
    body = message_of(call.request, _Ids)
    check_length("trace_ids", body.trace_ids, MAX_IDS)
    iids = None if body.experiment_ids is None else [experiment_number(one) for one in body.experiment_ids]
    found = traces.of_ids(call.scope, body.trace_ids, iids)
    return json_answer({"trace_infos": [trace_shapes.info(one) for one in found]} if found else {})


def set_tag(call: Call, trace_id: str) -> Response:
    body = message_of(call.request, _Tag)
    traces.set_tag(call.scope, trace_id, body.key, body.value)
    return json_answer({})


def delete_tag(call: Call, trace_id: str) -> Response:
    traces.delete_tag(call.scope, trace_id, message_of(call.request, _TagKey).key)
    return json_answer({})


def link_to_run(call: Call) -> Response:
    body = message_of(call.request, _LinkToRun)
    traces.link_to_run(call.scope, body.trace_ids, body.run_id)
    return json_answer({})


def link_prompts(call: Call) -> Response:
    body = message_of(call.request, _LinkPrompts)
    check_length("prompt_versions", body.prompt_versions, limits.MAX_LIST)
    traces.link_prompts(call.scope, body.trace_id, [(one.name, one.version) for one in body.prompt_versions])
    return json_answer({})


def delete(call: Call) -> Response:
    body = message_of(call.request, _Delete)
    _check_delete(body)
    check_length("request_ids", body.request_ids, MAX_IDS)
    selection = Selection(
        experiment_iid=experiment_number(body.experiment_id),
        ids=body.request_ids or None,
        started_until_ms=body.max_timestamp_millis,
    )
    return json_answer({"traces_deleted": traces.delete(call.scope, selection, most=body.max_traces)})


def find(call: Call) -> Response:
    body = message_of(call.request, _Search)
    check_length("locations", body.locations, filters.MAX_LIST)
    iids = [iid for one in body.locations if (iid := trace_shapes.location_iid(one)) is not None]
    page = _page(call, body, iids)
    answer: dict[str, object] = {"traces": [trace_shapes.info(one) for one in page.items]} if page.items else {}
    return json_answer(answer | ({"next_page_token": page.next_token} if page.next_token else {}))


def find_v2(call: Call) -> Response:
    body = message_of(call.request, _SearchV2)
    check_length("experiment_ids", body.experiment_ids, filters.MAX_LIST)
    page = _page(call, body, [experiment_number(one) for one in body.experiment_ids])
    shown = [trace_shapes.info_v2(one.trace) for one in page.items]
    answer: dict[str, object] = {"traces": shown} if shown else {}
    return json_answer(answer | ({"next_page_token": page.next_token} if page.next_token else {}))


def correlation(call: Call) -> Response:
    body = message_of(call.request, _Correlation)
    check_length("experiment_ids", body.experiment_ids, filters.MAX_LIST)
    found = search.association(
        call.scope,
        experiment_iids=[experiment_number(one) for one in body.experiment_ids],
        filters=(body.filter_string1, body.filter_string2),
        base=body.base_filter or "",
    )
    # Without either of the two, nothing can be said, and MLflow says nothing.
    shown = {"npmi": found.npmi, "npmi_smoothed": found.smoothed}
    return json_answer(
        {name: value for name, value in shown.items() if not math.isnan(value)}
        | {
            "filter1_count": found.first,
            "filter2_count": found.second,
            "joint_count": found.joint,
            "total_count": found.total,
        }
    )


def metrics(call: Call) -> Response:
    """Refuse: only the charts of MLflow's own pages ask for them."""
    raise MltrailError(
        Code.NOT_IMPLEMENTED,
        f"mltrail computes no metrics over traces ({call.request.path}); MLflow's own pages use them. Search traces "
        "with `mlflow.search_traces`, which returns a table to compute with. An evaluation's tokens, cost and latency "
        "are in the comment on its merge request.",
    )


def _page(call: Call, body: _Search | _SearchV2, iids: list[int]) -> TracePage:
    return search.traces(
        call.scope,
        experiment_iids=iids,
        filter_text=body.filter or "",
        order_by=orders_of(body.order_by),
        limit=body.max_results,
        token=body.page_token or None,
    )


def start_v2(call: Call) -> Response:
    body = message_of(call.request, _StartV2)
    stored = traces.start_v2(
        call.scope,
        experiment_iid=experiment_number(body.experiment_id),
        started_ms=body.timestamp_ms,
        metadata=trace_shapes.pairs(body.request_metadata),
        tags=trace_shapes.pairs(body.tags),
    )
    return json_answer({"trace_info": trace_shapes.info_v2(stored)})


def end_v2(call: Call, trace_id: str) -> Response:
    body = message_of(call.request, _EndV2)
    stored = traces.end_v2(
        call.scope,
        trace_id,
        ended_ms=body.timestamp_ms,
        state=trace_shapes.state_of(body.status),
        metadata=trace_shapes.pairs(body.request_metadata),
        tags=trace_shapes.pairs(body.tags),
    )
    if not call.sees_traces:
        stored = traces.without_others(TraceData(stored), _told(body, stored)).trace
    return json_answer({"trace_info": trace_shapes.info_v2(stored)})


def _told(body: _EndV2, stored: Trace) -> Trace:
    """Return only what this call has sent about a trace."""
    tags, metadata = trace_shapes.pairs(body.tags), trace_shapes.pairs(body.request_metadata)
    return replace(stored, request_preview=None, response_preview=None, tags=tags, metadata=metadata)


def get_v2(call: Call, trace_id: str) -> Response:
    return json_answer({"trace_info": trace_shapes.info_v2(traces.get(call.scope, trace_id).trace)})


def _check_delete(body: _Delete) -> None:
    if body.max_timestamp_millis is None and not body.request_ids:
        raise invalid("Either `max_timestamp_millis` or `trace_ids` must be specified.")
    if body.max_timestamp_millis is not None and body.request_ids:
        raise invalid("Only one of `max_timestamp_millis` and `trace_ids` can be specified.")
    if body.request_ids and body.max_traces is not None:
        raise invalid("`max_traces` can't be specified if `trace_ids` is specified.")
    if body.max_traces is not None and body.max_traces <= 0:
        raise invalid(f"`max_traces` must be a positive integer, received {body.max_traces}.")
