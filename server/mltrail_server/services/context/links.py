"""Addresses of pages: GitLab's, and our own under the same paths, so that one can be rewritten to the other."""

from urllib.parse import quote, urlencode

from mltrail_server.domain import former
from mltrail_server.settings import Settings


def candidate(settings: Settings, project_path: str, iid: int) -> str:
    return f"{_pages(settings, project_path)}/candidates/{iid}"


def model(settings: Settings, project_path: str, name: str) -> str:
    return f"{_pages(settings, project_path)}/models/{quote(name, safe='', errors='replace')}"


def version(settings: Settings, project_path: str, name: str, semver: str) -> str:
    return f"{model(settings, project_path, name)}/versions/{quote(semver, safe='', errors='replace')}"


def trace(settings: Settings, project_path: str, trace_id: str) -> str:
    return f"{_pages(settings, project_path)}/traces/{quote(trace_id, safe='', errors='replace')}"


def traces(settings: Settings, project_path: str, experiment_iid: int) -> str:
    """Return the address of an experiment's traces."""
    return f"{_pages(settings, project_path)}/experiments/{experiment_iid}/traces"


def evaluation(
    settings: Settings,
    project_path: str,
    iid: int,
    *,
    against: int | None = None,
    only: str | None = None,
    case: str | None = None,
) -> str:
    """Return the address of a run's evaluation; with `against`, beside that of another run.

    `only` is broke, fixed or failed; `case` opens one case with both answers.
    """
    query = [(name, value) for name, value in (("against", against), ("only", only), ("case", case)) if value]
    asked = f"?{urlencode(query, errors='replace')}" if query else ""
    return f"{_pages(settings, project_path)}/candidates/{iid}/evaluation{asked}"


def prompt(settings: Settings, project_path: str, name: str, *, old: str | None = None, new: str | None = None) -> str:
    """Return the address of a prompt; with the numbers of two versions, of what differs between them."""
    query = "?" + urlencode({"from": old, "to": new}, errors="replace") if old and new else ""
    return f"{_pages(settings, project_path)}/prompts/{quote(name, safe='', errors='replace')}{query}"


def pipeline(settings: Settings, project_path: str, pipeline_id: int) -> str:
    """Return the address of a pipeline. One of a former GitLab is not here, so that is the address of them all."""
    number = "" if former.is_former(pipeline_id) else f"/{pipeline_id}"
    return f"{_gitlab_project(settings, project_path)}/-/pipelines{number}"


def job(settings: Settings, project_path: str, job_id: int) -> str:
    return f"{_gitlab_project(settings, project_path)}/-/jobs/{job_id}"


def commit(settings: Settings, project_path: str, sha: str) -> str:
    return f"{_gitlab_project(settings, project_path)}/-/commit/{sha}"


def _pages(settings: Settings, project_path: str) -> str:
    return f"{settings.external_url.rstrip('/')}/{project_path}/-/ml"


def _gitlab_project(settings: Settings, project_path: str) -> str:
    return f"{settings.gitlab_url.rstrip('/')}/{project_path}"
