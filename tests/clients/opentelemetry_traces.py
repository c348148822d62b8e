"""Reads traces with MLflow's client, and prints what it sees of them."""

import json
import sys

import mlflow  # type: ignore[import-not-found, import-untyped, unused-ignore]

LATER = ("mlflow.artifactLocation", "mlflow.traceName")
"""Where the servers' answers differ on purpose: each has a place of its own, and ours names a trace after its root."""


def seen(trace_id: str) -> object:
    trace = mlflow.get_trace(trace_id)
    info = trace.info
    return {
        "state": str(info.state).removeprefix("TraceState."),
        "duration": info.execution_duration,
        "request": info.request_preview,
        "response": info.response_preview,
        "tags": {key: value for key, value in sorted(info.tags.items()) if key not in LATER},
        "tokens": info.token_usage,
        "user": info.trace_metadata.get("mlflow.trace.user"),
        "session": info.trace_metadata.get("mlflow.trace.session"),
        "spans": [
            {
                "name": span.name,
                "type": span.span_type,
                "parent": span.parent_id is not None,
                "status": str(span.status.status_code),
                "description": span.status.description,
                "took": span.end_time_ns - span.start_time_ns,
                "inputs": span.inputs,
                "outputs": span.outputs,
                "attributes": dict(sorted(span.attributes.items())),
                "events": [(event.name, dict(event.attributes)) for event in span.events],
                "links": [(link.trace_id, link.span_id, link.attributes) for link in span.links],
            }
            for span in trace.data.spans
        ],
    }


sys.stdout.write(json.dumps([seen(trace_id) for trace_id in sys.argv[1:]], default=str))
