"""https://mlflow.org/docs/latest/genai/tracing/: functions that are traced, and what is read back of them."""

import asyncio
import contextlib
import datetime as dt
from collections.abc import Iterator

import mlflow
from evaluating.registry import Desk, answer, check
from mlflow.entities import SpanEvent, SpanType
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository


def traced() -> str:
    """The id of the trace that has just ended."""
    return str(mlflow.get_last_active_trace_id())


@check()
def nested_functions(desk: Desk) -> object:
    @mlflow.trace(span_type=SpanType.RETRIEVER)
    def retrieve(question: str) -> list[dict[str, object]]:
        return [{"page_content": f"{question}: a page", "metadata": {"doc_uri": "a.txt", "score": 0.5}}]

    @mlflow.trace(name="the model", span_type=SpanType.CHAT_MODEL, attributes={"temperature": 0.1, "tags": ["a", "b"]})
    def ask(pages: list[dict[str, object]], *, style: str = "short") -> str:
        return f"{len(pages)} pages, {style}: ünï©ödé 🙂 <b>&amp;</b>"

    @mlflow.trace
    def chain(question: str) -> str:
        return ask(retrieve(question)) + ask([], style="long")

    chain("why?")
    return mlflow.get_trace(traced())


@check()
def spans_are_read_back_exactly(desk: Desk) -> object:
    live = []
    with mlflow.start_span("root", span_type="AGENT", attributes={"n": 1, "deep": {"a": [1, None, True, 2.5]}}) as root:
        root.set_inputs({"question": "why?", "when": dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), "big": 2**60})
        live.append(root)
        for number in range(3):
            with mlflow.start_span(f"step {number}") as step:
                step.set_inputs([number])
                step.add_event(SpanEvent("seen", attributes={"number": number, "words": ["a", "b"]}))
                step.set_attributes({"nan": float("nan"), "text": "x" * 5000})
                step.set_outputs({"number": number})
                live.append(step)
        root.set_outputs(None)
    found = mlflow.get_trace(traced())
    by_id = {one.span_id: one for one in found.data.spans}
    for one in live:
        read = by_id[one.span_id]
        assert (read.start_time_ns, read.end_time_ns) == (one.start_time_ns, one.end_time_ns)
        assert (read.parent_id, read.name) == (one.parent_id, one.name)
        assert sorted(map(repr, read.attributes.items())) == sorted(map(repr, one.attributes.items()))
        assert [event.timestamp for event in read.events] == [event.timestamp for event in one.events]
    return [sorted(map(repr, one.attributes.items())) for one in found.data.spans], found.info.to_dict()


@check()
def an_error(desk: Desk) -> object:
    @mlflow.trace
    def fail(question: str) -> None:
        raise ValueError(f"no answer to {question!r}")

    @mlflow.trace
    def outer() -> None:
        with contextlib.suppress(ValueError):
            fail("inner")
        fail("outer")

    with contextlib.suppress(ValueError):
        outer()
    return mlflow.get_trace(traced())


@check()
def without_a_context(desk: Desk) -> object:
    root = desk.client.start_trace(
        "by hand", inputs={"a": 1}, attributes={"x": "y"}, tags={"team": "search"}, experiment_id=desk.experiment_id
    )
    child = desk.client.start_span("child", root.trace_id, root.span_id, span_type="TOOL", inputs={"b": 2})
    desk.client.end_span(root.trace_id, child.span_id, outputs=[3], status="ERROR")
    desk.client.end_trace(root.trace_id, outputs={"c": 4})
    return mlflow.get_trace(root.trace_id)


@check(since=(3, 2))
def spans_without_a_context(desk: Desk) -> object:
    root = mlflow.start_span_no_context("root", inputs={"a": 1}, tags={"team": "search"})
    child = mlflow.start_span_no_context("child", parent_span=root)
    child.end(outputs=2)
    root.end()
    return mlflow.get_trace(root.trace_id)


@check()
def generators_and_coroutines(desk: Desk) -> object:
    @mlflow.trace(output_reducer="".join)
    def stream(count: int) -> Iterator[str]:
        for number in range(count):
            yield str(number)

    @mlflow.trace
    async def later(word: str) -> str:
        await asyncio.sleep(0)
        return word * 2

    assert list(stream(3)) == ["0", "1", "2"]
    first = mlflow.get_trace(traced())
    asyncio.run(later("ab"))
    return first, mlflow.get_trace(traced())


@check()
def what_a_trace_says_of_itself(desk: Desk) -> object:
    @mlflow.trace
    def answered(question: str) -> str:
        mlflow.update_current_trace(
            tags={"stage": "test", "long": "t" * 300},
            metadata={"mlflow.trace.session": "session-1", "mlflow.trace.user": "ann", "own": "yes"},
            client_request_id="request-7",
            request_preview="asked",
            response_preview="answered",
        )
        return question

    answered("why?")
    trace = mlflow.get_trace(traced())
    trace_id = trace.info.trace_id
    mlflow.set_trace_tag(trace_id, "stage", "done")
    mlflow.set_trace_tag(trace_id, "later", "yes")
    mlflow.delete_trace_tag(trace_id, "later")
    return (
        trace,
        mlflow.get_trace(trace_id),
        answer(lambda: mlflow.delete_trace_tag(trace_id, "none")),
        answer(lambda: mlflow.set_trace_tag(trace_id, "k" * 300, "v")),
        answer(lambda: mlflow.set_trace_tag(trace_id, "long", "v" * 9000)),
    )


@check()
def a_trace_that_failed_by_its_own_word(desk: Desk) -> object:
    with mlflow.start_span("root"):
        mlflow.update_current_trace(state="ERROR")
    return mlflow.get_trace(traced()).info.state


@check()
def long_inputs_and_outputs(desk: Desk) -> object:
    @mlflow.trace
    def long(text: str) -> dict[str, object]:
        return {"text": text, "list": list(range(2000))}

    long("ä" * 20_000)
    found = mlflow.get_trace(traced())
    return found.info.request_preview, found.info.response_preview, len(found.data.spans[0].inputs["text"])


@check()
def token_usage(desk: Desk) -> object:
    with mlflow.start_span("agent"):
        for tokens in (10, 20):
            with mlflow.start_span("model", span_type="CHAT_MODEL") as span:
                span.set_attribute(
                    "mlflow.chat.tokenUsage",
                    {"input_tokens": tokens, "output_tokens": 1, "total_tokens": tokens + 1},
                )
    found = mlflow.get_trace(traced())
    return found.info.token_usage, found.info.trace_metadata


@check()
def in_a_run(desk: Desk) -> object:
    with mlflow.start_run() as run:
        with mlflow.start_span("first"):
            pass
        with mlflow.start_span("second"):
            pass
    with mlflow.start_span("elsewhere"):
        pass
    found = desk.traces(run_id=run.info.run_id)
    return sorted(one.data.spans[0].name for one in found), [
        one.info.trace_metadata["mlflow.sourceRun"] for one in found
    ]


@check(since=(3, 5))
def linked_to_a_run(desk: Desk) -> object:
    run_id = desk.client.create_run(desk.experiment_id).info.run_id
    ids = []
    for name in "abc":
        with mlflow.start_span(name):
            pass
        ids.append(traced())
    desk.client.link_traces_to_run(ids[:2], run_id)
    desk.client.link_traces_to_run(ids[1:2], run_id)

    def linked() -> list[str]:
        found = desk.traces(run_id=run_id)
        return sorted(one.data.spans[0].name for one in found)

    return (
        linked(),
        answer(lambda: desk.client.link_traces_to_run([f"tr-{'0' * 32}"], run_id)),
        answer(lambda: desk.client.link_traces_to_run([], run_id)),
        answer(lambda: desk.client.link_traces_to_run([ids[0]] * 101, run_id)),
        linked(),
    )


@check()
def logged_and_copied(desk: Desk) -> object:
    trace_id = mlflow.log_trace(
        name="from elsewhere",
        request={"q": 1},
        response={"a": 2},
        attributes={"x": "y"},
        tags={"from": "elsewhere"},
        start_time_ms=1_700_000_000_000,
        execution_time_ms=2500,
    )
    found = mlflow.get_trace(trace_id)
    with mlflow.start_span("target") as span:
        mlflow.add_trace(found, target=span)
    copy = mlflow.get_trace(traced())
    return found, found.info.request_time, found.info.execution_duration, copy


@check()
def what_does_not_exist(desk: Desk) -> object:
    return answer(lambda: mlflow.get_trace(f"tr-{'0' * 32}")), answer(lambda: desk.client.get_trace(f"tr-{'0' * 32}"))


@check()
def deleted(desk: Desk) -> object:
    ids = [
        mlflow.log_trace(
            name=f"trace {number}", request=number, response=number, start_time_ms=1_700_000_000_000 + number * 1000
        )
        for number in range(6)
    ]

    def left() -> list[str]:
        return [one.data.spans[0].name for one in desk.traces()]

    saw: list[object] = [left()]
    saw.append(desk.client.delete_traces(desk.experiment_id, trace_ids=[ids[0], f"tr-{'0' * 32}"]))
    saw.append(desk.client.delete_traces(desk.experiment_id, max_timestamp_millis=1_700_000_003_500, max_traces=1))
    saw.append(left())
    saw.append(desk.client.delete_traces(desk.experiment_id, max_timestamp_millis=1_700_000_003_500))
    saw.append(left())
    saw.append(answer(lambda: desk.client.delete_traces(desk.experiment_id)))
    saw.append(
        answer(lambda: desk.client.delete_traces(desk.experiment_id, max_timestamp_millis=1, trace_ids=[ids[5]]))
    )
    saw.append(answer(lambda: mlflow.get_trace(ids[0])))
    other = desk.client.create_experiment(desk.name("other"))
    saw.append(answer(lambda: desk.client.delete_traces(other, trace_ids=[ids[5]])))
    saw.append(left())
    return saw


@check(since=(3, 14))
def attachments(desk: Desk) -> object:
    from mlflow.tracing.attachments import Attachment  # noqa: PLC0415 - older clients have none

    with mlflow.start_span("picture") as span:
        span.set_inputs({"picture": Attachment(content_type="image/png", content_bytes=b"\x89PNG" + b"0" * 1000)})
    found = mlflow.get_trace(traced())
    reference = Attachment.parse_ref(found.data.spans[0].inputs["picture"]) or {}
    files = get_artifact_repository(found.info.tags["mlflow.artifactLocation"])
    return reference, len(files.download_trace_attachment(reference["attachment_id"]))


@check()
def a_prompt_in_a_trace(desk: Desk) -> object:
    name = desk.name("prompt")
    register = mlflow.genai.register_prompt
    register(name=name, template="Answer {{question}}.")
    register(name=name, template="Answer {{question}} in one word.")
    with mlflow.start_run() as run:

        @mlflow.trace
        def ask(question: str) -> str:
            return str(mlflow.genai.load_prompt(f"prompts:/{name}/2").format(question=question))

        ask("why?")
    trace = mlflow.get_trace(traced())
    tags = desk.client.get_run(run.info.run_id).data.tags
    with mlflow.start_span("linked later"):
        pass
    later = traced()
    desk.client.link_prompt_versions_to_trace([mlflow.genai.load_prompt(f"prompts:/{name}/1")], later)
    found = answer(lambda: [one.info.trace_id for one in desk.traces(filter_string=f"prompt = '{name}/2'")])
    return trace.info.tags, tags.get("mlflow.linkedPrompts"), mlflow.get_trace(later).info.tags, found


@check(since=(3, 10))
def sessions(desk: Desk) -> object:
    for session, number in (("one", 1), ("two", 2), ("one", 3)):
        with mlflow.start_span(f"turn {number}"):
            mlflow.update_current_trace(metadata={"mlflow.trace.session": session})
    with mlflow.start_span("alone"):
        pass
    found = mlflow.search_sessions(locations=[desk.experiment_id])
    return [
        [getattr(one, "id", None) or one[0].info.trace_metadata["mlflow.trace.session"], len(list(one))]
        for one in found
    ]
