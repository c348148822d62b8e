"""Where mltrail responds differently from `mlflow server` on purpose, each with its reason. At most forty.

A rule makes the two sides equal if, and only if, it explains the difference.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import edits
from .model import Call

Seen = dict[str, Any]
Sides = tuple[Seen, Seen]
_SEMVER = re.compile(r"\d+\.\d+\.\d+")


@dataclass(frozen=True)
class Rule:
    """`explain` gets the call and both responses, and returns them, equal if the rule explains the difference."""

    name: str
    reason: str
    explain: Callable[[Call, Seen, Seen], Sides]


def _statuses(
    *, endpoint: str, theirs: tuple[int, ...], ours: tuple[int, ...], when: Callable[[Call], bool] = lambda _: True
) -> Callable[[Call, Seen, Seen], Sides]:
    """Explain a pair of statuses at endpoints that match a pattern."""

    def explain(call: Call, mlflow: Seen, mltrail: Seen) -> Sides:
        meant = re.search(endpoint, call.endpoint) and mlflow["status"] in theirs and mltrail["status"] in ours
        return (mltrail, mltrail) if meant and when(call) else (mlflow, mltrail)

    return explain


@edits.objects
def _without_notes_of_issues(found: dict[str, Any]) -> dict[str, Any]:
    """Leave out what can be changed of the issues among the assessments of traces."""
    hidden = ("assessment_name", "rationale", "metadata") if "issue" in found else ()
    return {key: value for key, value in found.items() if key not in hidden}


def _edited(
    endpoint: str,
    *,
    mlflow: Callable[[Any], Any] = lambda body: body,
    mltrail: Callable[[Any], Any] = lambda body: body,
) -> Callable[[Call, Seen, Seen], Sides]:
    """Explain what successful responses contain or lack at endpoints that match a pattern."""

    def explain(call: Call, theirs: Seen, ours: Seen) -> Sides:
        if not re.search(endpoint, call.endpoint) or theirs["status"] != 200 or ours["status"] != 200:
            return theirs, ours
        return theirs | {"body": mlflow(theirs["body"])}, ours | {"body": mltrail(ours["body"])}

    return explain


@edits.objects
def _without_semver(found: dict[str, Any]) -> dict[str, Any]:
    if isinstance(found.get("aliases"), list):
        found["aliases"] = [one for one in found["aliases"] if not (isinstance(one, str) and _SEMVER.fullmatch(one))]
        if not found["aliases"]:
            del found["aliases"]
    return found


def _without_model_experiments(body: Any) -> Any:
    found = [one for one in body.get("experiments", []) if not one["name"].startswith("[model]")]
    rest = {key: value for key, value in body.items() if key != "experiments"}
    return rest | ({"experiments": found} if found else {})


def _latest_of_each_stage(body: Any) -> Any:
    """Keep only the last version of each stage of a model, as MLflow shows them."""
    model = body.get("registered_model") if isinstance(body, dict) else None
    if not isinstance(model, dict) or "latest_versions" not in model:
        return body
    last = {one["current_stage"]: one for one in sorted(model["latest_versions"], key=lambda one: int(one["version"]))}
    return body | {"registered_model": model | {"latest_versions": sorted(last.values(), key=repr)}}


def _versions_without_aliases(body: Any) -> Any:
    """Leave a model's own aliases, which are pairs with a version, as they are."""
    if isinstance(body, dict):
        drop = "current_stage" in body
        return {key: _versions_without_aliases(one) for key, one in body.items() if not (drop and key == "aliases")}
    return [_versions_without_aliases(one) for one in body] if isinstance(body, list) else body


def _interval(call: Call, theirs: Seen, ours: Seen) -> Sides:
    if not call.endpoint.endswith("get-history-bulk-interval") or theirs["status"] != 200 or ours["status"] != 200:
        return theirs, ours
    more = [one for one in ours["body"].get("metrics", []) if one not in theirs["body"].get("metrics", [])]
    kept = [one for one in ours["body"].get("metrics", []) if one not in more]
    return theirs, ours | {"body": {"metrics": kept} if kept else {}}


def _spoiled(call: Call) -> bool:
    return call.spoiled


def _has_null(call: Call) -> bool:
    return None in (call.json or call.query or {}).values()


def _orders_blank(call: Call) -> bool:
    return (call.json or call.query or {}).get("order_by") == ""


def _more_files(call: Call, theirs: Seen, ours: Seen) -> Sides:
    if "artifacts" not in call.endpoint or theirs["status"] != 200 or ours["status"] != 200:
        return theirs, ours
    if not isinstance(theirs["body"], dict) or not isinstance(ours["body"], dict):
        return theirs, ours
    kept = [one for one in theirs["body"].get("files", []) if one in ours["body"].get("files", [])]
    return theirs | {"body": {"files": kept} if kept else {}}, ours


def _bad_request(_: Call, theirs: Seen, ours: Seen) -> Sides:
    refused = theirs.get("error_code") == "BAD_REQUEST" and ours["status"] in (400, 404)
    return (ours, ours) if refused else (theirs, ours)


RULES: tuple[Rule, ...] = (
    Rule(
        "semver as alias",
        "Each version also has a semantic version, which is listed with the real aliases so that clients can load by "
        "it.",
        _edited(r"registered-models|model-versions", mltrail=_without_semver),
    ),
    Rule(
        "no workspaces",
        "What MLflow calls a workspace is a GitLab project here; it is in the URL, not in each experiment.",
        _edited(r"experiments", mlflow=edits.without("workspace")),
    ),
    Rule(
        "experiments of models",
        "Each registered model has an experiment of its own, `[model]<name>`, as in GitLab's registry.",
        _edited(r"experiments/search$", mltrail=_without_model_experiments),
    ),
    Rule(
        "crashes are errors of the client",
        "If odd input makes `mlflow server` fail with 500, the client gets 400 with a message that says what is wrong.",
        _statuses(endpoint=r".", theirs=(500,), ours=(400, 404, 413)),
    ),
    Rule(
        "null is absent",
        "A search with `null` in a field makes `mlflow server` fail with 500; here the field counts as absent.",
        _statuses(endpoint=r"search$", theirs=(500,), ours=(200,), when=_has_null),
    ),
    Rule(
        "wrong types are refused",
        "MLflow reads some values of the wrong type as absent or 0, and silently loses data; here that is a 400.",
        _statuses(endpoint=r".", theirs=(200,), ours=(400,), when=_spoiled),
    ),
    Rule(
        "files belong to a run or model",
        "MLflow stores and lists any path; here a folder must be a run's or a logged model's, or the call gets 404 or "
        "400.",
        _statuses(endpoint=r"(PUT|GET|DELETE) artifacts", theirs=(200, 400, 404), ours=(400, 404)),
    ),
    Rule(
        "files that were refused",
        "MLflow takes files for deleted runs and for folders of no run; files refused here are not listed later.",
        _more_files,
    ),
    Rule(
        "the response to an upload",
        "MLflow 3 responds to an upload with an empty body, older servers and ours with `{}`; clients read neither.",
        _edited(r"PUT artifacts", mlflow=lambda _: {}),
    ),
    Rule(
        "history of an unknown run",
        "For a run that does not exist, MLflow returns an empty history; GitLab and mltrail return 404.",
        _statuses(endpoint=r"metrics/get-history$", theirs=(200,), ours=(404,)),
    ),
    Rule(
        "deleted logged models stay as they are",
        "MLflow writes to deleted logged models; here that gets 404, as reading them does.",
        _statuses(endpoint=r"logged-models/<id>(/tags|/tags/<key>|/params|$)", theirs=(200, 404), ours=(404,)),
    ),
    Rule(
        "data of logged models can be sent again",
        "A client that got no response retries, so the same parameter, or the same output of a run, is no error.",
        _statuses(endpoint=r"logged-models/<id>/params|runs/outputs", theirs=(400,), ours=(200,)),
    ),
    Rule(
        "errors of MLflow's database",
        "What MLflow's database refuses gets BAD_REQUEST; here the error code says what is wrong.",
        _bad_request,
    ),
    Rule(
        "issues can be changed",
        "MLflow fails to change the rationale or metadata of an issue that is logged to a trace; here it works.",
        _statuses(endpoint=r"PATCH api/3.0/mlflow/traces/<id>/assessments", theirs=(500,), ours=(200,)),
    ),
    Rule(
        "links to runs that are gone",
        "MLflow links traces to a run that is deleted or never existed, and says nothing; here that is an error.",
        _statuses(endpoint=r"traces/link-to-run$", theirs=(200,), ours=(400, 404)),
    ),
    Rule(
        "traces that are sent again",
        "MLflow stores the tags of a trace that is sent again, but its response lacks the new ones.",
        _edited(r"POST api/3.0/mlflow/traces$", mlflow=edits.without("tags"), mltrail=edits.without("tags")),
    ),
    Rule(
        "issues that were changed",
        "MLflow fails to change an issue that is logged to a trace, so the trace shows it as it was.",
        _edited(r"mlflow/traces", mlflow=_without_notes_of_issues, mltrail=_without_notes_of_issues),
    ),
    Rule(
        "which mistake is reported",
        "Both refuse: a call that is malformed (400) and names what does not exist (404) gets the one or the other.",
        _statuses(
            endpoint=r"runs/|artifacts/list|experiments/|registered-models|model-versions|scorers/|datasets/|traces",
            theirs=(400, 404),
            ours=(400, 404),
            when=_spoiled,
        ),
    ),
    Rule(
        "versions of a model",
        "A model by itself shows all its versions, as GitLab does; MLflow shows the last one of each stage.",
        _edited(r"registered-models", mltrail=_latest_of_each_stage),
    ),
    Rule(
        "aliases in searches",
        "MLflow leaves out aliases when versions are searched or listed in a model; here they are always shown.",
        _edited(r"model-versions/search|registered-models", mltrail=_versions_without_aliases),
    ),
    Rule(
        "a version instead of a stage",
        "Clients send `models:/m/1.4.0` as a stage, so a number or a semver there means that version.",
        _statuses(endpoint=r"get-latest-versions", theirs=(400,), ours=(200, 404)),
    ),
    Rule(
        "blank orders",
        "GitLab's clients send the order as one string, which may be empty; MLflow refuses that, here it means no "
        "order.",
        _statuses(endpoint=r"search$", theirs=(400,), ours=(200,), when=_orders_blank),
    ),
    Rule(
        "thinned histories",
        "If few steps are asked for, MLflow drops some that it means to keep; here they are all there.",
        _interval,
    ),
)


def table() -> str:
    """Return the rules as the documentation shows them."""
    lines = ["| What | Why |", "|:--|:--|"]
    return "\n".join([*lines, *(f"| {rule.name} | {rule.reason} |" for rule in RULES)]) + "\n"
