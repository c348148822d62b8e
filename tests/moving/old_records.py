"""What an old server answered to other questions. It is compared where it can't answer one of them."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .asking import Question

_MODEL = re.compile(r"models:/(m-[0-9a-f]{32})|/models/(m-[0-9a-f]{32})/artifacts")
_RUN = re.compile(r"(?:runs:/|/)([0-9a-f]{32})(?:/artifacts)?(?:/(.*))?")


@dataclass
class OldRecords:
    runs: dict[str, Any] = field(default_factory=dict)
    traces: dict[str, Any] = field(default_factory=dict)
    """By ID, without spans."""
    spans: dict[str, Any] = field(default_factory=dict)
    """By the ID of their trace, as they are downloaded."""
    digests: dict[tuple[str, str], str] = field(default_factory=dict)
    """Of files, by run or logged model, and path."""
    versions: dict[tuple[str, str], Any] = field(default_factory=dict)
    logged_models: dict[str, Any] = field(default_factory=dict)
    on_disk: dict[str, dict[str, Path]] = field(default_factory=dict)
    """By run, where its files are, by their paths."""

    @classmethod
    def from_answers(
        cls, asked: Iterable[tuple[Question, Any]], runs: Sequence[Any] = (), files: Path | None = None
    ) -> "OldRecords":
        """Collect from all answers. `files` is the folder that the server keeps them in."""
        records = cls()
        for question, answer in asked:
            if answer["status"] == 200:
                records._learn(question, dict(question.query), answer["body"])
        for info in [run["info"] for run in runs if files is not None]:
            root = Path(files or "") / info["artifact_uri"].removeprefix("mlflow-artifacts:/").lstrip("/")
            records.on_disk[info["run_id"]] = {
                str(one.relative_to(root)): one for one in root.rglob("*") if one.is_file()
            }
        return records

    def _learn(self, question: Question, query: dict[str, str], body: Any) -> None:
        match question.endpoint:
            case "GET runs/get":
                self.runs[query["run_id"]] = body["run"]
            case "GET traces/<id>":
                self.traces[body["trace"]["trace_info"]["trace_id"]] = body["trace"]["trace_info"]
            case "GET get-trace-artifact" if isinstance(body, dict):
                self.spans[query["request_id"]] = body.get("spans", [])
            case "GET get-artifact":
                self.digests[query["run_uuid"], query["path"]] = body
            case "GET model-versions/get":
                self.versions[query["name"], query["version"]] = body["model_version"]
            case "GET logged-models/<id>/artifacts/files":
                self.digests[question.path.split("/")[-3], query["artifact_file_path"]] = body
            case "GET logged-models/<id>":
                self.logged_models[body["model"]["info"]["model_id"]] = body["model"]

    def model_of(self, source: str) -> str | None:
        """Return the logged model that a source of a version leads into: by its ID, or as the one of that name of a run
        that has no such files.
        """
        if match := _MODEL.search(source):
            return match[1] or match[2]
        run, path = self.place(source, "")
        if not path or any(one.startswith(f"{path}/") for one in self.on_disk.get(run, {})):
            return None
        infos = [one["info"] for one in self.logged_models.values()]
        found = [one for one in infos if (one.get("source_run_id"), one["name"]) == (run, path)]
        newest = max(found, key=lambda one: one["creation_timestamp_ms"], default=None)
        return str(newest["model_id"]) if newest else None

    def run_of(self, source: str) -> str | None:
        """Return the run that a source leads into, or that logged the model there."""
        model = self.model_of(source)
        if model:
            found = self.logged_models.get(model, {"info": {}})["info"].get("source_run_id")
            return str(found) if found else None
        match = _RUN.search(source)
        return match[1] if match else None

    def place(self, source: str, path: str) -> tuple[str, str]:
        """Return the run and the path of a file below a source that leads into a run."""
        match = _RUN.search(source)
        return (match[1], "/".join(filter(None, (match[2], path)))) if match else ("", path)

    def listed(self, run: str, folder: str) -> list[dict[str, Any]]:
        """List what is on the disk, as servers do."""
        found: dict[str, dict[str, Any]] = {}
        for path, place in self.on_disk.get(run, {}).items():
            if path.startswith(f"{folder}/"):
                name, rest, _ = path.removeprefix(f"{folder}/").partition("/")
                size = 0 if rest else place.stat().st_size
                one = {"path": f"{folder}/{name}", "is_dir": bool(rest)}
                found[name] = one | ({"file_size": size} if size else {})
        return list(found.values())

    def not_shown(self) -> Iterator[tuple[str, str, str]]:
        """Tell run, path and digest of the files that MLflow does not show because of a percent sign."""
        for run, files in self.on_disk.items():
            for path, place in files.items():
                if "%" in path.rpartition("/")[0]:
                    yield run, path, hashlib.sha256(place.read_bytes()).hexdigest()
