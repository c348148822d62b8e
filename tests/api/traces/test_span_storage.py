"""Large traces, in bounded memory; quotas; and the object store."""

import json
import os
import resource
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from mltrail_server.app import create_app, create_deps
from mltrail_server.domain import limits
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.settings import Settings
from mltrail_server.store.traces import spans as store
from mltrail_server.store.tracking import usage
from tests.api.traces.caller import Traces
from tests.api.traces.exporter import ROOT, TRACE, message, send, span, status_of, stored
from tests.api.traces.traces_json import FILE, ID, fetch, file_of
from tests.clock import FrozenClock
from tests.mlflow_client import FILES, failure, good
from tests.s3 import Bucket
from tests.statements import Counter

PROJECT = ProjectId(1)
Serve = Callable[..., tuple[Traces, Deps]]
MEGABYTE = 1024**2


def many(count: int, **attributes: Any) -> list[Any]:
    given = {"mlflow.spanType": "TOOL", **attributes}
    steps = (span(one, parent=ROOT, name=f"step {one % 7}", at=one, attributes=given) for one in range(2, count))
    return [span(), *steps]


def test_a_trace_of_5000_spans(traces: Traces, deps: Deps) -> None:
    assert send(traces, *many(5001, note="x" * 100)).status_code == 200

    found = traces.three("GET", "/get", trace_id=ID)["trace"]["spans"]
    assert len(found) == 5000
    assert [one["start_time_unix_nano"] for one in found] == sorted(one["start_time_unix_nano"] for one in found)
    with deps.project(PROJECT).read() as tx:
        (part,) = store.parts(tx, ID)
    assert part.size > 4 * part.stored, "stored compressed"


def test_a_trace_has_only_so_many_spans(traces: Traces, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a smaller limit than there is, for a faster test."""
    monkeypatch.setattr(limits, "MAX_TRACE_SPANS", 10)
    assert status_of(send(traces, *many(13)))[:2] == (413, 8)
    assert send(traces, *many(9)).status_code == 200
    status, code, text = status_of(send(traces, *(span(number, parent=ROOT) for number in range(20, 25))))
    assert (status, code) == (413, 8)
    assert "A trace has at most 10 spans" in text
    assert len(stored(traces)) == 8
    traces.start("tr-" + "2" * 32)
    other = FILE.replace(TRACE, "2" * 32)
    body = json.dumps({"spans": json.loads(file_of(1))["spans"] * 11}).encode()
    assert failure(traces.call("PUT", f"{FILES}/{other}", data=body))[0] == 413


def test_a_trace_has_only_so_many_bytes(traces: Traces, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_TRACE_BYTES", 100_000)
    for number in (2, 3):
        assert send(traces, span(number, parent=ROOT, attributes={"a": f"{number}" * 45_000})).status_code == 200
    assert status_of(send(traces, span(4, parent=ROOT, attributes={"a": "4" * 45_000})))[:2] == (413, 8)
    assert len(stored(traces)) == 2


def twenty_megabytes() -> list[Any]:
    """Spans of 20 MB: what a model read and wrote, in text that hardly anything can shorten."""
    text = os.urandom(106_000).hex()
    inputs = {"messages": [{"role": "user", "content": text}]}
    return [span(attributes={"mlflow.spanInputs": inputs}), *many(100, **{"mlflow.spanInputs": inputs})[1:]]


def test_a_trace_of_20_megabytes_is_stored_and_read_in_bounded_memory(traces: Traces) -> None:
    body = message(twenty_megabytes())
    assert 20 * MEGABYTE <= len(body) < 21 * MEGABYTE
    before = peak()

    assert send(traces, body=body).status_code == 200
    after_otlp = peak()
    sent = fetch(traces)
    traces.start("tr-" + "2" * 32)
    other = FILE.replace(TRACE, "2" * 32)
    good(traces.call("PUT", f"{FILES}/{other}", data=sent))
    assert fetch(traces, other) == sent
    assert len(json.loads(sent)["spans"]) == 99

    assert after_otlp - before < 8 * len(body)
    assert peak() - before < 12 * len(body)


def peak() -> int:
    """Return the most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.fixture
def serve(settings: Settings, clock: FrozenClock) -> Iterator[Serve]:
    """Serve with other settings."""
    served: list[Deps] = []

    def start(**changed: str) -> tuple[Traces, Deps]:
        served.append(create_deps(replace(settings, **changed), clock=clock))
        return Traces(create_app(served[-1]).test_client()), served[-1]

    yield start
    for deps in served:
        deps.db.dispose()


def test_spans_count_for_the_quota_of_bytes(serve: Serve) -> None:
    traces, deps = serve(quota_bytes="3000")
    noise = {"a": os.urandom(1000).hex()}
    assert send(traces, span(attributes=noise)).status_code == 200

    answer = send(traces, span(trace="2" * 32, attributes={"a": os.urandom(3000).hex()}))

    status, code, text = status_of(answer)
    assert (status, code) == (403, 8), "no exporter tries that again"
    assert "MLTRAIL_QUOTA_BYTES" in text
    assert len(list(deps.files.stored(PROJECT))) == 1
    with deps.project(PROJECT).read() as tx:
        assert 0 < (usage.of(tx, usage.BYTES) or 0) <= 3000


def test_spans_in_the_object_store(serve: Serve, bucket: Bucket) -> None:
    traces, _ = serve(artifacts=bucket.url, s3_endpoint_url=bucket.endpoint_url, s3_direct="announced")
    send(traces, span(attributes={"a": 1}))
    assert stored(traces)[0]["attributes"]["a"] == 1
    traces.start("tr-" + "2" * 32)
    other = FILE.replace(TRACE, "2" * 32)
    good(traces.call("PUT", f"{FILES}/{other}", data=file_of(1, 2)))
    assert fetch(traces, other) == file_of(1, 2)
    begun = traces.call(
        "POST", f"api/2.0/mlflow-artifacts/mpu/create/{other}", json={"path": "traces.json", "num_parts": 2}
    )
    assert failure(begun)[0] == 501, "the spans must be read, so they come in one call"


def test_a_trace_takes_few_statements(traces: Traces, statements: Counter) -> None:
    body = message([span(attributes={"mlflow.spanInputs": {"a": 1}}), span(2, parent=ROOT)])
    send(traces, span(trace="3" * 32))
    with statements() as counted:
        send(traces, body=body)
    assert len(counted) <= 14, "\n".join(counted)
