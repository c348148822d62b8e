"""Where a history that moved is answered differently, each with its reason. Nothing else may differ.

What an import has reported as not taken over is one of them, and only as far as the report names it.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from tests.differential import edits
from tests.differential import explained as of_servers
from tests.differential.model import Call

from . import of_files, of_mlflow3
from .asking import Explain, Explained, Question
from .old_records import OldRecords
from .questions import Facts

Findings = Sequence[dict[str, Any]]
_ON_PURPOSE = {
    "semver as alias": (1, 28),
    "no workspaces": (3, 10),
    "versions of a model": (1, 28),
    "aliases in searches": (2, 3),
}
"""Explanations of the differential test of all calls that also hold for what was imported, and since when."""
_OF_RUN = re.compile(r"mlflow-artifacts:/.+?/([0-9a-f]{32})/artifacts((?:/.*)?)")


def rules(facts: Facts, records: OldRecords, findings: Findings) -> list[Explained]:
    """Return the rules for the history of a server with these facts, whose import found this."""
    version = facts.version
    found = of_mlflow3.rules(records, findings) if version >= (3, 0) else []
    found += of_files.rules(version, records, findings)
    found += _since_2_14() if version >= (2, 14) else []
    found += [
        Explained(
            "files lie here",
            "The files of an experiment that was made with a place of its own are kept with all others.",
            _located(facts.locations),
        ),
        Explained(
            "sources of versions",
            "The source of a version whose files are a run's is `runs:/…`, which clients here can read, too. If its "
            "files were not found, it is what it was.",
            _edited("registered-models|model-versions", theirs=_with_portable_source, ours=_with_portable_source),
        ),
        Explained(
            "imported from",
            "A run, version or trace says where it was imported from, in the tag `mltrail.imported_from`.",
            _edited(r".", ours=edits.without_tag("mltrail.imported_from")),
        ),
        Explained(
            "user of imported models",
            "MLflow does not keep who made a model or version; here it was `import`.",
            _edited(r"registered-models|model-versions", ours=edits.without_field("user_id", "import")),
        ),
    ]
    if version >= (1, 29):
        found.append(
            Explained(
                "the experiment Default",
                "It is here before anything is imported, with a time of its own; runs are added to it.",
                _default_experiment,
            )
        )
    if version < (1, 30):
        found += [
            Explained(
                "fields of later versions",
                "The name of a run, which also is a tag, and the times of experiments came after MLflow 1.28.",
                _newer_fields,
            ),
        ]
    for rule in of_servers.RULES:
        if rule.name == "experiments of models":
            found.append(Explained(rule.name, rule.reason, _without_model_experiments(_adapted(rule))))
        elif version >= _ON_PURPOSE.get(rule.name, (99, 0)):
            found.append(Explained(rule.name, rule.reason, _adapted(rule)))
    found.append(
        Explained(
            "runs of versions",
            "A version that names no run, but whose source lies in one, has that run here.",
            _runs_of_versions(records),
        )
    )
    return found


def _since_2_14() -> list[Explained]:
    return [
        Explained(
            "prompts have no files",
            "MLflow tells the words that stand for the source of a prompt as its place; here that is an error.",
            _places_of_prompts,
        ),
        Explained(
            "traces that are complete",
            "What was imported of a trace is its final state, also if its client did not say so.",
            _edited(
                "traces",
                theirs=edits.without_tag("mlflow.trace.infoFinalized"),
                ours=edits.without_tag("mlflow.trace.infoFinalized"),
            ),
        ),
        Explained(
            "traces without a file",
            "MLflow and mltrail have different error codes for the spans of a trace that are not there.",
            _no_spans,
        ),
    ]


def _adapted(rule: of_servers.Rule) -> Explain:
    def explain(question: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
        if rule.name == "aliases in searches" and not re.search("(search|models/get)$", question.endpoint):
            return theirs, ours
        call = Call(question.method, question.path, json={}, endpoint=question.endpoint)
        return rule.explain(call, theirs, ours)

    return explain


def _without_model_experiments(explain: Explain) -> Explain:
    def explained(question: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
        if not question.endpoint.endswith("experiments/search"):
            return theirs, ours
        theirs, ours = ({key: one for key, one in side.items() if key != "sizes of pages"} for side in (theirs, ours))
        return explain(question, theirs, ours)

    return explained


def _edited(
    endpoint: str, *, theirs: Callable[[Any], Any] = lambda body: body, ours: Callable[[Any], Any] = lambda body: body
) -> Explain:
    def explain(question: Question, one: Any, other: Any) -> tuple[Any, Any]:
        if not re.search(endpoint, question.endpoint) or "body" not in one or "body" not in other:
            return one, other
        return one | {"body": theirs(one["body"])}, other | {"body": ours(other["body"])}

    return explain


def _located(locations: dict[str, str]) -> Explain:
    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: moved(one) for key, one in value.items()}
        if isinstance(value, list):
            return [moved(one) for one in value]
        for name, place in locations.items():
            if isinstance(value, str) and (value == place or value.startswith(f"{place}/")):
                return f"mlflow-artifacts:/⟦{name}⟧" + value.removeprefix(place)
        return value

    def explain(_: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
        return moved(theirs), ours

    return explain


@edits.objects
def _with_portable_source(found: dict[str, Any]) -> dict[str, Any]:
    match = _OF_RUN.fullmatch(found["source"]) if isinstance(found.get("source"), str) else None
    return found | {"source": f"runs:/{match[1]}{match[2]}"} if match else found


def _runs_of_versions(records: OldRecords) -> Explain:
    @edits.objects
    def with_run(found: dict[str, Any]) -> dict[str, Any]:
        if "current_stage" in found and "run_id" not in found and (run := records.run_of(found.get("source", ""))):
            found["run_id"] = run
        return found

    def of_run(run: str) -> list[Any]:
        """Tell the versions in a run that don't name it."""
        found = [one for one in records.versions.values() if "run_id" not in one]
        return [one for one in found if records.run_of(one.get("source", "")) == run]

    def explain(question: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
        if not re.search("registered-models|model-versions", question.endpoint):
            return theirs, ours
        run = re.fullmatch("run_id = '(.*)'", dict(question.query).get("filter", ""))
        if run and "body" in theirs and "body" in ours:
            more = {(one["name"], one["version"]) for one in of_run(run[1])}
            versions = ours["body"].get("model_versions", [])
            kept = [one for one in versions if (one["name"], one["version"]) not in more]
            ours = ours | {"body": {"model_versions": kept} if kept else {}}
        return with_run(theirs), ours

    return explain


def _places_of_prompts(question: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
    a_prompt = theirs.get("body") == {"artifact_uri": "prompt-template"}
    if question.endpoint.endswith("get-download-uri") and a_prompt and ours["status"] == 404:
        return ours, ours
    return theirs, ours


def _no_spans(question: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
    if question.endpoint == "GET get-trace-artifact" and theirs["status"] == ours["status"] == 404:
        return ours, ours
    return theirs, ours


def _default_experiment(question: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
    if not re.search(r"experiments/(get|get-by-name|search)$", question.endpoint):
        return theirs, ours
    return _without_its_time(theirs), _without_its_time(ours)


def _without_its_time(answer: Any) -> Any:
    """Take the times of Default, and its place in a list that is in their order, out of an answer."""
    body = answer.get("body", {})
    if body.get("experiment", {}).get("name") == "Default":
        return answer | {"body": edits.without("creation_time", "last_update_time")(body)}
    if any(one["name"] == "Default" for one in body.get("experiments", [])):
        others = [one for one in body["experiments"] if one["name"] != "Default"]
        default = [one for one in body["experiments"] if one["name"] == "Default"]
        default = edits.without("creation_time", "last_update_time")(default)
        return {key: one for key, one in answer.items() if key != "sizes of pages"} | {
            "body": body | {"experiments": others + default}
        }
    return answer


def _newer_fields(question: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
    if "experiments/" in question.endpoint:
        return theirs, edits.without("creation_time", "last_update_time")(ours)
    if not re.search(r"runs/(get|search)$", question.endpoint) or ours["status"] != 200:
        return theirs, ours
    runs = [ours["body"]["run"]] if "run" in ours["body"] else ours["body"].get("runs", [])
    named = [one for one in runs if _tag(one, "mlflow.runName") == one["info"].get("run_name")]
    return theirs, ours if len(named) < len(runs) else edits.without("run_name")(ours)


def _tag(run: Any, key: str) -> str | None:
    return next((one["value"] for one in run["data"].get("tags", []) if one["key"] == key), None)
