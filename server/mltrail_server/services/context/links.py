"""Addresses of pages: GitLab's, and our own under the same paths, so that one can be rewritten to the other."""

from urllib.parse import quote

from mltrail_server.settings import Settings


def candidate(settings: Settings, project_path: str, iid: int) -> str:
    return f"{settings.external_url.rstrip('/')}/{project_path}/-/ml/candidates/{iid}"


def model(settings: Settings, project_path: str, name: str) -> str:
    return f"{settings.external_url.rstrip('/')}/{project_path}/-/ml/models/{quote(name, safe='')}"


def version(settings: Settings, project_path: str, name: str, semver: str) -> str:
    return f"{model(settings, project_path, name)}/versions/{quote(semver, safe='')}"


def pipeline(settings: Settings, project_path: str, pipeline_id: int) -> str:
    return f"{_gitlab_project(settings, project_path)}/-/pipelines/{pipeline_id}"


def job(settings: Settings, project_path: str, job_id: int) -> str:
    return f"{_gitlab_project(settings, project_path)}/-/jobs/{job_id}"


def commit(settings: Settings, project_path: str, sha: str) -> str:
    return f"{_gitlab_project(settings, project_path)}/-/commit/{sha}"


def _gitlab_project(settings: Settings, project_path: str) -> str:
    return f"{settings.gitlab_url.rstrip('/')}/{project_path}"
