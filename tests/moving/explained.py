"""Where a history that moved is answered differently, each with its reason. Nothing else may differ.

What an import has reported as not taken over is one of them, and only as far as the report names it.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from tests.differential import explained as of_servers
from tests.differential.model import Call

from . import of_mlflow3, without
from .asking import Explain, Explained, Question

Findings = Sequence[dict[str, Any]]
_ON_PURPOSE = (
    *("semver as alias", "no workspaces", "versions of a model", "aliases in searches"),
    *("a version instead of a stage", "crashes are errors of the client", "history of an unknown run"),
)
"""Explanations of the differential test of all calls that also hold for what was imported."""
_OF_RUN = re.compile(r"mlflow-artifacts:/.+?/([0-9a-f]{32})/artifacts((?:/.*)?)")
_NEWER_FIELDS = {
    # What servers before MLflow 1.29, 2 and 3 do not tell.
    "creation_time": (1, 29),
    "last_update_time": (1, 29),
    "run_name": (1, 30),
}


def rules(version: tuple[int, int], locations: dict[str, str], findings: Findings) -> list[Explained]:
    """Return the rules for the history of a server of this version, whose import found this.

    `locations` tells for each experiment that was made with a place of its own for files what that is.
    """
    found = [
        Explained(
            "files lie here",
            "The files of an experiment that was made with a place of its own are kept with all others.",
            _located(locations),
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
            _edited(r".", ours=without.tag("mltrail.imported_from")),
        ),
        Explained(
            "user of imported models",
            "MLflow does not keep who made a model or version; here it was `import`.",
            _edited(r"registered-models|model-versions", ours=without.field("user_id", "import")),
        ),
        Explained(
            "files that were refused",
            "A path with `#`, a backslash or a control character is not accepted here; the report names it.",
            _refused_files(findings),
        ),
        Explained(
            "folders that are not shown",
            "Where MLflow does not show the files of a folder, REST can't bring them; the report names the folder.",
            _hidden_folders(findings),
        ),
        Explained(
            "versions without files",
            "If the files of a version were not found, it has none here either; the report names it.",
            _missing_versions(findings),
        ),
        Explained(
            "page tokens of 1.28",
            "Errors of pages, such as `get-artifact`, have no error code in MLflow.",
            _codes_of_pages,
        ),
    ]
    found += of_mlflow3.rules() if version >= (2, 14) else []
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
                f"{', '.join(f'`{name}`' for name in _NEWER_FIELDS)} came after MLflow 1.28.",
                _newer_fields,
            ),
            Explained(
                "runs without a name",
                "MLflow 1 has runs without a name; each has one here, in the tag `mlflow.runName`, too.",
                _run_names,
            ),
        ]
    for rule in of_servers.RULES:
        if rule.name == "experiments of models":
            found.append(Explained(rule.name, rule.reason, _without_model_experiments(_adapted(rule))))
        elif rule.name in _ON_PURPOSE:
            found.append(Explained(rule.name, rule.reason, _adapted(rule)))
    found.append(
        Explained(
            "runs of versions",
            "A version that names no run, but whose source lies in one, has that run here.",
            _runs_of_versions,
        )
    )
    return found


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


def _with_portable_source(body: Any) -> Any:
    if isinstance(body, list):
        return [_with_portable_source(one) for one in body]
    if not isinstance(body, dict):
        return body
    found = {key: _with_portable_source(one) for key, one in body.items()}
    match = _OF_RUN.fullmatch(found["source"]) if isinstance(found.get("source"), str) else None
    return found | {"source": f"runs:/{match[1]}{match[2]}"} if match else found


def _runs_of_versions(question: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
    if not re.search("registered-models|model-versions", question.endpoint):
        return theirs, ours
    if dict(question.query).get("filter", "").startswith("run_id") and "body" in theirs and "body" in ours:
        there = {(one["name"], one["version"]) for one in theirs["body"].get("model_versions", [])}
        versions = ours["body"].get("model_versions", [])
        kept = [one for one in versions if (one["name"], one["version"]) in there]
        ours = ours | {"body": {"model_versions": kept} if kept else {}}
    return theirs, _without_run(theirs, ours)


def _without_run(theirs: Any, ours: Any) -> Any:
    """Take the run out of each version that has none on the other side."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        own = "current_stage" in theirs and "run_id" not in theirs
        kept = {key: one for key, one in ours.items() if not (own and key == "run_id")}
        return {key: _without_run(theirs.get(key), one) for key, one in kept.items()}
    if isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        return [_without_run(one, other) for one, other in zip(theirs, ours, strict=True)]
    return ours


def _refused_files(findings: Findings) -> Explain:
    named = {
        (re.sub("^(run|logged model) ", "", one["owner"]), match[1])
        for one in findings
        if one["kind"] == "refused" and one["entity"] == "files"
        if (match := re.match(r"the file '(.*?)': ", one["text"]))
    }

    def explain(question: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
        query = dict(question.query)
        model = re.search("/(m-[0-9a-f]{32})/artifacts/directories", question.path)
        run = query.get("run_id") or query.get("run_uuid") or (model[1] if model else "")
        if question.endpoint == "GET get-artifact" and (run, query.get("path")) in named:
            return ours, ours
        if (
            re.search("artifacts/(list|directories)$", question.endpoint)
            and theirs["status"] == 200
            and any(run == one for one, _ in named)
        ):
            keep = [one for one in theirs["body"].get("files", []) if (run, one["path"]) not in named]
            others = {key: one for key, one in theirs["body"].items() if key != "files"}
            return theirs | {"body": others | ({"files": keep} if keep else {})}, ours
        return theirs, ours

    return explain


def _hidden_folders(findings: Findings) -> Explain:
    named = {
        (re.sub("^(run|logged model) ", "", one["owner"]), match[1])
        for one in findings
        if one["kind"] == "missing" and (match := re.match(r"the folder '(.*?)': its files are not shown", one["text"]))
    }

    def explain(question: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
        run = dict(question.query).get("run_id", "")
        hidden = [folder for owner, folder in named if owner == run]
        if question.endpoint != "GET artifacts/list" or not hidden or "body" not in theirs or "body" not in ours:
            return theirs, ours
        here = {one["path"] for one in ours["body"].get("files", [])}
        files = theirs["body"].get("files", [])
        kept = [
            one
            for one in files
            if one["path"] in here or not any(f"{folder}/".startswith(f"{one['path']}/") for folder in hidden)
        ]
        others = {key: one for key, one in theirs["body"].items() if key != "files"}
        return theirs | {"body": others | ({"files": kept} if kept else {})}, ours

    return explain


def _missing_versions(findings: Findings) -> Explain:
    named = {one["owner"] for one in findings if one["kind"] == "missing" and one["entity"] == "versions"}

    def explain(question: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
        query = dict(question.query)
        owner = f"version {query.get('version')} of {query.get('name')!r}"
        about_files = re.search(r"get-download-uri|model-versions/get-artifact", question.endpoint)
        return (ours, ours) if about_files and owner in named else (theirs, ours)

    return explain


def _codes_of_pages(question: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
    page = re.search(r"get-artifact|artifacts/files|get-trace-artifact", question.endpoint)
    if page and theirs["status"] == ours["status"] >= 400:
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
        return answer | {"body": without.names("creation_time", "last_update_time")(body)}
    if any(one["name"] == "Default" for one in body.get("experiments", [])):
        others = [one for one in body["experiments"] if one["name"] != "Default"]
        default = [one for one in body["experiments"] if one["name"] == "Default"]
        default = without.names("creation_time", "last_update_time")(default)
        return {key: one for key, one in answer.items() if key != "sizes of pages"} | {
            "body": body | {"experiments": others + default}
        }
    return answer


def _newer_fields(_: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
    return theirs, without.names(*_NEWER_FIELDS)(ours)


def _run_names(question: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
    """Take the name out of those runs that have none at the old server."""
    if not re.search(r"runs/(get|search)$", question.endpoint) or theirs["status"] != 200 or ours["status"] != 200:
        return theirs, ours
    nameless = {one["info"]["run_id"] for one in _runs_in(theirs["body"]) if "mlflow.runName" not in _tags(one)}
    for run in _runs_in(ours["body"]):
        if run["info"]["run_id"] in nameless:
            run["data"]["tags"] = [one for one in run["data"]["tags"] if one["key"] != "mlflow.runName"]
    return theirs, ours


def _runs_in(body: Any) -> list[Any]:
    return [body["run"]] if "run" in body else body.get("runs", [])


def _tags(run: Any) -> set[str]:
    return {one["key"] for one in run["data"].get("tags", [])}
