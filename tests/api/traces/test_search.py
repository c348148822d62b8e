"""Searches for traces find what those of `mlflow server` find.

https://mlflow.org/docs/latest/genai/tracing/search-traces/
"""

from typing import Any

import pytest

from mltrail_server.services.traces import search as service
from tests.api.traces.caller import Traces
from tests.api.traces.traces_json import send_spans
from tests.mlflow_client import INVALID


def find(traces: Traces, text: str = "", **fields: Any) -> list[str]:
    """Search page by page, and return the ids of what was found."""
    found: list[str] = []
    token = None
    while True:
        page = search(traces, filter=text, **fields, page_token=token)
        found += [one["trace_id"] for one in page.get("traces", [])]
        token = page.get("next_page_token")
        if token is None:
            return found


def search(traces: Traces, *, experiments: tuple[str, ...] = ("0",), **fields: Any) -> Any:
    locations = [
        {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": number}} for number in experiments
    ]
    return traces.three("POST", "/search", locations=locations, **fields)


@pytest.fixture
def some(traces: Traces, run_id: str) -> Traces:
    """Four traces of one experiment, a second apart, and one of another experiment."""
    other = traces.post("experiments/create", name="other")["experiment_id"]
    for number, (state, duration) in enumerate([("OK", "1s"), ("ERROR", "0.5s"), ("OK", "2s"), ("IN_PROGRESS", None)]):
        traces.start(
            f"tr-{number}",
            state=state,
            execution_duration=duration,
            request_time=f"2026-11-28T18:00:0{number}Z",
            client_request_id=f"mine-{number}" if number else None,
            tags={"mlflow.traceName": "agent" if number else "tool", "team": "ab"[number % 2], f"only {number}": "x"},
            trace_metadata={"mlflow.sourceRun": run_id} if number == 2 else {"mlflow.trace.session": "s" * number},
        )
    traces.start("tr-9", experiment=other)
    traces.two("POST", "/link-to-run", trace_ids=["tr-1"], run_id=run_id)
    traces.two("POST", "/link-prompts", trace_id="tr-3", prompt_versions=[{"name": "qa", "version": "1"}])
    return traces


AT = 1795888800_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "3210"),
        ("trace.status = 'OK'", "20"),
        ("status != 'OK' AND attributes.name = 'agent'", "31"),
        ("status IN ('ERROR', 'IN_PROGRESS')", "31"),
        ("status LIKE 'IN%'", "3"),
        ("name = 'tool'", "0"),
        ("name ILIKE 'AG%'", "321"),
        ("name IS NULL", ""),
        (f"timestamp >= {AT + 1000} AND trace.timestamp_ms < {AT + 3000}", "21"),
        (f"attribute.timestamp = {AT}", "0"),
        ("execution_time_ms > 500", "20"),
        ("execution_time <= 500", "1"),
        (f"end_time > {AT + 2000}", "32"),
        ("request_id = 'tr-2'", "2"),
        ("request_id IN ('tr-1', 'tr-3', 'tr-9')", "31"),
        ("request_id NOT IN ('tr-1', 'tr-3')", "20"),
        ("client_request_id = 'mine-1'", "1"),
        ("client_request_id != 'mine-1'", "32"),
        ("tags.team = 'a'", "20"),
        ("tag.`only 3` = 'x'", "3"),
        ('tag."only 3" IS NULL', "210"),
        ("tags.nothing != 'a'", ""),
        ("metadata.mlflow.trace.session = 's'", "1"),
        ("request_metadata.`mlflow.trace.session` LIKE 's%'", "31"),
        ("metadata.`mlflow.sourceRun` IS NULL", "310"),
        ("run_id IS NOT NULL", "2"),
        ("prompt = 'qa/1'", "3"),
        ("prompt = 'qa/2'", ""),
        ("issue.id = 'x'", ""),
        ("span.name = 'x'", ""),
    ],
)
def test_filters(some: Traces, text: str, expected: str) -> None:
    assert "".join(find(some, text)).replace("tr-", "") == expected


def test_a_runs_traces_are_those_made_in_it_and_those_linked_to_it(some: Traces, run_id: str) -> None:
    assert find(some, f"attribute.run_id = '{run_id}'") == ["tr-2", "tr-1"]
    assert find(some, f"run_id = '{run_id}' AND trace.status = 'ERROR'") == ["tr-1"]


@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        ([], "3210"),
        (["timestamp_ms DESC"], "3210"),
        (["timestamp ASC"], "0123"),
        (["execution_time"], "1023"),
        (["trace.execution_time_ms DESC"], "2013"),
        (["status DESC", "timestamp"], "0231"),
        (["tags.team", "timestamp"], "0213"),
        (["tag.`only 2` DESC"], "2310"),
        (["metadata.`mlflow.trace.session`"], "0132"),
        (["name", "request_id"], "1230"),
        (["run_id"], "2310"),
        (["end_time"], "0132"),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 500])
def test_orders(some: Traces, orders: list[str], expected: str, size: int) -> None:
    assert "".join(find(some, order_by=orders, max_results=size)).replace("tr-", "") == expected


def test_experiments(some: Traces) -> None:
    assert find(some, experiments=("0", "1"), max_results=2) == ["tr-9", "tr-3", "tr-2", "tr-1", "tr-0"]
    assert find(some, experiments=("77",)) == []
    assert find(some, experiments=()) == []


def test_mlflow_2_searches_by_its_own_endpoint(some: Traces) -> None:
    first = some.two("GET", experiment_ids=["0"], filter="status = 'OK'", max_results=1, order_by="timestamp_ms DESC")
    assert [one["request_id"] for one in first["traces"]] == ["tr-2"]
    assert first["traces"][0]["status"] == "OK"
    rest = some.two(
        "GET",
        experiment_ids=["0"],
        filter="status = 'OK'",
        max_results=1,
        order_by="timestamp_ms DESC",
        page_token=first["next_page_token"],
    )
    assert [one["request_id"] for one in rest["traces"]] == ["tr-0"]


def test_a_token_belongs_to_its_search(some: Traces) -> None:
    token = search(some, max_results=1)["next_page_token"]
    for other in ({"filter": "name = 'x'"}, {"order_by": ["status"]}, {"experiments": ("1",)}):
        fields = {"max_results": 1, "page_token": token} | other
        experiments = fields.pop("experiments", ("0",))
        where = [{"mlflow_experiment": {"experiment_id": one}} for one in experiments]
        status, code, message = some.refused("3.0", "POST", "/search", locations=where, **fields)
        assert (status, code) == INVALID
        assert "belongs to another search" in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("params.a = 'x'", "Invalid entity type 'params'."),
        ("flavour = 'x'", "Invalid attribute key 'flavour' specified."),
        ("status > 'x'", "Invalid comparator '>' for attribute 'status'"),
        ("status = 1", "Expected a quoted string value for attributes."),
        ("timestamp = 'x'", "Expected a number without quotes"),
        ("timestamp LIKE 'x'", "Invalid comparator 'LIKE' for attribute 'timestamp_ms'"),
        ("request_id IS NULL", "Invalid comparator 'IS NULL'"),
        ("prompt LIKE 'qa%'", "Invalid comparator 'LIKE' for prompt"),
        ("prompt = 'qa'", "Invalid prompts filter value 'qa'."),
        ("issue.name = 'x'", "Invalid issue attribute 'name'."),
        ("feedback.a > 'x'", "Expected a numeric value for feedback"),
        ("feedback.a = 1", "Expected a quoted string value for feedback"),
        ("span.kind = 'x'", "Invalid span attribute 'kind'."),
        ("span.content = 'x'", "Invalid comparator '=' for span 'content'"),
        ("trace.text = 'x'", "Invalid comparator '=' for span 'content'"),
        ("span.attributes. = 'x'", "character"),
        ("tags.a = 'x' OR tags.b = 'x'", "OR is not supported"),
        ("tags.a = 'x", "trace.status = 'OK'"),
    ],
)
def test_what_is_wrong_with_a_filter_is_said(traces: Traces, text: str, says: str) -> None:
    where = [{"mlflow_experiment": {"experiment_id": "0"}}]
    status, code, message = traces.refused("3.0", "POST", "/search", locations=where, filter=text)
    assert (status, code) == INVALID
    assert says in message


@pytest.mark.parametrize("fields", [{"max_results": 501}, {"max_results": 0}, {"order_by": ["feedback.a"]}])
def test_limits_and_orders(traces: Traces, fields: dict[str, Any]) -> None:
    where = [{"mlflow_experiment": {"experiment_id": "0"}}]
    assert traces.refused("3.0", "POST", "/search", locations=where, **fields)[:2] == INVALID


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("feedback.correct = 'true'", "0"),
        ("feedback.correct != 'true'", "21"),
        ("feedback.correct = 'yes'", "2"),
        ("feedback.correct LIKE '%es%'", "2"),
        ("feedback.score > 0.5", "1"),
        ("feedback.score <= 0.5 AND feedback.correct = 'true'", "0"),
        ("feedback.correct IS NULL", "3"),
        ("feedback.correct IS NOT NULL", "210"),
        ("feedback.score < 1000", "10"),
        ("expectation.answer = 'Zürich'", "3"),
        ("expectation.correct IS NOT NULL", ""),
    ],
)
def test_what_was_said_of_traces(traces: Traces, text: str, expected: str) -> None:
    for number in range(4):
        traces.start(f"tr-{number}", request_time=f"2026-11-28T18:00:0{number}Z")
    for number, correct, score in ((0, True, 0.5), (1, False, 1), (2, "yes", "1e999")):
        traces.assess(f"tr-{number}", "correct", correct)
        traces.assess(f"tr-{number}", "score", score)
    traces.assess("tr-2", "score", True)
    traces.assess("tr-3", "answer", {"expected": "Zürich"})
    assert "".join(find(traces, text)).replace("tr-", "") == expected


def test_what_was_said_of_a_session_counts_for_all_its_traces(traces: Traces) -> None:
    for number, session in enumerate("aab"):
        traces.start(f"tr-{number}", trace_metadata={"mlflow.trace.session": session})
    traces.assess("tr-0", "polite", value=True, metadata={"mlflow.trace.session": "a"})
    traces.assess("tr-0", "short", value=True)
    assert find(traces, "feedback.polite = 'true'") == ["tr-0", "tr-1"]
    assert find(traces, "feedback.polite IS NULL") == ["tr-2"]
    assert find(traces, "feedback.short = 'true'") == ["tr-0"]


@pytest.fixture
def spans(traces: Traces) -> Traces:
    """Three traces, and what their spans say."""
    for number in range(3):
        traces.start(f"tr-{number}", request_time=f"2026-11-28T18:00:0{number}Z", tags={"team": f"t{number}"})
    root = {"name": "agent", "type": "AGENT"}
    send_spans(traces, "tr-0", root, {"name": "llm", "type": "LLM", "attributes": {"model": "gpt-5", "n": 3}})
    send_spans(traces, "tr-1", root, {"name": "llm", "type": "LLM", "status": "ERROR", "attributes": {"model": "mini"}})
    send_spans(traces, "tr-2", {"name": "Zürich", "attributes": {"http.url": "https://x", "mlflow.spanInputs": "a%b"}})
    return traces


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("span.name = 'llm'", "10"),
        ("span.name LIKE 'a%' AND span.type = 'AGENT'", "10"),
        ("span.status = 'ERROR' AND span.name = 'agent'", ""),
        ("span.status = 'ERROR' AND span.name = 'llm'", "1"),
        ("span.type IN ('LLM', 'TOOL')", "10"),
        ("span.type != 'AGENT'", "210"),
        ("span.attributes.model = 'gpt-5'", "0"),
        ("span.attributes.model LIKE '%i%'", "1"),
        ("span.attributes.model ILIKE 'GPT%' AND span.name = 'agent'", ""),
        ("span.attributes.model != 'gpt-5' AND span.status = 'ERROR'", "1"),
        ("span.attributes.n = '3'", "0"),
        ("span.attributes.`http.url` LIKE 'https%'", "2"),
        ("span.content LIKE '%gpt-5%'", "0"),
        ("trace.text LIKE '%Zürich%'", "2"),
        ("trace.text ILIKE '%ZÜRICH%' AND tags.team = 't2'", "2"),
        ("trace.text LIKE '%nowhere%'", ""),
    ],
)
def test_spans(spans: Traces, text: str, expected: str) -> None:
    assert "".join(find(spans, text)).replace("tr-", "") == expected
    assert "".join(find(spans, text, max_results=1)).replace("tr-", "") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tags.team RLIKE '^t[01]$'", "10"),
        ("trace.status RLIKE 'K'", "210"),
        ("span.name RLIKE '^ag' AND tags.team RLIKE '0'", "0"),
        ("span.attributes.model RLIKE 'gpt-[0-9]'", "0"),
        ("span.name RLIKE 'l+m' AND span.status = 'ERROR'", "1"),
        ("tags.nothing RLIKE '.'", ""),
        ("client_request_id RLIKE '.'", ""),
    ],
)
def test_regular_expressions(spans: Traces, text: str, expected: str) -> None:
    assert "".join(find(spans, text)).replace("tr-", "") == expected


def test_a_regular_expression_that_is_none(traces: Traces) -> None:
    where = [{"mlflow_experiment": {"experiment_id": "0"}}]
    status, code, message = traces.refused("3.0", "POST", "/search", locations=where, filter="tags.a RLIKE '('")
    assert (status, code) == INVALID
    assert "missing" in message


def test_one_call_looks_into_so_many_traces(spans: Traces, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives back what it has found, and where to go on."""
    monkeypatch.setattr(service, "MOST_READ", 2)
    first = search(spans, filter="trace.text LIKE '%gpt-5%'")
    assert "traces" not in first
    rest = search(spans, filter="trace.text LIKE '%gpt-5%'", page_token=first["next_page_token"])
    assert [one["trace_id"] for one in rest["traces"]] == ["tr-0"]
    assert "next_page_token" not in rest


def test_how_strongly_two_filters_go_together(some: Traces) -> None:
    found = some.three(
        "POST",
        "/calculate-filter-correlation",
        experiment_ids=["0"],
        filter_string1="tags.team = 'a'",
        filter_string2="status = 'OK'",
        base_filter="timestamp < 1795888802001",
    )
    assert [found[name] for name in ("filter1_count", "filter2_count", "joint_count", "total_count")] == [2, 2, 2, 3]
    assert found["npmi"] == pytest.approx(1)
    assert 0 < found["npmi_smoothed"] < 1
    never = some.three(
        "POST",
        "/calculate-filter-correlation",
        experiment_ids=["0"],
        filter_string1="tags.team = 'nobody'",
        filter_string2="status = 'OK'",
    )
    assert never == {"filter1_count": 0, "filter2_count": 2, "joint_count": 0, "total_count": 4}
    asked = {"experiment_ids": ["0"], "filter_string1": "trace.text LIKE '%a%'", "filter_string2": ""}
    assert some.refused("3.0", "POST", "/calculate-filter-correlation", **asked)[:2] == INVALID


def test_metrics_over_traces_are_refused_with_what_to_do(traces: Traces) -> None:
    status, code, message = traces.refused("3.0", "POST", "/metrics", experiment_ids=["0"], metric_name="latency")
    assert (status, code) == (501, "NOT_IMPLEMENTED")
    assert "mlflow.search_traces" in message
