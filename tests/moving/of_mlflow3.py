"""What is answered differently about traces and logged models, each with its reason."""

import re
from collections.abc import Sequence
from typing import Any

from tests.differential import edits

from .asking import Explain, Explained, Question
from .old_records import OldRecords

Findings = Sequence[dict[str, Any]]


def rules(records: OldRecords, findings: Findings) -> list[Explained]:
    return [
        Explained(
            "spans of any trace",
            "MLflow can't answer these two calls for traces whose spans are in a file. Here both do, with what the old "
            "server says of that trace and its spans in other calls.",
            _spans(records, findings),
        ),
        Explained(
            "where spans lie",
            "Spans are kept in the trace's file here, so its tags don't say that they are in the database.",
            _at(r"traces", edits.without_tag("mlflow.trace.spansLocation")),
        ),
        Explained(
            "model inputs in searches",
            "MLflow shows which models a run read if that run is asked for; here searches show it, too.",
            _model_inputs(records),
        ),
        Explained(
            "model of a version",
            "If the source of a version names a logged model, both name each other here.",
            _models_of_versions(records),
        ),
        Explained(
            "logged models by name",
            "A source in a run that has no files there means its logged model of that name, as `runs:/…` does.",
            _models_by_name(records),
        ),
        Explained(
            "newest metrics of logged models",
            "MLflow shows all values of a logged model's metrics, mltrail the newest of each.",
            _at(r"logged-models", _newest),
        ),
    ]


def _at(endpoint: str, edit: edits.Edit) -> Explain:
    def explain(question: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
        return (edit(theirs), edit(ours)) if re.search(endpoint, question.endpoint) else (theirs, ours)

    return explain


def _spans(records: OldRecords, findings: Findings) -> Explain:
    without_spans = {one["owner"] for one in findings if one["kind"] == "missing" and one["entity"] == "traces"}

    def explain(question: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
        if not re.search(r"traces/(get|batchGet)$", question.endpoint) or theirs["status"] != 500:
            return theirs, ours
        one = question.endpoint.endswith("/get")
        ((_, trace),) = question.query
        going_on = records.traces.get(trace, {}).get("state") == "IN_PROGRESS"
        if trace not in records.spans and (going_on or f"trace {trace}" in without_spans):
            none = {"status": 404, "error_code": "RESOURCE_DOES_NOT_EXIST"} if one else {"status": 200, "body": {}}
            return none, ours
        if ours["status"] != 200 or trace not in records.spans:
            return theirs, ours
        found = ours["body"].get("trace") if one else ours["body"].get("traces", [None])[0]
        if found is None or _outlines(found.get("spans", [])) != _outlines(records.spans[trace]):
            return theirs, ours
        known = {"trace_info": records.traces[trace], "spans": found["spans"]}
        return {"status": 200, "body": {"trace": known} if one else {"traces": [known]}}, ours

    return explain


def _outlines(spans: Any) -> list[Any]:
    """What is the same in a trace and in the file with its spans."""
    names = ("trace_id", "span_id", "parent_span_id", "name", "start_time_unix_nano", "end_time_unix_nano", "status")
    return sorted(([span.get(name) for name in names] for span in spans), key=repr)


def _model_inputs(records: OldRecords) -> Explain:
    def explain(question: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
        if not question.endpoint.endswith("runs/search") or theirs["status"] != 200:
            return theirs, ours
        runs = []
        for run in theirs["body"].get("runs", []):
            shown = records.runs.get(run["info"]["run_id"], {}).get("inputs", {}).get("model_inputs")
            runs.append(run | ({"inputs": run.get("inputs", {}) | {"model_inputs": shown}} if shown else {}))
        return theirs | {"body": theirs["body"] | ({"runs": runs} if runs else {})}, ours

    return explain


def _models_of_versions(records: OldRecords) -> Explain:
    registered: dict[str, list[dict[str, str]]] = {}
    for (name, version), one in records.versions.items():
        if model := records.model_of(one.get("source", "")):
            registered.setdefault(model, []).append({"name": name, "version": version})

    @edits.objects
    def with_them(found: dict[str, Any]) -> dict[str, Any]:
        if "current_stage" in found and (model := records.model_of(found.get("source", ""))):
            found["model_id"] = model
        if "artifact_uri" in found and found.get("model_id") in registered:
            found["registrations"] = registered[found["model_id"]]
        return found

    def explain(question: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
        if not re.search(r"registered-models|model-versions|logged-models", question.endpoint):
            return theirs, ours
        return _in_order(with_them(theirs)), _in_order(ours)

    return explain


def _models_by_name(records: OldRecords) -> Explain:
    def explain(question: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
        query = dict(question.query)
        source = records.versions.get((query.get("name", ""), query.get("version", "")), {}).get("source", "")
        model = records.model_of(source)
        if model is None or model in source:
            return theirs, ours
        if question.endpoint.endswith("get-download-uri") and ours["status"] == 200:
            place = records.logged_models[model]["info"]["artifact_uri"]
            return {"status": 200, "body": {"artifact_uri": place}}, ours
        digest = records.digests.get((model, query.get("path", "")))
        if question.endpoint.endswith("get-artifact") and theirs["status"] >= 400 and digest:
            return {"status": 200, "body": digest}, ours
        return theirs, ours

    return explain


@edits.objects
def _in_order(found: dict[str, Any]) -> dict[str, Any]:
    return found | ({"registrations": sorted(found["registrations"], key=repr)} if "registrations" in found else {})


@edits.objects
def _newest(found: dict[str, Any]) -> dict[str, Any]:
    if isinstance(found.get("metrics"), list):
        in_order = sorted(found["metrics"], key=lambda one: (one.get("step", 0), one.get("timestamp", 0)))
        named = ("key", "run_id", "dataset_name", "dataset_digest")
        newest = {tuple(one.get(name) for name in named): one for one in in_order}
        found["metrics"] = sorted(newest.values(), key=repr)
    return found
