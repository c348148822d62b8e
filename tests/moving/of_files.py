"""What is answered differently about files, each with its reason."""

import re
from collections.abc import Sequence
from typing import Any

from .asking import Explain, Explained, Question
from .old_records import OldRecords

Findings = Sequence[dict[str, Any]]


def rules(version: tuple[int, int], records: OldRecords, findings: Findings) -> list[Explained]:
    found = []
    if version >= (2, 0):
        found += [
            Explained(
                "folders with a percent sign",
                "MLflow takes `%20` in a folder's name for a blank, and shows nothing; here is what is on the disk.",
                _percent(records, findings),
            ),
            Explained(
                "folders that are not shown",
                "Where MLflow does not show the files of a folder, REST can't bring them; the report names the folder.",
                _hidden_folders(findings),
            ),
        ]
    found += [
        Explained(
            "files that were refused",
            "A path with `#`, a backslash or a control character is not accepted here; the report names it.",
            _refused_files(findings),
        ),
        Explained(
            "runs as sources",
            "MLflow can't resolve the source `runs:/…` of a version by itself; here it is the folder of that run.",
            _runs_as_sources(records),
        ),
    ]
    if version < (3, 0):
        found.append(
            Explained(
                "files that are not there",
                "MLflow 1 and 2 answer 500 if a file is asked for that does not exist; here that is 404.",
                _no_files(records),
            )
        )
    return found


def _percent(records: OldRecords, findings: Findings) -> Explain:
    lost = {one["owner"] for one in findings if one["kind"] == "missing" and one["text"].startswith("the folder ")}

    def explain(question: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
        query = dict(question.query)
        path = query.get("path", "")
        not_shown = question.endpoint == "GET artifacts/list" and "%" in path and "body" in theirs
        if not not_shown or theirs["body"].get("files") or f"run {query['run_id']}" in lost:
            return theirs, ours
        found = sorted(records.listed(query["run_id"], path), key=repr)
        return theirs | {"body": theirs["body"] | ({"files": found} if found else {})}, ours

    return explain


def _hidden_folders(findings: Findings) -> Explain:
    named = {
        (re.sub("^(run|logged model) ", "", one["owner"]), match[1])
        for one in findings
        if one["kind"] == "missing" and (match := re.match(r"the folder '(.*?)': ", one["text"]))
    }

    def explain(question: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
        model = re.search("/(m-[0-9a-f]{32})/artifacts/directories", question.path)
        owner = model[1] if model else dict(question.query).get("run_id", "")
        hidden = [folder for of, folder in named if of == owner]
        is_list = re.search("artifacts/(list|directories)$", question.endpoint)
        if not is_list or not hidden or "body" not in theirs or "body" not in ours:
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
            return (ours, ours) if ours["status"] in (400, 404) else (theirs, ours)
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


def _runs_as_sources(records: OldRecords) -> Explain:
    def explain(question: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
        query = dict(question.query)
        source = records.versions.get((query.get("name", ""), query.get("version", "")), {}).get("source", "")
        if not source.startswith("runs:/"):
            return theirs, ours
        if question.endpoint.endswith("get-download-uri") and ours["status"] == 200:
            run, _, path = source.removeprefix("runs:/").partition("/")
            if ours["body"]["artifact_uri"].endswith(f"/{run}/artifacts" + (f"/{path}" if path else "")):
                return ours, ours
        if question.endpoint == "GET model-versions/get-artifact" and theirs["status"] >= 400:
            digest = records.digests.get(records.place(source, query["path"]))
            none = {"status": 404, "error_code": "RESOURCE_DOES_NOT_EXIST"}
            return {"status": 200, "body": digest} if digest else none, ours
        return theirs, ours

    return explain


def _no_files(records: OldRecords) -> Explain:
    def explain(question: Question, theirs: Any, ours: Any) -> tuple[Any, Any]:
        if not question.endpoint.endswith("get-artifact") or theirs["status"] != 500:
            return theirs, ours
        query = dict(question.query)
        source = records.versions.get((query.get("name", ""), query.get("version", "")), {}).get("source", "")
        run, path = records.place(source, query["path"]) if source else (query.get("run_uuid", ""), query["path"])
        is_there = run not in records.on_disk or path in records.on_disk[run]
        return theirs if is_there else {"status": 404, "error_code": "RESOURCE_DOES_NOT_EXIST"}, ours

    return explain
