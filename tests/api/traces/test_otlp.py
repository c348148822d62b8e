"""Spans as OpenTelemetry's exporters send them: https://opentelemetry.io/docs/specs/otlp/#otlphttp."""

import base64
import gzip
import json
import zlib
from typing import Any

import pytest
from flask.testing import FlaskClient
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.traces import links, spans
from tests.api.traces.caller import Traces, a_trace, traces_by
from tests.api.traces.exporter import PROTOBUF, ROOT, STARTED, TRACE, message, send, span, status_of, stored
from tests.mlflow_client import Mlflow, failure
from tests.team import EXTERNAL_URL, Team

OTHER = "1" * 32
PROJECT = ProjectId(1)
GIVEN: dict[str, Any] = {
    "mlflow.spanInputs": {"question": "How long is a return?", "limit": 3},
    "mlflow.spanOutputs": ["30 days", 0.75, True, None],
    "mlflow.spanType": "AGENT",
    "temperature": 0.2,
    "n": 7,
}
MLFLOW = {"User-Agent": "mlflow-python-client/3.18.0"}


def as_json(body: bytes) -> bytes:
    """Write a request as OTLP has it in JSON: ids in hexadecimal, unlike other bytes."""
    whole = MessageToDict(ExportTraceServiceRequest.FromString(body), use_integers_for_enums=True)
    for group in whole["resourceSpans"]:
        for one in group["scopeSpans"][0]["spans"]:
            for name in ("traceId", "spanId", "parentSpanId"):
                if name in one:
                    one[name] = base64.b64decode(one[name]).hex()
    return json.dumps(whole).encode()


def test_what_an_exporter_sends_is_read_back(traces: Traces) -> None:
    child = span(2, parent=ROOT, name="search", at=1_000, attributes={"mlflow.spanType": "TOOL"})

    answer = send(traces, child, span(attributes=GIVEN))

    assert (answer.status_code, answer.content_type) == (200, PROTOBUF)
    assert ExportTraceServiceResponse.FromString(answer.data) == ExportTraceServiceResponse()
    root, second = stored(traces)
    assert root["attributes"] == {"mlflow.traceRequestId": f"tr-{TRACE}", **GIVEN}
    assert (root["name"], root["parent_span_id"], root["status"]["code"]) == ("agent", None, "STATUS_CODE_OK")
    assert (root["start_time_unix_nano"], root["end_time_unix_nano"]) == (STARTED, STARTED + 13_000_000)
    assert (second["name"], second["parent_span_id"]) == ("search", root["span_id"])


def test_json_is_read_like_protobuf_and_answered_in_json(traces: Traces) -> None:
    spans = [span(attributes=GIVEN), span(2, parent=ROOT, at=5)]
    send(traces, *spans)
    in_protobuf = stored(traces)
    body = as_json(message(spans)).replace(TRACE.encode(), OTHER.encode())

    answer = send(traces, body=body, kind="application/json; charset=utf-8")

    assert (answer.status_code, answer.content_type, answer.data) == (200, "application/json", b"{}")
    for one in (in_json := stored(traces, OTHER)):
        one["trace_id"], one["attributes"]["mlflow.traceRequestId"] = in_protobuf[0]["trace_id"], f"tr-{TRACE}"
    assert in_json == in_protobuf


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda body: zlib.compress(body)[2:-4]),  # without a header, as some clients send it
        ("GZIP", gzip.compress),
    ],
)
def test_bodies_may_be_compressed(traces: Traces, encoding: str, pack: Any) -> None:
    answer = send(traces, body=pack(message([span()])), headers={"Content-Encoding": encoding})
    assert (answer.status_code, len(stored(traces))) == (200, 1)


def test_a_trace_that_nobody_announces_is_described_by_its_spans(traces: Traces) -> None:
    chat = {"mlflow.spanInputs": {"messages": [{"role": "user", "content": "Hello"}]}, "mlflow.spanOutputs": "Good day"}
    usage = {"mlflow.chat.tokenUsage": {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}}
    costs = {"mlflow.llm.cost": {"input_cost": 0.25, "output_cost": 0.5, "total_cost": 0.75}}
    # The second request holds the root: its tokens are those of its children, and count once.
    send(traces, span(2, parent=ROOT, at=5_000_000, attributes=usage | costs | {"session.id": "s-1", "user.id": "u-1"}))
    assert traces.info(f"tr-{TRACE}")["state"] == "IN_PROGRESS"
    assert "request_preview" not in traces.info(f"tr-{TRACE}")
    resource = {"service.name": "answers", "telemetry.sdk.name": "opentelemetry", "mlflow.artifactLocation": "s3://x"}
    root = span(status=2, attributes=chat | usage | {"mlflow.traceTag.team": "a"}, lasts=20_000_000)
    send(traces, body=message([root], resource))

    info = traces.info(f"tr-{TRACE}")

    assert (info["state"], info["execution_duration"]) == ("ERROR", "0.020s")
    assert info["request_time"] == "2026-11-28T18:24:18.176Z"
    assert (info["request_preview"], info["response_preview"]) == ("Hello", '"Good day"')
    assert info["tags"] == {
        "mlflow.artifactLocation": f"mlflow-artifacts:/0/traces/tr-{TRACE}/artifacts",
        "mlflow.trace.spansLocation": "TRACKING_STORE",
        "mlflow.traceName": "agent",
        "service.name": "answers",
        "team": "a",
    }
    found = {key: value for key, value in info["trace_metadata"].items() if key.startswith("mlflow.trace.")}
    assert json.loads(found["mlflow.trace.tokenUsage"]) == usage["mlflow.chat.tokenUsage"]
    assert json.loads(found["mlflow.trace.cost"]) == costs["mlflow.llm.cost"]
    assert (found["mlflow.trace.session"], found["mlflow.trace.user"]) == ("s-1", "u-1")


@pytest.mark.parametrize("announced_first", [True, False])
def test_what_a_client_says_of_its_trace_counts(traces: Traces, announced_first: bool) -> None:
    metadata = {"mlflow.trace.tokenUsage": '{"total_tokens": 1}'}
    spans = [span(attributes={**GIVEN, "mlflow.chat.tokenUsage": {"total_tokens": 9}}, status=2, lasts=90_000_000)]
    announce = a_trace(f"tr-{TRACE}", trace_metadata=metadata, execution_duration="0.013s", response_preview=None)

    if not announced_first:
        send(traces, *spans)
    traces.three("POST", trace=announce)
    if announced_first:
        send(traces, *spans)

    info = traces.info(f"tr-{TRACE}")
    assert (info["state"], info["execution_duration"], info["request_preview"]) == ("OK", "0.013s", '{"x": "a"}')
    assert info["trace_metadata"]["mlflow.trace.tokenUsage"] == '{"total_tokens": 1}'
    assert info["response_preview"] == '["30 days", 0.75, true, null]', "only the spans say it"
    assert info["tags"]["mlflow.trace.spansLocation"] == "TRACKING_STORE"


def test_a_request_of_several_traces_and_traces_of_several_requests(traces: Traces) -> None:
    """In any order; and what is sent again, because an answer was lost, changes nothing."""
    first = message([span(3, parent="0000000000000002", at=30), span(trace=OTHER)])
    second = message([span(2, parent=ROOT, at=20), span(at=10)])
    for body in (first, second, first, second):
        assert send(traces, body=body).status_code == 200

    assert [one["start_time_unix_nano"] - STARTED for one in stored(traces)] == [10, 20, 30]
    assert len(stored(traces, OTHER)) == 1
    assert traces.info(f"tr-{TRACE}")["state"] == "OK"


def test_a_span_that_is_sent_again_once_it_has_ended_replaces_what_was_sent(traces: Traces) -> None:
    send(traces, span(lasts=None))
    assert stored(traces)[0]["end_time_unix_nano"] is None
    send(traces, span(lasts=7))
    assert [one["end_time_unix_nano"] for one in stored(traces)] == [STARTED + 7]


def test_all_kinds_of_values_events_and_links_are_kept(traces: Traces) -> None:
    deep = {"a": [{"b": [1, -(2**63), 0.1, "ä\n\U0001f389", False, None, {}]}, []]}
    one = span(attributes={"deep": deep, "empty": ""})
    one.attributes.add(key="infinite").value.double_value = float("inf")
    one.attributes.add(key="bytes").value.bytes_value = b"\x00\xff"
    event = one.events.add(name="exception", time_unix_nano=STARTED + 3)
    event.attributes.add(key="exception.message").value.string_value = "boom"
    link = one.links.add(trace_id=bytes.fromhex(OTHER), span_id=bytes.fromhex(ROOT))
    link.attributes.add(key="why").value.int_value = 1
    one.status.message = "it broke"

    send(traces, one)

    (found,) = stored(traces)
    assert found["attributes"]["deep"] == deep
    assert found["attributes"]["infinite"] == float("inf")
    assert (found["attributes"]["empty"], found["attributes"]["bytes"]) == ("", "AP8=")
    assert found["events"] == [
        {"name": "exception", "time_unix_nano": STARTED + 3, "attributes": {"exception.message": "boom"}}
    ]
    assert found["links"] == [{"trace_id": f"tr-{OTHER}", "span_id": ROOT, "attributes": {"why": 1}}]
    assert found["status"] == {"code": "STATUS_CODE_OK", "message": "it broke"}
    message_of_it = traces.three("GET", "/get", trace_id=f"tr-{TRACE}")["trace"]["spans"][0]
    assert {"key": "infinite", "value": {"double_value": "Infinity"}} in message_of_it["attributes"]


def test_attributes_that_are_json_text_are_decoded_as_mlflow_does(traces: Traces) -> None:
    texts = {"a": '{"b": 1}', "c": '"quoted"', "d": "[1, 2]", "e": "3", "f": "true", "g": "{not json", "h": "plain"}
    send(traces, span(attributes=texts))
    found = stored(traces)[0]["attributes"]
    assert [found[key] for key in "abcdefgh" if key in found] == [
        {"b": 1},
        "quoted",
        [1, 2],
        "3",
        "true",
        "{not json",
        "plain",
    ]


def test_traces_come_with_their_spans(traces: Traces) -> None:
    """`traces/get` and `traces/batchGet`; without `allow_partial` only once all spans have come."""
    announced = {"mlflow.trace.sizeStats": '{"num_spans": 2}'}
    traces.start(f"tr-{TRACE}", trace_metadata=announced)
    send(traces, span(2, parent=ROOT, attributes={"n": 1}))
    query = {"trace_id": f"tr-{TRACE}"}

    assert len(traces.three("GET", "/get", **query, allow_partial="True")["trace"]["spans"]) == 1
    assert traces.refused("3.0", "GET", "/get", **query, allow_partial="False")[1:] == (
        "RESOURCE_DOES_NOT_EXIST",
        f"Trace with ID tr-{TRACE} is not fully exported yet, please try again later.",
    )
    assert traces.three("GET", "/batchGet", trace_ids=[f"tr-{TRACE}", "tr-unknown"]) == {}
    send(traces, span())

    found = traces.three("GET", "/get", **query)["trace"]
    assert found["trace_info"]["trace_id"] == f"tr-{TRACE}"
    root, child = found["spans"]
    assert root == {
        "trace_id": base64.b64encode(bytes.fromhex(TRACE)).decode(),
        "span_id": base64.b64encode(bytes.fromhex(ROOT)).decode(),
        "name": "agent",
        "kind": "SPAN_KIND_INTERNAL",
        "start_time_unix_nano": STARTED,
        "end_time_unix_nano": STARTED + 13_000_000,
        "attributes": [{"key": "mlflow.traceRequestId", "value": {"string_value": f"tr-{TRACE}"}}],
        "status": {"code": "STATUS_CODE_OK"},
    }
    assert (child["parent_span_id"], child["attributes"][1]) == (
        root["span_id"],
        {"key": "n", "value": {"int_value": 1}},
    )
    assert traces.three("GET", "/batchGet", trace_ids=[f"tr-{TRACE}"]) == {"traces": [found]}
    assert traces.three("GET", "/batchGet", trace_ids=[f"tr-{TRACE}"], experiment_ids=["7"]) == {}


def test_traces_that_have_ended_are_linked_to_the_run_of_the_header(traces: Traces, deps: Deps, run_id: str) -> None:
    send(traces, span(), span(2, trace=OTHER, parent=ROOT), headers={"x-mlflow-run-id": run_id})
    assert send(traces, span(trace="2" * 32), headers={"x-mlflow-run-id": "unknown"}).status_code == 200

    assert stored(traces, "2" * 32)
    with deps.project(PROJECT).read() as tx:
        linked = links.runs_of(tx, [f"tr-{one}" for one in (TRACE, OTHER, "2" * 32)])
    assert linked == {f"tr-{TRACE}": [(run_id, True)]}


def test_many_small_requests_do_not_make_many_files(traces: Traces, deps: Deps) -> None:
    """Exporters may send each span by itself, as it ends: children first."""
    for number in range(2, 100):
        send(traces, span(number, parent=ROOT, at=number, attributes={"mlflow.chat.tokenUsage": {"total_tokens": 1}}))
    send(traces, span())

    assert [one["start_time_unix_nano"] - STARTED for one in stored(traces)] == [0, *range(2, 100)]
    tokens = json.loads(traces.info(f"tr-{TRACE}")["trace_metadata"]["mlflow.trace.tokenUsage"])
    assert tokens["total_tokens"] == 98
    with deps.project(PROJECT).read() as tx:
        parts = spans.parts(tx, f"tr-{TRACE}")
    assert len(parts) <= 40
    assert sum(part.spans for part in parts) == 99


def test_another_jobs_spans_are_refused_and_the_rest_is_stored(gitlab_client: FlaskClient, team: Team) -> None:
    first, second = (traces_by(gitlab_client, team.gitlab.mint(team.job(), EXTERNAL_URL)) for _ in range(2))
    send(first, span())

    alone = send(second, span(2, parent=ROOT))
    together = send(second, span(2, parent=ROOT), span(trace=OTHER))

    assert status_of(alone)[0] == 403
    assert "was made by the CI job" in status_of(alone)[2]
    assert together.status_code == 200
    partial = ExportTraceServiceResponse.FromString(together.data).partial_success
    assert partial.rejected_spans == 1
    assert "was made by the CI job" in partial.error_message
    assert len(stored(first)) == 1
    assert len(stored(second, OTHER)) == 1


def test_errors_are_said_in_opentelemetrys_words_and_to_mlflow_in_its_own(mlflow: Mlflow) -> None:
    body = message([span()])
    for kind in (PROTOBUF, "application/json"):
        sent = as_json(body) if kind != PROTOBUF else body
        answer = send(mlflow, body=sent, kind=kind, experiment="77")
        assert status_of(answer)[:2] == (404, 5)
        assert answer.content_type == kind
    assert failure(send(mlflow, body=body, experiment="77", headers=MLFLOW))[:2] == (404, "RESOURCE_DOES_NOT_EXIST")
    mlflow.token = None
    assert status_of(send(mlflow, body=body))[:2] == (401, 16)


@pytest.mark.parametrize(
    ("kind", "experiment", "says"),
    [
        (PROTOBUF, None, "The header x-mlflow-experiment-id is missing"),
        (PROTOBUF, "x", "Invalid experiment ID"),
        ("text/plain", "0", "Invalid Content-Type: text/plain"),
        ("", "0", "Invalid Content-Type: none"),
    ],
)
def test_what_a_request_needs(mlflow: Mlflow, kind: str, experiment: str | None, says: str) -> None:
    status, code, text = status_of(send(mlflow, span(), kind=kind, experiment=experiment))
    assert (status, code) == (400, 3)
    assert says in text
