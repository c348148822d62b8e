"""Traces that threads of their own send, as they are by default: the last module, since MLflow then stays at that."""

import os
import time
from collections.abc import Callable

import mlflow
from evaluating.registry import Desk, check


def in_the_background() -> None:
    os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "true"
    mlflow.tracing.reset()  # the exporter reads the environment when it is made


def arrived(
    traces: Callable[[], list[mlflow.entities.Trace]], count: int, *, spans: int = 1
) -> list[mlflow.entities.Trace]:
    """Look until that many are there as a whole: the client's flush does not wait for what its threads have begun."""
    until = time.monotonic() + 300
    while True:
        found = traces()
        if sum(whole(one, spans) for one in found) >= count or time.monotonic() > until:
            return found
        time.sleep(0.05)  # there is no other way to see what threads of the client have sent


def whole(trace: mlflow.entities.Trace, spans: int) -> bool:
    """Whether all has come: each span is sent by itself, and what the trace says of itself, such as its source, too."""
    return len(trace.data.spans) == spans and "mlflow.source.name" in trace.info.trace_metadata


@check()
def one_with_its_spans(desk: Desk) -> object:
    in_the_background()
    with mlflow.start_span("root") as root:
        root.set_inputs({"a": 1})
        with mlflow.start_span("child"):
            pass
    mlflow.flush_trace_async_logging()
    return arrived(desk.traces, 1, spans=2)


@check()
def many(desk: Desk) -> object:
    @mlflow.trace
    def numbered(number: int) -> int:
        return number

    in_the_background()
    for number in range(40):
        numbered(number)
    mlflow.flush_trace_async_logging()
    found = arrived(lambda: desk.traces(max_results=100), 40)
    return sorted(one.data.spans[0].inputs["number"] for one in found), {one.info.state.value for one in found} == {
        "OK"
    }
