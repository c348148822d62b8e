"""JSON of mlflow-export-import, in all the shapes that it has had, as records.

What is now below `mlflow` was at the top before 1.2. Times are milliseconds, or texts in UTC where only those are left.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mltrail_server.domain.transfer import (
    DatasetRecord,
    ExperimentRecord,
    ModelRecord,
    Point,
    RunRecord,
    VersionRecord,
)

from .json_stream import JsonStream

Json = dict[str, Any]


def head_of(path: Path) -> tuple[Json, int]:
    """Read a `run.json` without its metrics, and count their points. Raises ValueError or OSError."""
    head: Json = {}
    points = 0
    with path.open(encoding="utf-8") as text:
        stream = JsonStream(text)
        for key in _run_members(stream):
            if key == "metrics":
                points += sum(sum(1 for _ in stream.items()) for _ in stream.members())
            else:
                head[key] = stream.value()
    return head, points


def points_of(path: Path, run_id: str) -> Iterator[Point]:
    """Read the metrics of a `run.json`. Raises ValueError or OSError."""
    with path.open(encoding="utf-8") as text:
        stream = JsonStream(text)
        for key in _run_members(stream):
            if key == "metrics":
                for name in stream.members():
                    for one in stream.items():
                        yield run_id, name, int(one["step"]), int(one["timestamp"]), float(one["value"])
            else:
                stream.value()


def _run_members(stream: JsonStream) -> Iterator[str]:
    for key in stream.members():
        if key == "mlflow":
            yield from stream.members()
        else:
            yield key


def unwrapped(content: Json) -> Json:
    """Return what is below `mlflow`, or all of it."""
    inner = content.get("mlflow", content)
    return inner if isinstance(inner, dict) else {}


def experiment_of(said: Json, default_id: str) -> ExperimentRecord:
    """Read an experiment. `default_id` is used if the tool did not write its ID."""
    return ExperimentRecord(
        id=_text(said, "experiment_id") or default_id,
        name=_text(said, "name") or f"experiment {default_id}",
        deleted=said.get("lifecycle_stage") == "deleted",
        created_ms=_moment(said, "creation_time"),
        updated_ms=_moment(said, "last_update_time"),
        artifact_location=_text(said, "artifact_location"),
        tags=_pairs(said.get("tags")),
    )


def run_of(head: Json, points: int, default_id: str, experiment_id: str) -> RunRecord:
    """Read a run: `head` is its `run.json` without metrics, and `points` how many it has."""
    info = _object(head.get("info"))
    tags = _pairs(head.get("tags"))
    return RunRecord(
        id=_text(info, "run_id") or _text(info, "run_uuid") or default_id,
        experiment_id=experiment_id,
        name=_text(info, "run_name") or tags.get("mlflow.runName", ""),
        user=_text(info, "user_id") or tags.get("mlflow.user", ""),
        status=_text(info, "status") or "FINISHED",
        started_ms=_moment(info, "start_time"),
        ended_ms=_moment(info, "end_time"),
        deleted=info.get("lifecycle_stage") == "deleted",
        artifact_uri=_text(info, "artifact_uri") or "",
        params=_pairs(head.get("params")),
        tags=tags,
        points=points,
        datasets=tuple(_datasets(head.get("inputs"))),
    )


def model_of(said: Json, default_name: str) -> ModelRecord:
    """Read a registered model. `default_name` is used if the tool did not write its name."""
    name = _text(said, "name") or default_name
    versions = [one.number for one in versions_of(said, name)]
    return ModelRecord(
        name=name,
        created_ms=_moment(said, "creation_timestamp"),
        updated_ms=_moment(said, "last_updated_timestamp"),
        description=_text(said, "description"),
        user=_text(said, "user_id") or "",
        tags=_pairs(said.get("tags")),
        aliases=_aliases(said, set(versions)),
        last_number=max(versions, default=None),
    )


def versions_of(said: Json, name: str) -> list[VersionRecord]:
    """Return the versions in a `model.json`; those without a number are left out."""
    found = []
    for one in said.get("versions") or said.get("latest_versions") or ():
        number = _text(_object(one), "version") or ""
        if number.isascii() and number.isdigit():
            found.append(_version(one, name, int(number)))
    return sorted(found, key=lambda one: one.number)


def _version(one: Json, name: str, number: int) -> VersionRecord:
    return VersionRecord(
        model=name,
        number=number,
        created_ms=_moment(one, "creation_timestamp"),
        updated_ms=_moment(one, "last_updated_timestamp"),
        source=_text(one, "source") or "",
        run_id=_text(one, "run_id") or None,
        run_link=_text(one, "run_link") or None,
        logged_model_id=_text(one, "model_id") or None,
        description=_text(one, "description"),
        user=_text(one, "user_id") or "",
        stage=_text(one, "current_stage") or "None",
        status=_text(one, "status") or "READY",
        status_message=_text(one, "status_message") or None,
        tags=_pairs(one.get("tags")),
    )


def _aliases(said: Json, numbers: set[int]) -> dict[str, int]:
    """Return the aliases as the model has them, or as its versions do."""
    found: dict[str, int] = {}
    pairs = [(one.get("alias"), one.get("version")) for one in said.get("aliases") or () if isinstance(one, dict)]
    for version in said.get("versions") or ():
        pairs += [(alias, version.get("version")) for alias in _object(version).get("aliases") or ()]
    for alias, number in pairs:
        if alias and str(number).isdecimal() and int(str(number)) in numbers:
            found.setdefault(str(alias), int(str(number)))
    return found


def _datasets(said: object) -> Iterator[DatasetRecord]:
    inputs = said.get("dataset_inputs") if isinstance(said, dict) else said
    for one in inputs if isinstance(inputs, list) else ():
        data = _object(_object(one).get("dataset"))
        if _text(data, "name"):
            yield DatasetRecord(
                name=_text(data, "name") or "",
                digest=_text(data, "digest") or "",
                source_type=_text(data, "source_type") or "",
                source=_text(data, "source") or "",
                schema=_text(data, "schema"),
                profile=_text(data, "profile"),
                tags=_pairs(one.get("tags")),
            )


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _text(said: Json, key: str) -> str | None:
    value = said.get(key)
    return None if value is None or isinstance(value, dict | list) else str(value)


def _pairs(said: object) -> dict[str, str]:
    """Read tags or parameters: an object, or a list of keys and values."""
    if isinstance(said, list):
        said = {one["key"]: one.get("value", "") for one in said if isinstance(one, dict) and "key" in one}
    return {str(key): str(value) for key, value in _object(said).items() if value is not None}


def _moment(said: Json, key: str) -> int | None:
    """Read a time in milliseconds, or else from the text that the tool writes for people."""
    value = said.get(key)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value)
    for text in (value, said.get(f"_{key}")):
        if isinstance(text, str) and text.isdecimal():
            return int(text)
        if isinstance(text, str):
            try:
                return int(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp() * 1000)
            except ValueError:
                continue
    return None
