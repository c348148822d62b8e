"""https://mlflow.org/docs/latest/genai/tracing/search-traces/: filters, orders and pages."""

import mlflow
from evaluating.registry import VERSION, WHERE, Desk, answer, check
from mlflow.entities import AssessmentSource

BEGUN = 1_700_000_000_000


def traced(desk: Desk) -> dict[str, str]:
    """Six traces that differ in what can be searched; answers their ids, and the run of the last two."""
    ids = {}
    for number, (name, team) in enumerate(
        [
            ("chat", "search"),
            ("chat", "Search"),
            ("agent", "shop"),
            ("Agent two", "shop"),
            ("chain", ""),
            ("chain", "a'b"),
        ]
    ):
        root = desk.client.start_trace(
            name,
            inputs={"question": f"question {number}"},
            tags={"team": team, "number": str(number)} if team else {"number": str(number)},
            attributes={"model": f"model-{number % 2}"},
            experiment_id=desk.experiment_id,
            start_time_ns=(BEGUN + number * 1000) * 1_000_000,
        )
        child = desk.client.start_span(
            f"step {number}",
            root.trace_id,
            root.span_id,
            span_type="TOOL" if number % 2 else "RETRIEVER",
            inputs={"text": "a needle, 100% sure" if number == 2 else "hay"},
            start_time_ns=(BEGUN + number * 1000 + 1) * 1_000_000,
        )
        desk.client.end_span(
            root.trace_id,
            child.span_id,
            status="ERROR" if number == 3 else "OK",
            end_time_ns=(BEGUN + number * 1000 + 50) * 1_000_000,
        )
        desk.client.end_trace(
            root.trace_id,
            outputs={"answer": number},
            status="ERROR" if number in (1, 3) else "OK",
            end_time_ns=(BEGUN + number * 1000 + 100 * (number + 1)) * 1_000_000,
        )
        ids[str(number)] = root.trace_id
    return ids


def numbers(found: list[mlflow.entities.Trace]) -> list[str]:
    return [one.info.tags["number"] for one in found]


FILTERS = [
    "status = 'OK'",
    "attributes.status != 'OK'",
    "name = 'chat'",
    "tags.team = 'search'",
    "tag.team != 'search'",
    f"timestamp >= {BEGUN + 1000} AND timestamp < {BEGUN + 4000} AND status = 'OK'",
    "execution_time_ms <= 200",
    "metadata.`mlflow.trace_schema.version` = '3'",
    "run_id = '0'",
]
OF_WHAT_WAS_SAID = [
    "name LIKE 'ch%'",
    "tags.team IS NULL",
    "end_time > 1700000003300",
    "feedback.right = 'true'",
    "feedback.score > 0.4",
    "expectation.answer = '42'",
    "client_request_id = 'request 0'",
    "request_id IN ('nothing')",
    "prompt = 'qa/1'",
]
OF_SPANS = [
    "span.name = 'step 2' AND span.type = 'TOOL'",
    "span.status = 'ERROR'",
    "span.content LIKE '%needle%'",
    "trace.text LIKE '%needle%'",
]
IN_DETAIL = [
    "",
    "trace.status = 'ERROR'",
    "attribute.status = \"OK\" AND tags.team = 'shop'",
    "trace.name != 'chat'",
    "tags.`mlflow.traceName` = 'chain'",
    "tags.missing = 'x'",
    f"timestamp > {BEGUN + 2000}",
    f"timestamp_ms >= {BEGUN + 2000}",
    f"attributes.timestamp <= {BEGUN + 1000}",
    f"trace.timestamp_ms < {BEGUN}",
    f"timestamp = {BEGUN + 3000}",
    f"timestamp != {BEGUN + 3000}",
    "execution_time > 300",
    "request_metadata.nothing = 'x'",
    "metadata.`mlflow.source.type` != 'LOCAL'",
    "status IN ('OK', 'ERROR')",
    "status NOT IN ('OK')",
    "name LIKE 'agent%'",
    "name ILIKE 'agent%'",
    "name LIKE '%a_n'",
    "name RLIKE '^(chat|chain)$'",
    "tags.team LIKE 's%'",
    "tags.team ILIKE 's%'",
    "tags.team RLIKE 'sho+p'",
    "tags.team IS NOT NULL AND name = 'chain'",
    "metadata.nothing IS NULL",
    "metadata.`mlflow.source.type` IS NOT NULL",
    "metadata.`mlflow.trace_schema.version` LIKE '_'",
    "end_time_ms <= 1700000000100",
    "feedback.right = 'false'",
    "feedback.right != 'true'",
    "feedback.score = '0.5'",
    "feedback.score >= '0.5'",
    "feedback.score < 1",
    "feedback.word = 'good'",
    "feedback.word LIKE '%oo%'",
    "feedback.word ILIKE '%OO%'",
    "feedback.word RLIKE 'g.*d'",
    "feedback.word > 1",
    "feedback.right IS NULL",
    "feedback.right IS NOT NULL",
    "feedback.missing IS NOT NULL",
    "expectation.answer IS NULL",
    "expectation.answer != '42'",
    "feedback.right = 'true' AND feedback.score > 0.1",
    "issue.id = 'i-1'",
    "client_request_id LIKE 'request%'",
    "client_request_id IN ('request 0')",
    "span.name = 'step 2'",
    "span.name != 'step 2'",
    "span.name LIKE 'step%' AND span.type = 'TOOL'",
    "span.name IN ('step 1', 'step 5')",
    "span.name NOT IN ('step 1', 'chat')",
    "span.name ILIKE 'STEP 4'",
    "span.name RLIKE 'step [0-2]'",
    "span.type = 'RETRIEVER'",
    "span.type LIKE 'TOO%'",
    "span.type != 'TOOL'",
    "span.status != 'ERROR'",
    "span.attributes.model LIKE '%model-1%'",
    "span.attributes.model RLIKE 'model-[01]'",
    "span.attributes.missing = 'x'",
    "span.content ILIKE '%NEEDLE%'",
    "span.content LIKE '%100% sure%'",
    "trace.text ILIKE '%QUESTION 4%'",
]
"""All that the server reads; the client's version has no part in it."""
REFUSED = [
    "nonsense",
    "unknown = 'x'",
    "status > 'OK'",
    "status = OK",
    "timestamp > 'yesterday'",
    "timestamp LIKE '1%'",
    "tags.team > 'a'",
    "tags.team = 5",
    "metrics.x > 1",
    "params.x = 'a'",
    "span.unknown = 'x'",
    "span.name > 'a'",
    "span.content = 'x'",
    "span.attributes. = 'x'",
    "feedback.right LIKE 5",
    "name = 'a' OR name = 'b'",
    "name IN ()",
    "name = 'unclosed",
    "issue.id != 'x'",
    "prompt = 'qa'",
    "prompt LIKE 'qa/1'",
    "run_id LIKE '0'",
    "end_time IN (1)",
    "trace.text = 'x'",
]


def assess(ids: dict[str, str]) -> None:
    code = AssessmentSource(source_type="CODE", source_id="test")
    for number, name, value in (
        *(("0", "right", True), ("1", "right", False), ("2", "right", True), ("2", "right", False)),
        *(("0", "score", 0.5), ("1", "score", 1), ("2", "score", 0.25), ("3", "word", "good"), ("4", "word", "bad")),
    ):
        mlflow.log_feedback(trace_id=ids[number], name=name, value=value, source=code)
    mlflow.log_expectation(trace_id=ids["0"], name="answer", value="42")
    mlflow.log_expectation(trace_id=ids["1"], name="answer", value=42)


@check()
def filters(desk: Desk) -> object:
    ids = traced(desk)
    asked = list(FILTERS)
    if VERSION >= (3, 5):
        assess(ids)
        asked += OF_WHAT_WAS_SAID
    if VERSION >= (3, 10):  # mlflow server does not look into the spans of older clients, which come as a file
        asked += OF_SPANS
    if VERSION >= (3, 18):
        asked += IN_DETAIL
    saw = {
        text: answer(lambda text=text: numbers(desk.traces(filter_string=text, include_spans=False))) for text in asked
    }
    by_id = [f"request_id = '{ids['0']}'", f"attributes.request_id != '{ids['0']}'"]
    return saw, [answer(lambda text=text: numbers(desk.traces(filter_string=text))) for text in by_id]


@check(since=(3, 18))
def what_is_refused(desk: Desk) -> object:
    traced(desk)
    return {
        text: answer(lambda text=text: numbers(desk.traces(filter_string=text, include_spans=False)))
        for text in REFUSED
    }


@check()
def orders_and_pages(desk: Desk) -> object:
    traced(desk)
    orders = [
        ["timestamp ASC"],
        ["timestamp_ms DESC"],
        ["attributes.timestamp"],
        ["execution_time DESC"],
        ["execution_time_ms ASC", "timestamp DESC"],
        ["status ASC", "timestamp ASC"],
        ["name ASC", "timestamp ASC"],
        ["tags.team DESC", "timestamp ASC"],
        ["tag.`number` DESC"],
        ["metadata.`mlflow.source.type`", "timestamp DESC"],
        ["end_time DESC"],
        ["experiment_id", "timestamp ASC"],
        [],
        ["unknown ASC"],
        ["timestamp SIDEWAYS"],
        ["metrics.x"],
    ]
    saw: list[object] = [
        answer(lambda order=order: numbers(desk.traces(order_by=order, include_spans=False))) for order in orders
    ]
    pages = []
    token = None
    while not pages or token:
        page = desk.client.search_traces(
            **{WHERE: [desk.experiment_id]},
            max_results=4,
            order_by=["timestamp ASC"],
            page_token=token,
        )
        pages.append(numbers(page))
        token = page.token
    saw.append(pages)
    saw.append(answer(lambda: numbers(desk.traces(max_results=0))))
    saw.append(answer(lambda: numbers(desk.traces(max_results=100_000))))
    saw.append(answer(lambda: numbers(desk.traces(page_token="nonsense"))))
    return saw


@check(since=(3, 5))
def in_several_experiments(desk: Desk) -> object:
    traced(desk)
    other = desk.client.create_experiment(desk.name("other"))
    root = desk.client.start_trace("elsewhere", tags={"number": "other"}, experiment_id=other)
    desk.client.end_trace(root.trace_id)
    return [
        len(desk.traces(locations=[desk.experiment_id, other])),
        numbers(desk.traces(locations=[other])),
        answer(lambda: numbers(desk.traces(locations=["987654"]))),
        answer(lambda: numbers(desk.traces(locations=[]))),
    ]


@check()
def with_and_without_spans(desk: Desk) -> object:
    traced(desk)
    with_spans = desk.traces(filter_string="status = 'ERROR'")
    without = desk.traces(filter_string="status = 'ERROR'", include_spans=False)
    table = mlflow.search_traces(**{WHERE: [desk.experiment_id]}, order_by=["timestamp ASC"])
    return with_spans, [len(one.data.spans) for one in without], sorted(table.columns), len(table)


@check()
def of_a_run(desk: Desk) -> object:
    with mlflow.start_run() as run:
        for number in range(3):
            with mlflow.start_span(f"in the run {number}"):
                mlflow.update_current_trace(tags={"number": str(number)}, client_request_id=f"request {number}")
    run_id = run.info.run_id
    return {
        text: answer(lambda text=text: sorted(numbers(desk.traces(filter_string=text, include_spans=False))))
        for text in (
            f"run_id = '{run_id}'",
            f"attributes.run_id = '{run_id}'",
            f"metadata.`mlflow.sourceRun` = '{run_id}'",
            f"run_id != '{run_id}'",
            "client_request_id = 'request 1'",
            "client_request_id LIKE '%2'",
        )
    }
