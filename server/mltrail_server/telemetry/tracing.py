"""OpenTelemetry traces, where its standard variables ask for them (`OTEL_EXPORTER_OTLP_ENDPOINT` and the like).

Without them nothing is imported, and a call costs one look at `TRACING.tracer`. The exporter has a thread, so each
process begins by itself, after it was forked.
"""

import importlib.util
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING, Any

from mltrail_server.domain.errors import invalid

from . import calls

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL = "http/protobuf"
_NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


def wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether traces are switched on. Raises INVALID if they can't be made."""
    if not any(environment.get(name) for name in ENDPOINTS):
        return False
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    protocol = next((environment[name] for name in _PROTOCOLS if environment.get(name)), _PROTOCOL)
    if protocol != _PROTOCOL:
        raise invalid(f"mltrail sends traces by {_PROTOCOL} only, not {protocol}: unset {_PROTOCOLS[1]}")
    if not all(_is_installed(name) for name in _NEEDED):
        raise invalid(
            f"{ENDPOINTS[0]} asks for traces, but the extra for them is missing: install mltrail[server,otel], or "
            "unset the variable"
        )
    return True


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


class Tracing:
    """The traces of this process. `tracer` is None as long as there are none."""

    def __init__(self) -> None:
        self.tracer: Tracer | None = None

    def begin(self) -> None:
        """Begin in this process, if traces are switched on. Call it after a fork."""
        if self.tracer is not None or not wanted():
            return
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - see above
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        version = metadata.version("mltrail")
        attributes: dict[str, str | int] = {"service.version": version, "process.pid": os.getpid()}
        if not (
            os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        ):
            attributes["service.name"] = "mltrail"
        provider = TracerProvider(resource=Resource.create(attributes), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        # A forked process does not run `atexit`; these run in either.
        Finalize(None, provider.shutdown, exitpriority=10)
        self.tracer = provider.get_tracer("mltrail", version)

    def request(self, method: str, headers: Mapping[str, str]) -> "Span":
        """Begin the span of a request, and continue the trace that its headers name."""
        from opentelemetry.trace import SpanKind  # noqa: PLC0415 - see above
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        assert self.tracer is not None  # noqa: S101 - the caller has looked
        span = self.tracer.start_span(
            method, TraceContextTextMapPropagator().extract(headers), SpanKind.SERVER, {"http.request.method": method}
        )
        if (call := calls.current()) is not None:
            call.trace_id = f"{span.get_span_context().trace_id:032x}"
            span.set_attribute("mltrail.request_id", call.request_id)
        return span

    @contextmanager
    def span(
        self, name: str, attributes: "Mapping[str, Any] | None" = None, *, inner: bool = False
    ) -> "Iterator[None]":
        """Make a span of the block, if there are traces. One that is `inner` is made only inside another span: the
        worker asks once a second what is due. Errors that leave it are noted by their kind only: their text may quote
        values.
        """
        if self.tracer is None or (inner and not _is_inside()):
            yield
            return
        with self.tracer.start_as_current_span(
            name, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                raise

    def record(self, name: str, seconds: float, attributes: Mapping[str, Any]) -> None:
        """Make a span, inside another one, of a call that has just ended. Call it only if there is a tracer."""
        from opentelemetry.trace import SpanKind  # noqa: PLC0415 - see above

        if self.tracer is None or not _is_inside():
            return
        now = time.time_ns()
        began = now - round(seconds * 1e9)
        self.tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes, start_time=began).end(now)


def _is_inside() -> bool:
    from opentelemetry import trace  # noqa: PLC0415 - see above

    return trace.get_current_span().get_span_context().is_valid


def attach(span: "Span") -> object:
    """Make a span the current one of this thread; give what this returns to `detach`."""
    from opentelemetry import context, trace  # noqa: PLC0415 - see above

    inside: Context = trace.set_span_in_context(span)
    return context.attach(inside)


def detach(token: object) -> None:
    from opentelemetry import context  # noqa: PLC0415 - see above

    context.detach(token)  # type: ignore[arg-type] # what `attach` returned


TRACING = Tracing()
"""Of this process."""
