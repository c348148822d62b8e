"""Every way to a page of traces gives the same page, and none reads a whole table."""

import random

import pytest

from mltrail_server.domain.assessments import Assessment, Kind
from mltrail_server.domain.trace_filters import parse, parse_orders, written_either_way
from mltrail_server.domain.traces import Trace, TraceState
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.traces import search as service
from mltrail_server.services.traces import traces
from mltrail_server.services.tracking import candidates, experiments
from mltrail_server.store import schema
from mltrail_server.store.traces import assessments, search
from mltrail_server.store.traces.search import FoundTraces, Wanted
from tests.statements import statements_of

BACKENDS = ("sqlite",)  # the plans below are SQLite's
WALK, FEW = -1, 10_000
SESSION = "mlflow.trace.session"


@pytest.fixture
def scope(scope: Scope) -> Scope:
    random_ = random.Random(3)
    for name in ("one", "two"):
        experiments.create(scope, name=name)
    run = candidates.create(scope, experiment_iid=1, name="r").candidate.eid
    for number in range(60):
        log(scope, number, random_, run)
    return scope


def log(scope: Scope, number: int, random_: random.Random, run: str) -> None:
    """Log a trace whose values are often equal or missing, and say something of it."""
    tags = {"mlflow.traceName": random_.choice("ab")}
    if random_.random() < 0.7:
        tags["team"] = random_.choice(["a", "b", "x" * 40])
    metadata = {"mlflow.sourceRun": run} if random_.random() < 0.2 else {}
    if random_.random() < 0.3:
        metadata[SESSION] = random_.choice(["s", "t"])
    trace = Trace(
        f"tr-{number}",
        1 + number % 2,
        random_.choice([TraceState.OK, TraceState.ERROR]),
        1000 + number // 4,
        random_.choice([None, 5, 10, 1000]),
        tags=tags,
        metadata=metadata,
    )
    traces.start(scope, trace)
    said = [
        Assessment(f"a-{number}-{name}", trace.id, name, Kind.FEEDBACK, value, "CODE", "x", 1, 1, user_name="u")
        for name, value in (("correct", random_.choice([True, "yes", 0.5])), ("score", random_.random()))
        if random_.random() < 0.7
    ]
    with scope.project.write() as tx:
        assessments.put(tx, said)
        tx.upsert(
            schema.trace_span_name,
            [
                {"project_id": tx.project_id, "trace_id": trace.id, "name": name, "type": "LLM", "state": "OK"}
                for name in random_.choice([["agent"], ["agent", "llm"], []])
            ],
        )


FILTERS = [
    "",
    "status = 'OK'",
    "tags.team = 'a'",
    f"tags.team = '{'x' * 40}' AND name = 'a'",
    "tags.team IS NULL",
    "name != 'a'",
    "request_id IN ('tr-1', 'tr-2', 'nobody')",
    "metadata.`mlflow.trace.session` = 's'",
    "feedback.correct = 'true'",
    "feedback.correct = 'yes' AND feedback.score > 0.5",
    "feedback.score < 0.2",
    "feedback.correct IS NULL",
    "span.name = 'llm'",
    "span.name = 'llm' AND span.type = 'TOOL'",
    "execution_time > 5",
    "prompt = 'qa/1'",
    "issue.id = 'x'",
]
ORDERS: list[list[str]] = [
    [],
    ["timestamp DESC"],
    ["timestamp"],
    ["execution_time DESC"],
    ["tags.team", "execution_time"],
    ["status DESC", "end_time"],
]


def ask(scope: Scope, filter_text: str, order_by: list[str], *, few: int, limit: int, token: str | None) -> FoundTraces:
    wanted = Wanted([1, 2], parse(filter_text), parse_orders(order_by))
    with scope.project.read() as tx:
        return search.search(tx, wanted, limit=limit, token=token, few=few)


def pages(scope: Scope, filter_text: str, order_by: list[str], *, few: int, limit: int) -> list[str]:
    found: list[str] = []
    token: str | None = None
    while True:
        page = ask(scope, filter_text, order_by, few=few, limit=limit, token=token)
        found += [one.id for one in page.traces]
        if not page.more:
            return found
        assert len(page.traces) == limit
        token = page.tokens[-1]


@pytest.mark.parametrize("order_by", ORDERS, ids=str)
def test_all_ways_give_the_same_pages(scope: Scope, order_by: list[str]) -> None:
    for filter_text in FILTERS:
        expected = pages(scope, filter_text, order_by, few=WALK, limit=1000)
        assert len(set(expected)) == len(expected)
        for few in (WALK, FEW):
            assert pages(scope, filter_text, order_by, few=few, limit=7) == expected, (filter_text, few)
    assert len(pages(scope, "", order_by, few=WALK, limit=9)) == 60


NEWEST = "trace USING INDEX ix_trace_newest (project_id=? AND experiment_iid=?"
OF_TRACE = "assessment USING INDEX ix_assessment_trace (project_id=? AND trace_id>? AND trace_id<?)"


@pytest.mark.parametrize(
    ("filter_text", "few", "walks"),
    [
        ("", WALK, NEWEST),
        ("status = 'ERROR' AND timestamp > 5", WALK, NEWEST),
        ("tags.team = 'a'", WALK, "trace_tag USING PRIMARY KEY (project_id=? AND trace_id=? AND key=?)"),
        ("tags.team = 'a'", FEW, "trace_tag USING INDEX ix_trace_tag_value (project_id=? AND key=?"),
        ("metadata.a = 'a'", FEW, "trace_metadata USING INDEX ix_trace_metadata_value (project_id=? AND key=?"),
        ("feedback.correct = 'true'", WALK, OF_TRACE),
        ("feedback.score > 0.5", FEW, OF_TRACE),
        ("feedback.correct IS NULL", FEW, OF_TRACE),
        ("feedback.correct = 'true'", FEW, "assessment USING INDEX ix_assessment_value (project_id=? AND name=?"),
        ("issue.id = 'x'", WALK, OF_TRACE),
        (
            "span.name = 'llm'",
            FEW,
            "trace_span_name USING COVERING INDEX ix_trace_span_name_name (project_id=? AND name",
        ),
        (
            "prompt = 'qa/1'",
            FEW,
            "trace_prompt USING COVERING INDEX ix_trace_prompt_prompt (project_id=? AND name=? AND version=?)",
        ),
        ("run_id = 'x'", FEW, "trace_metadata USING INDEX ix_trace_metadata_value (project_id=? AND key=?"),
        ("request_id = 'tr-1'", FEW, "trace USING INDEX sqlite_autoindex_trace_1 (project_id=? AND id=?)"),
    ],
)
def test_a_search_walks_an_index_and_never_a_table(
    scope: Scope, plans: list[str], filter_text: str, few: int, walks: str
) -> None:
    page = ask(scope, filter_text, [], few=few, limit=5, token=None)
    if page.more:
        ask(scope, filter_text, [], few=few, limit=5, token=page.tokens[-1])
    assert any(f"SEARCH {walks}" in line for line in plans), plans
    for line in plans:
        assert not line.startswith(("SCAN trace", "SCAN assessment", "SCAN candidate")), plans
        assert not line.endswith("(project_id=?)"), plans


@pytest.mark.parametrize(
    ("few", "walks"), [(WALK, OF_TRACE), (FEW, "assessment USING INDEX ix_assessment_value (project_id=? AND name=?")]
)
def test_either_spelling_of_yes_is_found_by_an_index(scope: Scope, plans: list[str], few: int, walks: str) -> None:
    quick = written_either_way(parse("feedback.correct = 'yes'"))
    with scope.project.read() as tx:
        found = search.search(tx, Wanted([1, 2], quick), limit=100, token=None, few=few)
    each = [pages(scope, f"feedback.correct = '{value}'", [], few=few, limit=100) for value in ("yes", "true")]
    assert all(each)
    assert {one.id for one in found.traces} == {*each[0], *each[1]}
    assert any(f"SEARCH {walks}" in line for line in plans), plans


def test_what_was_said_of_a_session_is_found_by_the_session(scope: Scope, plans: list[str]) -> None:
    assessment = Assessment(
        "a-s", "tr-0", "kind", Kind.FEEDBACK, True, "CODE", "x", 1, 1, metadata={SESSION: "s"}, user_name="u"
    )
    with scope.project.write() as tx:
        assessments.put(tx, [assessment])
    found = pages(scope, "feedback.kind = 'true'", [], few=WALK, limit=100)
    assert len(found) > 5
    assert any("ix_assessment_session (project_id=? AND session>? AND session<?)" in line for line in plans), plans


def test_a_page_takes_so_many_statements(scope: Scope) -> None:
    for filter_text, most in (("", 4), ("tags.team = 'a' AND feedback.correct = 'true'", 7)):
        with statements_of(scope.deps) as sent:
            page = service.traces(scope, experiment_iids=[1, 2], filter_text=filter_text, limit=50)
        assert page.items
        assert len(sent) <= most, sent
