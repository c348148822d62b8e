"""Traces are stored, found, tagged, linked and deleted as `mlflow server` does it.

https://mlflow.org/docs/latest/api_reference/rest-api.html
"""

import pytest

from tests.api.traces.caller import Traces, a_trace
from tests.mlflow_client import INVALID, MISSING

AT = 1795890258176
PLACE = "mlflow-artifacts:/0/traces/tr-1/artifacts"


def test_a_trace_is_shown_as_it_was_told(traces: Traces) -> None:
    made = traces.start(client_request_id="mine")

    assert made == traces.info()
    assert made == a_trace()["trace_info"] | {
        "client_request_id": "mine",
        "tags": {"mlflow.traceName": "agent", "mlflow.artifactLocation": PLACE},
        "trace_metadata": {"mlflow.trace_schema.version": "3", "mlflow.trace.infoFinalized": "true"},
    }


@pytest.mark.parametrize(
    ("time", "duration", "shown"),
    [
        ("2026-11-28T18:24:18Z", "0s", ("2026-11-28T18:24:18Z", "0s")),
        ("2026-11-28T18:24:18.176543219Z", "1.3055s", ("2026-11-28T18:24:18.176Z", "1.305s")),
        ("2026-11-28T19:24:18.5+01:00", "-0.5s", ("2026-11-28T18:24:18.500Z", "-0.500s")),
        (None, None, ("1970-01-01T00:00:00Z", None)),
    ],
)
def test_times_are_those_of_protocol_buffers(
    traces: Traces, time: str | None, duration: str | None, shown: tuple[str, str | None]
) -> None:
    made = traces.start(request_time=time, execution_duration=duration)
    assert (made["request_time"], made.get("execution_duration")) == shown


def test_what_is_told_again_is_added(traces: Traces) -> None:
    traces.start(state="IN_PROGRESS", execution_duration=None, tags={"a": "1", "b": "1"}, response_preview=None)
    made = traces.start(tags={"b": "2"}, trace_metadata={"k": "v"}, request_preview=None)

    assert (made["state"], made["execution_duration"]) == ("OK", "0.305s")
    assert (made["request_preview"], made["response_preview"]) == ('{"x": "a"}', '"b"')
    assert made["tags"] == {"a": "1", "b": "2", "mlflow.artifactLocation": PLACE}
    assert made["trace_metadata"]["k"] == "v"


def test_a_trace_never_moves_to_another_experiment(traces: Traces) -> None:
    other = traces.post("experiments/create", name="other")["experiment_id"]
    traces.start()
    status, code, message = traces.refused("3.0", "POST", trace=a_trace(experiment=other))
    assert (status, code) == INVALID
    assert message == "Trace with ID 'tr-1' already exists in another experiment."


def test_clients_cannot_write_what_the_server_says(traces: Traces) -> None:
    made = traces.start(tags={"mlflow.artifactLocation": "s3://mine", "mlflow.trace.spansLocation": "TRACKING_STORE"})
    assert made["tags"] == {"mlflow.artifactLocation": PLACE}
    for method, doing in (("PATCH", "set"), ("DELETE", "deleted")):
        status, code, message = traces.refused("2.0", method, "/tr-1/tags", key="mlflow.artifactLocation", value="x")
        assert (status, code) == INVALID
        assert message == f"Tag 'mlflow.artifactLocation' is immutable and cannot be {doing} on a trace."


@pytest.mark.parametrize("trace_id", ["", "../x", "a/b", "tr-1?", "x" * 65, "."])
def test_an_id_is_part_of_a_path(traces: Traces, trace_id: str) -> None:
    assert traces.refused("3.0", "POST", trace=a_trace(trace_id))[:2] == INVALID


def test_what_can_not_be_read_is_named(traces: Traces) -> None:
    wrong = {"request_time": "yesterday", "execution_duration": "2 s", "state": "GOOD", "trace_location": None}
    for field, value in wrong.items():
        status, code, message = traces.refused("3.0", "POST", trace=a_trace(**{field: value}))
        assert (status, code) == INVALID
        assert field.partition("_")[2] in message or "state" in message


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_tags(traces: Traces, version: str) -> None:
    traces.start()
    call = traces.two if version == "2.0" else traces.three
    call("PATCH", "/tr-1/tags", key="team", value="v" * 9000)
    call("PATCH", "/tr-1/tags", key="gone", value="1")
    call("DELETE", "/tr-1/tags", key="gone")

    assert len(traces.info()["tags"]["team"]) == 4096
    assert "gone" not in traces.info()["tags"]
    status, code, message = traces.refused(version, "DELETE", "/tr-1/tags", key="gone")
    assert (status, code) == MISSING
    assert message == "No trace tag with key 'gone' for trace with ID 'tr-1'"


def test_a_trace_that_does_not_exist(traces: Traces) -> None:
    calls = [
        ("3.0", "GET", "/tr-9", {}),
        ("2.0", "GET", "/tr-9/info", {}),
        ("2.0", "PATCH", "/tr-9/tags", {"key": "a", "value": "b"}),
        ("2.0", "PATCH", "/tr-9", {"timestamp_ms": 5, "status": "OK"}),
        ("2.0", "POST", "/link-prompts", {"trace_id": "tr-9", "prompt_versions": [{"name": "a", "version": "1"}]}),
    ]
    for version, method, path, fields in calls:
        status, code, message = traces.refused(version, method, path, **fields)
        assert (status, code) == MISSING, path
        assert message == "Trace with ID 'tr-9' not found."


def test_a_trace_of_mlflow_2(traces: Traces) -> None:
    begun = traces.two(
        "POST",
        experiment_id="0",
        timestamp_ms=AT,
        request_metadata=[{"key": "mlflow.trace_schema.version", "value": "2"}],
        tags=[{"key": "a", "value": "1"}],
    )["trace_info"]
    trace_id = begun["request_id"]
    assert (begun["status"], begun["timestamp_ms"], begun["execution_time_ms"]) == ("IN_PROGRESS", AT, 0)

    ended = traces.two(
        "PATCH", f"/{trace_id}", timestamp_ms=AT + 250, status="ERROR", tags=[{"key": "b", "value": "2"}]
    )["trace_info"]

    assert (ended["status"], ended["execution_time_ms"], ended["experiment_id"]) == ("ERROR", 250, "0")
    assert {tag["key"] for tag in ended["tags"]} == {"a", "b", "mlflow.artifactLocation"}
    assert traces.two("GET", f"/{trace_id}/info")["trace_info"] == ended
    assert traces.info(trace_id)["execution_duration"] == "0.250s"


@pytest.mark.parametrize("time", [-(2**63), 2**63 - 1, -62_135_596_800_001, 253_402_300_800_000])
def test_a_time_of_no_year_is_refused_since_no_search_could_show_it(traces: Traces, time: int) -> None:
    begun = traces.two("POST", experiment_id="0", timestamp_ms=AT)["trace_info"]["request_id"]
    assert traces.refused("2.0", "POST", experiment_id="0", timestamp_ms=time)[:2] == INVALID
    assert traces.refused("2.0", "PATCH", f"/{begun}", timestamp_ms=time, status="OK")[:2] == INVALID
    for text in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"):
        assert traces.refused("3.0", "POST", trace=a_trace("tr-1", request_time=text))[:2] == INVALID
    where = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}
    assert len(traces.three("POST", "/search", locations=[where])["traces"]) == 1


def test_several_at_once(traces: Traces) -> None:
    other = traces.post("experiments/create", name="other")["experiment_id"]
    traces.start("tr-1")
    traces.start("tr-2", experiment=other)
    both = traces.three("POST", "/batchGetInfos", trace_ids=["tr-2", "nothing", "tr-1"])["trace_infos"]
    assert [one["trace_id"] for one in both] == ["tr-2", "tr-1"]
    one = traces.three("POST", "/batchGetInfos", trace_ids=["tr-2", "tr-1"], experiment_ids=["0"])["trace_infos"]
    assert [one["trace_id"] for one in one] == ["tr-1"]


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_deletion(traces: Traces, version: str) -> None:
    for number in range(5):
        traces.start(f"tr-{number}", request_time=f"2026-11-28T18:00:0{number}Z")
    call = traces.two if version == "2.0" else traces.three
    at = 1795888800_000

    assert call("POST", "/delete-traces", experiment_id="0", request_ids=["tr-4", "tr-9"]) == {"traces_deleted": 1}
    assert call("POST", "/delete-traces", experiment_id="1", request_ids=["tr-3"]) == {"traces_deleted": 0}
    assert call("POST", "/delete-traces", experiment_id="0", max_timestamp_millis=at + 2000, max_traces=2) == {
        "traces_deleted": 2
    }
    left = traces.three("POST", "/batchGetInfos", trace_ids=[f"tr-{number}" for number in range(5)])["trace_infos"]
    assert [one["trace_id"] for one in left] == ["tr-2", "tr-3"]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "Either `max_timestamp_millis` or `trace_ids` must be specified."),
        ({"max_timestamp_millis": 1, "request_ids": ["a"]}, "Only one of `max_timestamp_millis` and `trace_ids`"),
        ({"max_traces": 1, "request_ids": ["a"]}, "`max_traces` can't be specified if `trace_ids` is specified."),
        ({"max_traces": 0, "max_timestamp_millis": 1}, "`max_traces` must be a positive integer, received 0."),
    ],
)
def test_what_to_delete_is_said_once(traces: Traces, fields: dict[str, object], says: str) -> None:
    status, code, message = traces.refused("3.0", "POST", "/delete-traces", experiment_id="0", **fields)
    assert (status, code) == INVALID
    assert says in message


def test_links(traces: Traces, run_id: str) -> None:
    traces.start()
    traces.two("POST", "/link-to-run", trace_ids=["tr-1", "arrives-later"], run_id=run_id)
    traces.two("POST", "/link-prompts", trace_id="tr-1", prompt_versions=[{"name": "qa", "version": "1"}])
    too_many = [f"tr-{number}" for number in range(101)]
    status, code, message = traces.refused("2.0", "POST", "/link-to-run", trace_ids=too_many, run_id=run_id)
    assert (status, code) == INVALID
    assert message == "Cannot link more than 100 traces to a run in a single request. Provided 101 traces."
    assert traces.refused("2.0", "POST", "/link-to-run", trace_ids=["tr-1"], run_id="0" * 32)[:2] == MISSING
