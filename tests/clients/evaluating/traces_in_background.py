"""Traces that threads of their own send, as they are by default: the last module, since MLflow then stays at that."""

import os
import time
from collections.abc import Callable

import mlflow
from evaluating.registry import Desk, check


def in_the_background() -> None:
    os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "true"
    mlflow.tracing.reset()  # the exporter reads the environment when it is made


def arrived(traces: Callable[[], list[mlflow.entities.Trace]], count: int) -> list[mlflow.entities.Trace]:
    """Look until that many are there: the client's flush does not wait for what its threads have begun."""
    until = time.monotonic() + 300
    while len(found := traces()) < count and time.monotonic() < until:
        time.sleep(0.05)  # there is no other way to see what threads of the client have sent
    return found


@check()
def one_with_its_spans(desk: Desk) -> object:
    in_the_background()
    with mlflow.start_span("root") as root:
        root.set_inputs({"a": 1})
        with mlflow.start_span("child"):
            pass
    mlflow.flush_trace_async_logging()
    return arrived(desk.traces, 1)


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
