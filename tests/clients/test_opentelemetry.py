"""OpenTelemetry's own exporter sends spans that MLflow's client reads, from mltrail as from `mlflow server`."""

import itertools
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, Status, StatusCode, set_span_in_context

from tests.clients.environments import ENVIRONMENTS, HERE, TOKEN
from tests.differential.servers import mlflow_server
from tests.e2e.processes import Server
from tests.processes import PATIENCE_SECONDS

SECOND = 1_000_000_000
STARTED = 1_795_890_258 * SECOND


class Numbered(IdGenerator):
    """The same ids for both servers."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def generate_span_id(self) -> int:
        return next(self._numbers)

    def generate_trace_id(self) -> int:
        return next(self._numbers) << 64 | 7


def send(url: str, experiment_id: str, processor: str, compression: Compression) -> list[str]:
    """Trace a few requests to an application, and return the ids of their traces."""
    exporter = OTLPSpanExporter(
        endpoint=f"{url}/v1/traces",
        headers={"Authorization": f"Bearer {TOKEN}", "x-mlflow-experiment-id": experiment_id},
        compression=compression,
        timeout=PATIENCE_SECONDS,
    )
    kinds: dict[str, type[SpanProcessor]] = {"batch": BatchSpanProcessor, "simple": SimpleSpanProcessor}
    provider = TracerProvider(id_generator=Numbered(), resource=Resource({"service.name": "answers", "replicas": 3}))
    provider.add_span_processor(kinds[processor](exporter))  # type: ignore[call-arg] # each of them takes it
    tracer = provider.get_tracer("tests")
    ids = []
    for fails in (False, True):
        root = tracer.start_span("answer", start_time=STARTED, attributes={"session.id": "s1", "user.id": "u1"})
        ids.append(f"tr-{root.get_span_context().trace_id:032x}")
        root.set_attribute("input.value", json.dumps({"question": "How long?", "count": 2}))
        root.set_attribute("openinference.span.kind", "AGENT")
        context = SpanContext(root.get_span_context().trace_id, root.get_span_context().span_id, is_remote=False)
        inside = set_span_in_context(NonRecordingSpan(context))
        chat = tracer.start_span("chat", inside, start_time=STARTED + SECOND, links=[Link(context, {"why": "test"})])
        chat.set_attributes(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.usage.input_tokens": 11,
                "gen_ai.usage.output_tokens": 7,
                "gen_ai.input.messages": json.dumps([{"role": "user", "content": "How long?"}]),
                "gen_ai.output.messages": json.dumps([{"role": "assistant", "content": "30 days"}]),
                "list": ["a", "b"],
                "numbers": [1, 2],
                "half": 0.5,
                "yes": True,
                "text": "1",
            }
        )
        chat.add_event("chosen", {"rank": 1}, STARTED + SECOND + 5)
        chat.end(STARTED + 2 * SECOND)
        if fails:
            root.set_status(Status(StatusCode.ERROR, "it broke"))
        else:
            root.set_attribute("output.value", "30 days")
        root.end(STARTED + 3 * SECOND)
    provider.shutdown()
    return ids


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    new = tmp_path_factory.mktemp
    with mlflow_server(new("mlflow")) as theirs, Server.started(new("mltrail"), token=TOKEN) as ours:
        yield {"mlflow": theirs, "mltrail": f"{ours.url}/api/v4/projects/1/ml/mlflow"}


@pytest.mark.clients
@pytest.mark.parametrize(
    ("processor", "compression"), [("batch", Compression.Gzip), ("simple", Compression.NoCompression)]
)
def test_mlflow_reads_what_an_exporter_sent(
    servers: dict[str, str], tmp_path: Path, processor: str, compression: Compression
) -> None:
    seen: dict[str, Any] = {}
    for name, url in servers.items():
        ids = send(url, "0", processor, compression)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "MLFLOW_TRACKING_URI": url,
            "MLFLOW_TRACKING_TOKEN": TOKEN,
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "GIT_PYTHON_REFRESH": "quiet",
        }
        done = subprocess.run(
            [ENVIRONMENTS / "mlflow-3/bin/python", HERE / "opentelemetry_traces.py", *ids],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        seen[name] = json.loads(done.stdout.splitlines()[-1])
    assert len(seen["mltrail"]) == 2
    assert seen["mltrail"][0]["state"] == "OK"
    assert seen["mltrail"] == seen["mlflow"]
