"""What is answered differently about traces and logged models, each with its reason."""

import re
from typing import Any

from . import without
from .asking import Explain, Explained, Question


def rules() -> list[Explained]:
    return [
        Explained(
            "where spans lie",
            "Spans are kept in the trace's file here, so its tags don't say that they are in the database.",
            _at(r"traces", without.tag("mlflow.trace.spansLocation")),
        ),
        Explained(
            "traces that are complete",
            "What was imported of a trace is its final state, also if its client did not say so.",
            _at(r"traces", without.tag("mlflow.trace.infoFinalized")),
        ),
        Explained(
            "spans of any trace",
            "MLflow finds the spans of some traces only by one of its two calls; here both find all.",
            _spans,
        ),
        Explained(
            "model inputs in searches",
            "MLflow shows which models a run read if that run is asked for; here searches show it, too.",
            _at(r"runs/search$", without.names("model_inputs", "inputs")),
        ),
        Explained(
            "model of a version",
            "If the source of a version names a logged model, both name each other here.",
            _at(r"registered-models|model-versions|logged-models", without.names("model_id", "registrations")),
        ),
        Explained(
            "newest metrics of logged models",
            "MLflow shows all values of a logged model's metrics, mltrail the newest of each.",
            _at(r"logged-models", _newest),
        ),
        Explained(
            "folders with a percent sign",
            "MLflow takes `%20` in the name of a folder for a blank, and finds nothing there.",
            _percent,
        ),
        Explained(
            "prompts have no files",
            "MLflow tells the words that stand for the source of a prompt as its place; here that is an error.",
            _places_of_prompts,
        ),
        Explained(
            "runs as sources",
            "MLflow can't resolve the source `runs:/…` of a version by itself; here it is the folder of that run.",
            _runs_as_sources,
        ),
    ]


def _at(endpoint: str, edit: without.Edit) -> Explain:
    def explain(question: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
        return (edit(theirs), edit(ours)) if re.search(endpoint, question.endpoint) else (theirs, ours)

    return explain


def _spans(question: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
    if re.search(r"traces/(get|batchGet)$", question.endpoint) and theirs["status"] == 500 and ours["status"] == 200:
        return ours, ours
    return theirs, ours


def _newest(body: Any) -> Any:
    if isinstance(body, list):
        return [_newest(one) for one in body]
    if not isinstance(body, dict):
        return body
    found = {key: _newest(one) for key, one in body.items()}
    if isinstance(found.get("metrics"), list):
        in_order = sorted(found["metrics"], key=lambda one: (one.get("step", 0), one.get("timestamp", 0)))
        named = ("key", "run_id", "dataset_name", "dataset_digest")
        newest = {tuple(one.get(name) for name in named): one for one in in_order}
        found["metrics"] = sorted(newest.values(), key=repr)
    return found


def _percent(question: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
    path = dict(question.query).get("path", "")
    if question.endpoint == "GET artifacts/list" and "%" in path and not theirs.get("body", {}).get("files"):
        return ours, ours
    return theirs, ours


def _places_of_prompts(question: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
    if question.endpoint.endswith("get-download-uri") and theirs.get("body") == {"artifact_uri": "prompt-template"}:
        return ours, ours
    return theirs, ours


def _runs_as_sources(question: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
    uri = theirs["body"].get("artifact_uri", "") if isinstance(theirs.get("body"), dict) else ""
    if question.endpoint.endswith("get-download-uri") and uri.startswith("runs:/") and ours["status"] == 200:
        run, _, path = uri.removeprefix("runs:/").partition("/")
        if ours["body"]["artifact_uri"].endswith(f"/{run}/artifacts" + (f"/{path}" if path else "")):
            return ours, ours
    if question.endpoint == "GET model-versions/get-artifact" and theirs["status"] == 500 and ours["status"] == 200:
        return ours, ours
    return theirs, ours
