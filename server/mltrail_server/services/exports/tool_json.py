"""JSON as mlflow-export-import 1.2.0 reads it.

https://github.com/mlflow/mlflow-export-import
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from mltrail_server.domain.model import PROMPT_TAG
from mltrail_server.domain.transfer import ExperimentRecord, ModelRecord, RunRecord, VersionRecord

Json = dict[str, Any]
PARENT_TAG = "mlflow.parentRunId"


def wrapped(content: Json, info: Json | None = None) -> Json:
    """Put the content where the tool looks for it."""
    system = {"package_version": metadata.version("mltrail"), "script": "mltrail-server export"}
    return {"system": system, **({"info": info} if info is not None else {}), "mlflow": content}


def experiment(one: ExperimentRecord, run_ids: list[str]) -> Json:
    """Show an experiment with the runs that the tool finds in its folder."""
    shown = {
        "experiment_id": one.id,
        "name": one.name,
        "artifact_location": one.artifact_location,
        "lifecycle_stage": _stage(deleted=one.deleted),
        "tags": one.tags,
        "creation_time": one.created_ms,
        "last_update_time": one.updated_ms,
        "_creation_time": _moment(one.created_ms),
        "_last_update_time": _moment(one.updated_ms),
    }
    count = len(run_ids)
    info = {"num_total_runs": count, "num_ok_runs": count, "num_failed_runs": 0, "failed_runs": []}
    return wrapped({"experiment": shown, "runs": run_ids}, info)


def run(one: RunRecord, *, with_parent: bool) -> Json:
    """Show a run without its metrics. The tool stops at a run whose parent it does not import, so that has none."""
    info = {
        "run_id": one.id,
        "run_uuid": one.id,
        "run_name": one.name,
        "experiment_id": one.experiment_id,
        "user_id": one.user,
        "status": one.status,
        "start_time": one.started_ms,
        "end_time": one.ended_ms,
        "lifecycle_stage": _stage(deleted=one.deleted),
        "artifact_uri": one.artifact_uri,
        "_start_time": _moment(one.started_ms),
        "_end_time": _moment(one.ended_ms),
    }
    inputs = [
        {
            "dataset": {
                "name": data.name,
                "digest": data.digest,
                "source_type": data.source_type,
                "source": data.source,
                "schema": data.schema,
                "profile": data.profile,
            },
            "tags": _pairs(data.tags),
        }
        for data in one.datasets
    ]
    tags = {key: value for key, value in one.tags.items() if with_parent or key != PARENT_TAG}
    return wrapped({"info": info, "params": one.params, "tags": tags, "inputs": inputs, "metrics": {}})


def model(one: ModelRecord, versions: Iterable[Json]) -> Json:
    """Show a model with its versions, as `version` returns them."""
    shown = {
        "name": one.name,
        "creation_timestamp": one.created_ms,
        "last_updated_timestamp": one.updated_ms,
        "description": one.description or "",
        "user_id": one.user,
        "tags": _pairs(one.tags),
        "aliases": [{"alias": alias, "version": str(number)} for alias, number in one.aliases.items()],
        "versions": list(versions),
    }
    return wrapped({"registered_model": shown})


def version(one: VersionRecord, experiments: dict[str, ExperimentRecord], aliases: list[str]) -> Json | None:
    """Show a version; None if the tool can't take it: it wants a run that it has imported, and a folder in it.

    `experiments` are those of the runs that it imports, by run.
    """
    run_id = one.run_id or ""
    if run_id not in experiments:
        return None
    place = re.fullmatch(rf"(?:runs:/|mlflow-artifacts:/+\d+/){run_id}/(?:artifacts/)?(.*)", one.source)
    if place is None:
        return None
    folder = f"runs:/{run_id}/artifacts"  # the tool looks for the first "artifacts" in the source
    return {
        "name": one.model,
        "version": str(one.number),
        "creation_timestamp": one.created_ms,
        "last_updated_timestamp": one.updated_ms,
        "current_stage": one.stage,
        "description": one.description or "",
        "user_id": one.user,
        "source": f"{folder}/{place[1]}",
        "run_id": run_id,
        "run_link": one.run_link or "",
        "status": one.status,
        "status_message": one.status_message or "",
        "tags": one.tags,
        "aliases": aliases,
        "_run_artifact_uri": folder,
        "_experiment_name": experiments[run_id].name,
    }


def is_prompt(one: ModelRecord) -> bool:
    return one.tags.get(PROMPT_TAG) == "true"


def _stage(*, deleted: bool) -> str:
    return "deleted" if deleted else "active"


def _pairs(tags: dict[str, str]) -> list[Json]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _moment(milliseconds: int | None) -> str | None:
    if milliseconds is None or not 0 <= milliseconds < 253_402_300_800_000:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
