"""Load this folder, written by `mltrail-server export --format mlflow`, into a stock MLflow server.

    pip install mlflow
    python load_into_mlflow.py --tracking-uri http://mlflow.example.com

It does not need mltrail. User name, password or token come from MLflow's own variables (MLFLOW_TRACKING_USERNAME,
MLFLOW_TRACKING_PASSWORD, MLFLOW_TRACKING_TOKEN). If it is interrupted, start it again: it resumes where it was.
Exit code 0: everything that MLflow can keep was loaded, and the rest is listed; 1: more is missing, and is listed, too.
"""

import argparse
import json
import math
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

RECORD = "mltrail.json"
SOURCE_TAG = "mltrail.run_id"
PROMPT_SOURCE = "prompt-template"
"""The only source that MLflow accepts for prompts."""
PARENT_TAG = "mlflow.parentRunId"
SERVERS_TAGS = {
    "mlflow.artifactLocation",
    "mlflow.trace.spansLocation",
    "mlflow.trace.archiveLocation",
    "mlflow.trace.archivalFailure",
}
NOT_KEPT = f"""\
- IDs: MLflow assigns new ones to experiments, runs, logged models and evaluation datasets. Each run has its old ID in
  the tag {SOURCE_TAG}. The source paths of versions change with them.
- When experiments, logged models, registered models and versions were created or changed, when runs were deleted, and
  who registered models and versions: MLflow records the time of loading, and no user.
- Times of rows of evaluation datasets, and of versions of scorers."""
Json = dict[str, Any]


class Server:
    """MLflow's REST API, with the credentials that MLflow's client would use."""

    def __init__(self, uri: str) -> None:
        import mlflow  # noqa: PLC0415 - so that --help needs nothing
        from mlflow.tracking._tracking_service.utils import get_default_host_creds  # noqa: PLC0415
        from mlflow.utils.rest_utils import http_request  # noqa: PLC0415

        mlflow.set_tracking_uri(uri)
        self.client = mlflow.MlflowClient(tracking_uri=uri)
        self._credentials = get_default_host_creds(uri)
        self._request: Callable[..., Any] = http_request

    def problem(self) -> str | None:
        """Say what is wrong if it does not answer: MLflow's client itself would try for minutes, and say nothing."""
        try:
            response = self._request(
                self._credentials,
                "/api/2.0/mlflow/experiments/search",
                "POST",
                max_retries=1,
                raise_on_status=False,
                json={"max_results": 1},
            )
        except Exception as error:  # noqa: BLE001 - whatever requests or MLflow make of it
            return f"There is no connection ({type(error.__cause__ or error).__name__}): is the server running?"
        if response.status_code in {401, 403}:
            return (
                f"It answers {response.status_code}. Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
                "MLFLOW_TRACKING_TOKEN."
            )
        return None if response.status_code == 200 else f"It answers {response.status_code}: is it an MLflow server?"

    def call(self, method: str, path: str, **fields: Any) -> Json:  # noqa: ANN401 - any JSON value
        """Call below `/api/`. Raises `Refused` for anything but success."""
        carried = {"params": fields} if method == "GET" else {"json": finite(fields)}
        response = self._request(self._credentials, f"/api/{path}", method, raise_on_status=False, **carried)
        if response.status_code != 200:
            raise Refused(response.status_code, response.text)
        answer: Json = response.json()
        return answer

    def post(self, path: str, **fields: Any) -> Json:  # noqa: ANN401
        return self.call("POST", f"2.0/mlflow/{path}", **fields)

    def upload(self, uri: str, folder: Path) -> None:
        """Send the files of a folder to where MLflow says that they belong."""
        from mlflow.store.artifact.artifact_repository_registry import (  # noqa: PLC0415
            get_artifact_repository,
        )

        get_artifact_repository(uri).log_artifacts(str(folder))


class Refused(Exception):  # noqa: N818 - it is what the server did
    def __init__(self, status: int, text: str) -> None:
        said = "its MLflow is too old and has no such call" if "<html" in text else f"{status}: {text[:300]}"
        super().__init__(f"the server refuses it: {said}")
        self.exists = "RESOURCE_ALREADY_EXISTS" in text
        self.gone = "RESOURCE_DOES_NOT_EXIST" in text or "deleted" in text


class Journal:
    """What has been loaded, and under which ID: one line each, in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.known: dict[str, str] = {}
        if file.exists():
            for line in file.read_text().splitlines():
                try:
                    self.known.update(json.loads(line))
                except ValueError:
                    continue  # the last line may be cut off

    def __contains__(self, key: str) -> bool:
        return key in self.known

    def note(self, key: str, made: str = "") -> str:
        self.known[key] = made
        with self._file.open("a") as out:
            out.write(json.dumps({key: made}) + "\n")
        return made


class Loader:
    def __init__(self, folder: Path, server: Server, journal: Journal) -> None:
        self.folder = folder
        self.server = server
        self.journal = journal
        self.losses: list[str] = []
        self.counts: dict[str, int] = {}

    def load(self) -> None:
        experiments = [record_of(one) for one in self._folders("experiments/*")]
        for experiment in experiments:
            self._try("experiments", f"experiment {experiment['name']}", self._experiment, experiment)
        runs = [one for one in self._folders("experiments/*/*") if self._known("experiment", one.parent.name)]
        for run in self._folders("experiments/*/*"):
            if run not in runs:
                self.losses.append(f"run {run.name}: its experiment could not be created")
        for run in runs:
            self._try("", f"run {run.name}", self._begin_run, run)
        models = self._folders("mltrail/logged-models/*/*")
        for model in models:
            self._try("logged models", f"logged model {model.name}", self._logged_model, model)
        measured = measurements(models)
        for run in runs:
            self._try("runs", f"run {run.name}", self._fill_run, run, measured)
        self._registry()
        self._evaluations()
        self._delete(runs, models, experiments)

    def _registry(self) -> None:
        for folder in self._folders("models/*"):
            registered = record_of(folder)["model"]
            kind = "prompts" if is_prompt(registered) else "registered models"
            self._try(kind, f"model {registered['name']}", self._model, folder)

    def _evaluations(self) -> None:
        for trace in self._folders("mltrail/traces/*/*"):
            self._try("traces", f"trace {trace.name}", self._trace, trace)
        for file in sorted(self.folder.glob("mltrail/evaluation-datasets/*.jsonl")):
            self._try("evaluation datasets", f"evaluation dataset {file.stem}", self._dataset, file)
        for file in sorted(self.folder.glob("mltrail/scorers/*.json")):
            for scorer in json.loads(file.read_text()):
                self._try("scorer versions", f"scorer {scorer['name']} {scorer['version']}", self._scorer, scorer)

    def _folders(self, pattern: str) -> list[Path]:
        return sorted(one.parent for one in self.folder.glob(f"{pattern}/{RECORD}"))

    def _try(self, kind: str, what: str, work: Callable[..., None], *given: object) -> None:
        """Do the work, and count it as one of its kind. If it fails, note why and go on."""
        try:
            work(*given)
        except Exception as error:  # noqa: BLE001 - whatever it is
            self.losses.append(f"{what}: {error}")
        else:
            if kind:
                self._count(kind)

    def _known(self, kind: str, old: str) -> str:
        return self.journal.known.get(f"{kind} {old}", "")

    def _count(self, kind: str, number: int = 1) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + number

    def _experiment(self, one: Json) -> None:
        if self._known("experiment", one["id"]):
            return
        tags = pairs(one["tags"])
        try:
            made = self.server.post("experiments/create", name=one["name"], tags=tags)["experiment_id"]
        except Refused as error:
            if not error.exists:
                raise
            path = "2.0/mlflow/experiments/get-by-name"
            there = self.server.call("GET", path, experiment_name=one["name"])["experiment"]
            if there["lifecycle_stage"] == "deleted":
                raise ValueError("the server has a deleted experiment of this name: restore or rename it") from error
            made = there["experiment_id"]
            for tag in tags:
                self.server.post("experiments/set-experiment-tag", experiment_id=made, **tag)
        self.journal.note(f"experiment {one['id']}", made)

    def _begin_run(self, folder: Path) -> None:
        if self._known("run", folder.name):
            return
        one = record_of(folder)
        made = self.server.post(
            "runs/create",
            experiment_id=self._known("experiment", one["experiment_id"]),
            user_id=one["user"],
            run_name=one["name"],
            start_time=one["started_ms"],
        )
        self.journal.note(f"run {folder.name}", made["run"]["info"]["run_id"])

    def _fill_run(self, folder: Path, measured: dict[tuple[Any, ...], list[Json]]) -> None:
        one = record_of(folder)
        place = self._files(folder, f"run {one['id']}")  # lists losses, also when the run is there already
        links = self._links(one)
        if f"filled {one['id']}" in self.journal:
            return
        run_id = self._known("run", one["id"])
        if not run_id:
            raise ValueError("it could not be created")
        for params in in_parts(pairs(one["params"]), 100):
            self.server.post("runs/log-batch", run_id=run_id, params=params)
        for tags in in_parts(pairs(self._tags(one)), 100):
            self.server.post("runs/log-batch", run_id=run_id, tags=tags)
        for points in in_parts(list(self._points(folder, one["id"], measured)), 500):
            self.server.post("runs/log-batch", run_id=run_id, metrics=points)
        for path, fields in links.items():
            self.server.post(path, run_id=run_id, **fields)
        if place:
            self.server.client.log_artifacts(run_id, str(place))
        ended = {} if one["ended_ms"] is None else {"end_time": one["ended_ms"]}
        self.server.post("runs/update", run_id=run_id, status=one["status"], run_name=one["name"], **ended)
        self.journal.note(f"filled {one['id']}")

    def _tags(self, one: Json) -> dict[str, str]:
        tags: dict[str, str] = one["tags"] | {SOURCE_TAG: one["id"]}
        parent = self._known("run", tags.get(PARENT_TAG, ""))
        return tags | ({PARENT_TAG: parent} if parent else {})

    def _links(self, one: Json) -> dict[str, Json]:
        """Return what a run has used and made, by the calls that say so."""
        datasets = [
            {"dataset": {key: data[key] for key in DATASET if data[key] is not None}, "tags": pairs(data["tags"])}
            for data in one["datasets"]
        ]
        inputs = [{"model_id": made} for link in one["model_inputs"] if (made := self._made_model(link, one))]
        outputs = [
            {"model_id": made, "step": link["step"]}
            for link in one["model_outputs"]
            if (made := self._made_model(link, one))
        ]
        calls: dict[str, Json] = {}
        if datasets or inputs:
            calls["runs/log-inputs"] = {"datasets": datasets, "models": inputs}
        if outputs:
            calls["runs/outputs"] = {"models": outputs}
        return calls

    def _points(self, folder: Path, old: str, measured: dict[tuple[Any, ...], list[Json]]) -> Iterator[Json]:
        """Return a run's points; those that were measured for a logged model say so."""
        history = json.loads((folder / "run.json").read_text())["mlflow"]["metrics"]
        for key, points in history.items():
            for point in points:
                shown = {"key": key, **point}
                for model in measured.get((old, key, point["step"], point["timestamp"], repr(point["value"])), [{}]):
                    made = self._known("logged model", model.get("model", ""))
                    yield shown | ({"model_id": made} | model["dataset"] if made else {})

    def _made_model(self, link: Json, one: Json) -> str:
        made = self._known("logged model", link["model_id"])
        if not made:
            self.losses.append(f"run {one['id']}: its logged model {link['model_id']} does not exist")
        return made

    def _logged_model(self, folder: Path) -> None:
        one = record_of(folder)
        place = self._files(folder, f"logged model {one['id']}")
        if f"filled {one['id']}" in self.journal:
            return
        model_id = self._known("logged model", one["id"])
        if not model_id:
            made = self.server.post(
                "logged-models",
                experiment_id=self._known("experiment", one["experiment_id"]),
                name=one["name"],
                model_type=one["model_type"],
                source_run_id=self._known("run", one["source_run_id"]),
                params=pairs(one["params"]),
                tags=pairs(one["tags"]),
            )
            model_id = self.journal.note(f"logged model {one['id']}", made["model"]["info"]["model_id"])
        if place:
            self.server.client.log_model_artifacts(model_id, str(place))
        if one["status"] != "PENDING":
            status = f"LOGGED_MODEL_{one['status']}"
            self.server.call("PATCH", f"2.0/mlflow/logged-models/{model_id}", model_id=model_id, status=status)
        self.journal.note(f"filled {one['id']}")

    def _model(self, folder: Path) -> None:
        whole = record_of(folder)
        model, name = whole["model"], whole["model"]["name"]
        if f"model {name}" not in self.journal:
            said = {"description": model["description"]} if model["description"] else {}
            self.server.post("registered-models/create", name=name, tags=pairs(model["tags"]), **said)
            self.journal.note(f"model {name}")
        by_number = {one["number"]: one for one in whole["versions"]}
        for number in range(1, max([*by_number, model["last_number"] or 0]) + 1):
            if f"version {name} {number}" not in self.journal:
                if not self._is_there(name, number):
                    self._version(folder, by_number, number)
                self.journal.note(f"version {name} {number}")
            self._count("versions", int(number in by_number))
        for alias, number in model["aliases"].items():
            self.server.post("registered-models/alias", name=name, alias=alias, version=str(number))
            self._count("aliases")

    def _is_there(self, name: str, number: int) -> bool:
        """Whether there is a version already, from an attempt that was interrupted before it was noted."""
        try:
            self.server.call("GET", "2.0/mlflow/model-versions/get", name=name, version=str(number))
        except Refused:
            return False
        return True

    def _version(self, folder: Path, by_number: dict[int, Json], number: int) -> None:
        """Make a version; one that is missing is made and deleted, so that the others keep their numbers."""
        name = record_of(folder)["model"]["name"]
        gap = number not in by_number
        if gap and not by_number:
            return
        one = by_number[min(by_number, key=lambda there: (there < number, abs(there - number)))]
        where = self._place_of(folder, one, copy=not gap)
        said = {"description": one["description"]} if one["description"] else {}
        said |= {"run_link": one["run_link"]} if one["run_link"] else {}
        made = self.server.post(
            "model-versions/create",
            name=name,
            tags=pairs({} if gap and not is_prompt(one) else one["tags"]),
            **where,
            **said,
        )["model_version"]
        if int(made["version"]) != number:
            raise ValueError(
                f"version {number} has become {made['version']}: the server already has versions of this model"
            )
        if gap:
            self.server.call("DELETE", "2.0/mlflow/model-versions/delete", name=name, version=str(number))
        elif one["stage"] != "None":
            stage = {"stage": one["stage"], "archive_existing_versions": False}
            self.server.post("model-versions/transition-stage", name=name, version=str(number), **stage)

    def _place_of(self, folder: Path, one: Json, *, copy: bool) -> Json:
        """Say where a version's files are on the new server. A promoted version's own go beside those of its run."""
        run_id = self._known("run", one["run_id"] or "")
        model_id = self._known("logged model", one["logged_model_id"] or "")
        run = {"run_id": run_id} if run_id else {}
        if is_prompt(one):
            return {"source": PROMPT_SOURCE}
        location = one["storage_location"] or one["source"]
        if model_id:
            return {"source": f"models:/{model_id}", "model_id": model_id, **run}
        if not run_id:
            return {"source": one["source"]}
        if not location.startswith(("mlflow-artifacts:", "runs:")):
            return {"source": location, **run}
        path = self._path_in_run(folder, one, location, run_id if copy else "")
        info = self.server.call("GET", "2.0/mlflow/runs/get", run_id=run_id)["run"]["info"]
        return {"source": f"{info['artifact_uri']}/{path}".rstrip("/"), **run}

    def _path_in_run(self, folder: Path, one: Json, location: str, copy_to: str) -> str:
        """Return where in its run a version's files are. Files that are not in it are uploaded to the run `copy_to`."""
        found = re.search(rf"{one['run_id']}(?:/artifacts)?/?(.*)", location)
        if one["logged_model_id"]:  # the server has no logged models
            path = f"models/{one['logged_model_id']}"
            places = [*self.folder.glob(f"mltrail/logged-models/*/{one['logged_model_id']}/artifacts")]
        elif found is None:
            path = f"promoted/{folder.name}/{one['number']}"
            own = self._files(folder, f"version {one['number']} of {one['model']}", f"{one['number']}/")
            places = [own] if own else []
        else:
            return found[1]
        for place in places if copy_to else ():
            self.server.client.log_artifacts(copy_to, str(place), path)
        return path

    def _files(self, folder: Path, owner: str, start: str = "") -> Path | None:
        """Return the folder with the files, and list those whose names no folder can have."""
        listed = json.loads((folder / RECORD).read_text())["files"]
        own = [one for one in listed if one["path"].startswith(start)]
        for one in own:
            if one["shared"]:
                where = self.folder / "mltrail/files" / one["sha256"]
                self.losses.append(f"{owner}: the name of {one['path']} is too long for a file; it is {where}")
        return folder / "artifacts" / start if any(not one["shared"] for one in own) else None

    def _trace(self, folder: Path) -> None:
        one = record_of(folder)
        if f"trace {one['id']}" in self.journal:
            return
        try:
            made = self.server.call("POST", "3.0/mlflow/traces", trace={"trace_info": self._trace_info(one)})
            tags = made["trace"]["trace_info"]["tags"]
        except Refused:
            # It may be there from an attempt that was interrupted.
            there = self.server.call("GET", f"3.0/mlflow/traces/{one['id']}")
            tags = there["trace"]["trace_info"]["tags"]
        with tempfile.TemporaryDirectory() as place:
            if (folder / "traces.json").exists():
                shutil.copy(folder / "traces.json", place)
            if (folder / "artifacts").exists():
                shutil.copytree(folder / "artifacts", place, dirs_exist_ok=True)
            self.server.upload(tags["mlflow.artifactLocation"], Path(place))
        for old in one["run_ids"]:
            if run_id := self._known("run", old):
                self.server.post("traces/link-to-run", trace_ids=[one["id"]], run_id=run_id)
        self.journal.note(f"trace {one['id']}")

    def _trace_info(self, one: Json) -> Json:
        metadata = dict(one["metadata"])
        source_run = self._known("run", metadata.get("mlflow.sourceRun", ""))
        metadata |= {"mlflow.sourceRun": source_run} if source_run else {}
        info = {
            "trace_id": one["id"],
            "client_request_id": one["client_request_id"],
            "trace_location": {
                "type": "MLFLOW_EXPERIMENT",
                "mlflow_experiment": {"experiment_id": self._known("experiment", one["experiment_id"])},
            },
            "request_time": rfc3339(one["started_ms"]),
            "execution_duration": None if one["duration_ms"] is None else f"{one['duration_ms'] / 1000:.3f}s",
            "state": one["state"],
            "request_preview": one["request_preview"],
            "response_preview": one["response_preview"],
            "trace_metadata": metadata,
            "tags": {key: value for key, value in one["tags"].items() if key not in SERVERS_TAGS},
            "assessments": [assessment(said, one["id"]) for said in one["assessments"]],
        }
        return {key: value for key, value in info.items() if value is not None}

    def _dataset(self, file: Path) -> None:
        with file.open() as lines:
            one, *rows = (json.loads(line) for line in lines)
        if f"dataset {one['id']}" in self.journal:
            return
        dataset_id = self._known("dataset id", one["id"])
        if not dataset_id:
            made = self.server.call(
                "POST",
                "3.0/mlflow/datasets/create",
                name=one["name"],
                experiment_ids=[made for old in one["experiment_ids"] if (made := self._known("experiment", old))],
                tags=json.dumps(one["tags"]),
            )
            dataset_id = self.journal.note(f"dataset id {one['id']}", made["dataset"]["dataset_id"])
        keys = ("inputs", "outputs", "expectations", "tags", "source")
        for part in in_parts([{key: row[key] for key in keys if row[key] is not None} for row in rows], 500):
            path = f"3.0/mlflow/datasets/{dataset_id}/records"
            self.server.call("POST", path, dataset_id=dataset_id, records=json.dumps(part))
        self.journal.note(f"dataset {one['id']}")

    def _scorer(self, one: Json) -> None:
        key = f"scorer {one['experiment_id']} {one['name']} {one['version']}"
        if key not in self.journal:
            made = self.server.call(
                "POST",
                "3.0/mlflow/scorers/register",
                experiment_id=self._known("experiment", one["experiment_id"]),
                name=one["name"],
                serialized_scorer=one["serialized"],
            )
            self.journal.note(key, str(made.get("version", one["version"])))
        if self.journal.known[key] != str(one["version"]):
            raise ValueError(f"it has become version {self.journal.known[key]}")

    def _delete(self, runs: list[Path], models: list[Path], experiments: list[Json]) -> None:
        """Delete what was deleted: at the end, since nothing can be logged to it then."""
        for one in (record_of(folder) for folder in runs):
            fields = {"run_id": self._known("run", one["id"])}
            self._delete_one(one, f"run {one['id']}", "POST", "runs/delete", fields)
        for one in (record_of(folder) for folder in models):
            path = f"logged-models/{self._known('logged model', one['id'])}"
            self._delete_one(one, f"logged model {one['id']}", "DELETE", path, {})
        for one in experiments:
            fields = {"experiment_id": self._known("experiment", one["id"])}
            self._delete_one(one, f"experiment {one['name']}", "POST", "experiments/delete", fields)

    def _delete_one(self, one: Json, what: str, method: str, path: str, fields: Json) -> None:
        made = all(fields.values()) and not path.endswith("/")  # what could not be made is listed already
        if not one["deleted"] or not made or f"deleted {one['id']}" in self.journal:
            return
        try:
            self.server.call(method, f"2.0/mlflow/{path}", **fields)
        except Refused as error:
            if not error.gone:  # it may be, since an attempt that was interrupted
                self.losses.append(f"{what} is not deleted there: {error}")
                return
        self.journal.note(f"deleted {one['id']}")


DATASET = ("name", "digest", "source_type", "source", "schema", "profile")


def record_of(folder: Path) -> Json:
    record: Json = json.loads((folder / RECORD).read_text())["record"]
    return record


def measurements(models: list[Path]) -> dict[tuple[Any, ...], list[Json]]:
    """Return which points of runs were measured for logged models, and on which datasets."""
    found: dict[tuple[Any, ...], list[Json]] = {}
    for folder in models:
        one = record_of(folder)
        for metric in one["metrics"]:
            key = (metric["run_id"], metric["key"], metric["step"], metric["timestamp_ms"], repr(metric["value"]))
            dataset = {name: metric[name] for name in ("dataset_name", "dataset_digest") if metric[name]}
            found.setdefault(key, []).append({"model": one["id"], "dataset": dataset})
    return found


def assessment(said: Json, trace_id: str) -> Json:
    shown = {
        "assessment_id": said["id"],
        "assessment_name": said["name"],
        "trace_id": trace_id,
        "source": {"source_type": said["source_type"], "source_id": said["source_id"]},
        "create_time": rfc3339(said["created_ms"]),
        "last_update_time": rfc3339(said["updated_ms"]),
        said["kind"]: {"value": said["value"], **({"error": said["error"]} if said["error"] else {})},
        "rationale": said["rationale"],
        "metadata": said["metadata"] or None,
        "span_id": said["span_id"],
        "overrides": said["overrides"],
        "valid": said["valid"],
    }
    return {key: value for key, value in shown.items() if value is not None}


def is_prompt(version: Json) -> bool:
    return bool(version["tags"].get("mlflow.prompt.is_prompt") == "true")


def pairs(tags: dict[str, str]) -> list[Json]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def in_parts(items: list[Json], size: int) -> Iterator[list[Json]]:
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]


def rfc3339(milliseconds: int) -> str:
    from datetime import UTC, datetime  # noqa: PLC0415

    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def finite(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Write NaN and the infinities as texts, as MLflow's protocol does."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    return [finite(inner) for inner in value] if isinstance(value, list) else value


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--tracking-uri", required=True, help="URL of the MLflow server")
    parser.add_argument(
        "--folder", type=Path, default=Path(__file__).parent, help="the folder (default: this script's)"
    )
    parser.add_argument("--journal", type=Path, help="file that records what was loaded (default: in the folder)")
    options = parser.parse_args()
    state = json.loads((options.folder / "mltrail-export.json").read_text())
    if not state.get("complete"):
        sys.exit("The export is not complete. Run `mltrail-server export` again first.")
    journal = Journal(options.journal or options.folder / "loaded-into-mlflow.jsonl")
    if journal.known.setdefault("server", options.tracking_uri) != options.tracking_uri:
        sys.exit(f"The journal belongs to another server, {journal.known['server']}. Give a new one with --journal.")
    server = Server(options.tracking_uri)
    problem = server.problem()
    if problem:
        sys.exit(f"Nothing was loaded into {options.tracking_uri}. {problem}")
    if "export" not in journal:
        journal.note("server", options.tracking_uri)
        journal.note("export", state["digests"])
    loader = Loader(options.folder, server, journal)
    loader.load()
    for kind, count in loader.counts.items():
        print(f"{count:,} {kind}")
    print(f"What MLflow can't keep:\n{NOT_KEPT}")
    for loss in loader.losses:
        print(f"missing: {loss}")
    return 1 if loader.losses else 0


if __name__ == "__main__":
    sys.exit(main())
