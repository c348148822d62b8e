"""GitLab's own experiments and models in the shapes of its MLflow API.

https://docs.gitlab.com/user/project/ml/experiment_tracking/mlflow_client/
"""

import hashlib
from typing import Any
from urllib.parse import quote

from .ml_state import MADE_SECONDS, Experiment, Ml, Model, Package, Run, Value, Version
from .shapes import AT
from .state import Project

Json = dict[str, Any]


def experiment(one: Experiment) -> Json:
    return {
        "experiment_id": str(one.iid),
        "name": one.name,
        "lifecycle_stage": "active",
        "artifact_location": "not_implemented",
        "tags": _pairs(one.tags),
    }


def run(url: str, project: Project, one: Run, *, reads_files: bool) -> Json:
    """`reads_files`: this GitLab has URLs for reading the files of runs."""
    info = {
        "run_id": one.eid,
        "run_uuid": one.eid,
        "experiment_id": str(one.experiment_iid),
        "start_time": one.started_ms,
        "end_time": one.ended_ms,
        "run_name": one.name or None,
        "status": one.status,
        "artifact_uri": _artifact_uri(f"{url}/api/v4/projects/{project.id}", one, reads_files=reads_files),
        "lifecycle_stage": "active",
        "user_id": str(one.user_id or ""),
    }
    latest = {value[0]: value for value in one.values}  # the one that came last, whatever its step is
    return {
        "info": {key: value for key, value in info.items() if value is not None},
        "data": {
            "metrics": [metric(value) for value in latest.values()],
            "params": _pairs(one.params),
            "tags": _pairs(one.tags),
        },
    }


def metric(value: Value) -> Json:
    key, number, at, step = value
    return {"key": key, "value": number, "timestamp": at, "step": step}


def model(url: str, project: Project, ml: Ml, one: Model) -> Json:
    versions = [version(url, project, one, each) for each in one.versions]
    return {
        "name": one.name,
        "creation_timestamp": MADE_SECONDS,
        "last_updated_timestamp": MADE_SECONDS + len(versions),
        "description": one.description,
        "user_id": str(one.user_id or ""),
        "tags": _pairs(one.tags),
        "latest_versions": versions or [None],
    }


def version(url: str, project: Project, model: Model, one: Version) -> Json:
    return {
        "name": model.name,
        "version": str(one.id),
        "creation_timestamp": MADE_SECONDS,
        "last_updated_timestamp": MADE_SECONDS,
        "user_id": None,
        "current_stage": "development",
        "description": one.description,
        "source": f"{url}/{project.path}/-/ml/models/{model.id}/versions/{one.id}",
        "run_id": one.run.eid,
        "status": "READY",
        "status_message": "",
        "tags": _pairs(one.tags),
        "run_link": "",
        "aliases": [one.semver],
    }


def package(one: Package) -> Json:
    return {
        "id": one.id,
        "name": one.name,
        "version": one.version,
        "package_type": one.kind,
        "status": "default",
        "created_at": AT,
        "last_downloaded_at": None,
        "_links": {"web_path": f"/-/packages/{one.id}"},
        "tags": [],
    }


def package_files(one: Package) -> list[Json]:
    """Names with folders are escaped in a package."""
    return [
        {
            "id": 1000 * one.id + number,
            "package_id": one.id,
            "created_at": AT,
            "file_name": quote(path, safe=""),
            "size": len(content),
            "file_md5": None,
            "file_sha1": None,
            "file_sha256": one.digests.get(path, hashlib.sha256(content).hexdigest()),
        }
        for number, (path, content) in enumerate(one.files.items(), 1)
    ]


def artifacts(one: Package) -> list[Json]:
    return [{"path": path, "file_size": len(content), "is_dir": False} for path, content in one.files.items()]


def _artifact_uri(base: str, one: Run, *, reads_files: bool) -> str:
    if one.package is not None and one.package.kind == "generic":
        return f"{base}/packages/generic/ml_experiment_{one.experiment_iid}/{one.iid}/"
    if one.version_id is not None:
        return f"{base}/packages/ml_models/{one.version_id}/files/"
    if one.package is not None and reads_files:
        return f"mlflow-artifacts:/candidate:{one.iid}"
    return f"{base}/packages/ml_models/candidate:{one.iid}/files/"


def _pairs(found: dict[str, str]) -> list[Json]:
    return [{"key": key, "value": value} for key, value in found.items()]
