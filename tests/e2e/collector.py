"""A small receiver of OpenTelemetry traces: keeps the spans that are sent to it over OTLP/HTTP."""

import gzip
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.processes import wait_until


class Span:
    def __init__(self, sent: Any, service: str) -> None:
        self.name = sent.name
        self.service = service
        self.trace_id = sent.trace_id.hex()
        self.id = sent.span_id.hex()
        self.parent = sent.parent_span_id.hex()
        self.attributes = {one.key: one.value.string_value or one.value.int_value for one in sent.attributes}


class Collector:
    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.headers: dict[str, str] = {}
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.headers = dict(self.headers)
                collector.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def take(self, sent: ExportTraceServiceRequest) -> None:
        for one in sent.resource_spans:
            service = next(part.value.string_value for part in one.resource.attributes if part.key == "service.name")
            self.spans += [Span(span, service) for scope in one.scope_spans for span in scope.spans]

    def wait_for(self, found: Callable[[Span], bool]) -> Span:
        return wait_until(lambda: next(filter(found, list(self.spans)), None), "the span has come")

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
