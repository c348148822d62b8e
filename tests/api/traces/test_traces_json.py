"""MLflow's `traces.json`, which clients send and fetch as a file of the trace, and its attachments."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from mltrail_server.domain import limits
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.admin import garbage, store_check
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.traces import spans as store
from tests.api.traces.caller import Traces, traces_by
from tests.api.traces.exporter import ROOT, send, span, stored
from tests.api.traces.traces_json import ATTACHMENT, FILE, FOLDER, ID, fetch, file_of, put
from tests.clock import FrozenClock
from tests.mlflow_client import FILES, MLFLOW_ARTIFACTS, failure, good
from tests.team import EXTERNAL_URL, Team

PROJECT = ProjectId(1)


def parts(deps: Deps) -> list[store.SpanPart]:
    with deps.project(PROJECT).read() as tx:
        return store.parts(tx, ID)


def test_the_file_comes_back_as_it_was_sent(traces: Traces) -> None:
    traces.start(ID, request_preview=None)
    sent = file_of(1, 2, **{"score": "NaN", "mlflow.spanType": '"CHAIN"'})

    assert good(put(traces, sent)) == {}

    answer = traces.call("GET", f"{FILES}/{FILE}")
    assert answer.data == sent
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert traces.info(ID)["request_preview"] == '{"x": "ä"}'
    assert "mlflow.trace.spansLocation" not in traces.info(ID)["tags"], "so clients fetch the file"
    spans = traces.three("GET", "/get", trace_id=ID)["trace"]["spans"]
    assert [one["name"] for one in spans] == ["step 1", "step 2"]


def test_the_file_is_written_from_what_an_exporter_sent(traces: Traces) -> None:
    send(traces, span(attributes={"mlflow.spanInputs": {"x": [1, None]}}))
    (found,) = json.loads(fetch(traces))["spans"]
    assert found["attributes"]["mlflow.spanInputs"] == '{"x": [1, null]}'
    assert found["span_id"] == "t61rcWkgMzE="


@pytest.mark.parametrize("file_first", [True, False])
def test_what_comes_both_ways_is_stored_once(traces: Traces, deps: Deps, file_first: bool) -> None:
    """MLflow 3.18 sends both if its two requests overtake each other."""
    traces.start(ID)
    sent = file_of(1, 2)
    ways = [lambda: put(traces, sent), lambda: send(traces, span(), span(2, parent=ROOT))]
    for way in ways if file_first else reversed(ways):
        assert way().status_code == 200

    (part,) = parts(deps)
    assert part.spans == 2
    assert fetch(traces) == sent
    assert traces.info(ID)["tags"]["mlflow.trace.spansLocation"] == "TRACKING_STORE"
    assert len(stored(traces)) == 2


def test_a_span_that_the_file_lacks_is_kept_beside_it(traces: Traces, deps: Deps) -> None:
    traces.start(ID)
    put(traces, file_of(1))
    send(traces, span(3, parent=ROOT))
    assert len(parts(deps)) == 2
    assert len(json.loads(fetch(traces))["spans"]) == 2
    put(traces, file_of(1))
    assert len(json.loads(fetch(traces))["spans"]) == 2


def test_a_file_that_is_sent_again_is_stored_once(traces: Traces, deps: Deps) -> None:
    traces.start(ID)
    for _ in range(3):
        put(traces, file_of(1))
    assert len(list(deps.files.stored(PROJECT))) == 1


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "traces.json"),
        (b"{", "traces.json is not JSON"),
        (b"[]", "a list of spans"),
        (b'{"spans": 7}', "a list of spans"),
        (b'{"spans": [7]}', "A span in traces.json can't be read"),
        (b'{"spans": [{"name": "a"}]}', "A span in traces.json can't be read"),
        (file_of(1).replace(b"1795890258176827392", b'"soon"'), "A span in traces.json can't be read"),
        (file_of(1).replace(b"t61rcWkgMzE=", b"!"), "A span in traces.json can't be read"),
        (b'{"spans": [' + b"[" * 100_000, "traces.json"),
    ],
)
def test_a_file_that_is_none_is_refused(traces: Traces, body: bytes, says: str) -> None:
    traces.start(ID)
    status, name, text = failure(put(traces, body))
    assert (status, name) == (400, "INVALID_PARAMETER_VALUE")
    assert says in text
    assert failure(traces.call("GET", f"{FILES}/{FILE}"))[0] == 404


def test_a_file_that_is_too_large_is_refused_before_it_is_read(traces: Traces) -> None:
    traces.start(ID)
    status, _, text = failure(put(traces, b" " * (limits.MAX_TRACE_BYTES + 1)))
    assert status == 413
    assert f"{limits.MAX_TRACE_BYTES:,} bytes" in text


def test_only_the_files_of_a_trace_that_exists(traces: Traces) -> None:
    assert failure(put(traces, file_of(1)))[:2] == (404, "RESOURCE_DOES_NOT_EXIST")
    traces.start(ID)
    for path in (f"7/traces/{ID}/artifacts/traces.json", "0/traces/tr-unknown/artifacts/traces.json"):
        assert failure(put(traces, file_of(1), path))[:2] == (404, "RESOURCE_DOES_NOT_EXIST")
        assert failure(traces.call("GET", f"{FILES}/{path}"))[0] == 404
    for name in ("other.json", "attachments/../../x", "attachments/x.png", "attachments"):
        assert failure(put(traces, b"x", f"{FOLDER}/{name}"))[:2] == (400, "INVALID_PARAMETER_VALUE")


def test_attachments(traces: Traces, deps: Deps) -> None:
    traces.start(ID)
    image = bytes(range(256))
    good(put(traces, image, ATTACHMENT))

    assert fetch(traces, ATTACHMENT) == image
    query = {"request_id": ID, "path": ATTACHMENT.rpartition("/")[2]}
    assert traces.call("GET", "ajax-api/2.0/mlflow/get-trace-artifact", query_string=query).data == image
    traces.three("POST", "/delete-traces", experiment_id="0", request_ids=[ID])
    with deps.project(PROJECT).read() as tx:
        assert tx.connection.exec_driver_sql("SELECT count(*) FROM file").scalar_one() == 0


def names_of(traces: Traces, folder: str) -> list[tuple[str, bool, int | None]]:
    found = good(traces.call("GET", FILES, query_string={"path": folder}))["files"]
    return [(one["path"], one["is_dir"], one.get("file_size")) for one in found]


def test_its_folder_lists_what_it_has(traces: Traces) -> None:
    traces.start(ID)
    assert names_of(traces, FOLDER) == []
    send(traces, span())
    good(put(traces, bytes(256), ATTACHMENT))
    assert names_of(traces, FOLDER) == [("attachments", True, None), ("traces.json", False, len(fetch(traces)))]
    assert names_of(traces, f"{FOLDER}/attachments") == [(ATTACHMENT.rpartition("/")[2], False, 256)]
    for empty in (FILE, ATTACHMENT, f"{FOLDER}/other"):
        assert names_of(traces, empty) == []
    for path in (f"7/traces/{ID}/artifacts", "0/traces/tr-unknown/artifacts"):
        assert failure(traces.call("GET", FILES, query_string={"path": path}))[:2] == (404, "RESOURCE_DOES_NOT_EXIST")


def test_whoever_has_no_right_to_read_traces_gets_no_file(gitlab_client: FlaskClient, team: Team) -> None:
    made = traces_by(gitlab_client, team.tokens["developer"])
    made.start(ID)
    good(put(made, file_of(1)))
    good(put(made, b"x", ATTACHMENT))
    reporter, guest = (traces_by(gitlab_client, team.tokens[name]) for name in ("reporter", "guest"))
    for path in (FILE, ATTACHMENT):
        assert reporter.call("GET", f"{FILES}/{path}").status_code == 200
        assert failure(guest.call("GET", f"{FILES}/{path}"))[0] == 403
        assert failure(reporter.call("PUT", f"{FILES}/{path}", data=b"y"))[0] == 403
    assert [name for name, *_ in names_of(reporter, FOLDER)] == ["attachments", "traces.json"]
    assert failure(guest.call("GET", FILES, query_string={"path": FOLDER}))[0] == 403
    query = {"request_id": ID}
    assert failure(guest.call("GET", "ajax-api/3.0/mlflow/get-trace-artifact", query_string=query))[0] == 403


def test_a_jobs_files_are_written_by_that_job_only(gitlab_client: FlaskClient, team: Team) -> None:
    own, other = (traces_by(gitlab_client, team.gitlab.mint(team.job(), EXTERNAL_URL)) for _ in range(2))
    own.start(ID)
    good(put(own, file_of(1)))
    for who in (other, traces_by(gitlab_client, team.tokens["owner"])):
        assert failure(put(who, file_of(1, 2)))[:2] == (403, "PERMISSION_DENIED")
        assert failure(put(who, b"x", ATTACHMENT))[:2] == (403, "PERMISSION_DENIED")
    assert fetch(other) == file_of(1)


def test_clients_that_want_to_send_or_fetch_parts_are_told_to_take_one_call(traces: Traces) -> None:
    traces.start(ID)
    begun = traces.call("POST", f"{MLFLOW_ARTIFACTS}/mpu/create/{FOLDER}", json={"path": "traces.json", "num_parts": 2})
    assert failure(begun)[:2] == (501, "NOT_IMPLEMENTED")
    assert failure(traces.call("GET", f"{MLFLOW_ARTIFACTS}/presigned/{FILE}"))[:2] == (501, "NOT_IMPLEMENTED")


def test_bytes_of_spans_are_collected_once_their_trace_is_gone(traces: Traces, deps: Deps, clock: FrozenClock) -> None:
    send(traces, span())
    send(traces, span(trace="2" * 32))
    clock.advance(garbage.GRACE_MS + 1)
    assert garbage.collect(deps).files == 0
    problems: list[Any] = []
    assert store_check.check(deps, problems.append, with_digests=True).files == 2
    assert not problems

    traces.three("POST", "/delete-traces", experiment_id="0", request_ids=[ID])
    clock.advance(garbage.GRACE_MS + 1)
    assert garbage.collect(deps).files == 1
    assert len(stored(traces, "2" * 32)) == 1
    (blob,) = deps.files.stored(PROJECT)
    deps.files.delete(PROJECT, blob.blob_id)
    store_check.check(deps, problems.append)
    assert [one.names for one in problems] == [(f"spans of tr-{'2' * 32}",)]
