"""Addresses of our own pages, under GitLab's paths so that a link can be rewritten from one to the other."""

from urllib.parse import quote

from mltrail_server.settings import Settings


def candidate(settings: Settings, project_path: str, iid: int) -> str:
    return f"{settings.external_url.rstrip('/')}/{project_path}/-/ml/candidates/{iid}"


def model(settings: Settings, project_path: str, name: str) -> str:
    return f"{settings.external_url.rstrip('/')}/{project_path}/-/ml/models/{quote(name, safe='')}"


def version(settings: Settings, project_path: str, name: str, semver: str) -> str:
    return f"{model(settings, project_path, name)}/versions/{quote(semver, safe='')}"


def pipeline(settings: Settings, project_path: str, pipeline_id: int) -> str:
    return f"{settings.gitlab_url.rstrip('/')}/{project_path}/-/pipelines/{pipeline_id}"
