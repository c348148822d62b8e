"""A deployment in GitLab for each promoted version, in the environment `model/<name>`. Made with the job's own token.

A job's keyword `environment:` would record a deployment whenever the job succeeds, also when it has promoted nothing,
and one for all models together. https://docs.gitlab.com/api/deployments/#create-a-deployment
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from .answers import Promotion
from .api import Api
from .errors import server, usage

_NEEDED = ("CI_API_V4_URL", "CI_PROJECT_ID", "CI_JOB_TOKEN", "CI_COMMIT_SHA", "CI_COMMIT_REF_NAME")
_LOOK_AT = 20


def create(api: Api, promotions: Sequence[Promotion], environment: Mapping[str, str]) -> list[str]:
    """Make what is not there yet, and answer a line for each. A version without an alias is deployed nowhere."""
    missing = [name for name in _NEEDED if not environment.get(name)]
    if missing:
        raise usage(f"--deployment works in a GitLab job only: {missing[0]} is not set.")
    told = []
    for one in promotions:
        if one.state in {"promoted", "already"} and one.alias:
            made = _make(api, one, environment)
            told.append(f"Deployment in {name_of(one)}" + ("" if made else " is there already"))
    return told


def name_of(one: Promotion) -> str:
    """Name the environment after the model: what an environment's name can't hold becomes a dash."""
    return "model/" + (re.sub(r"[^A-Za-z0-9_. -]+", "-", one.model).strip("-. ") or "model")


def _make(api: Api, one: Promotion, environment: Mapping[str, str]) -> bool:
    project = f"{environment['CI_API_V4_URL']}/projects/{environment['CI_PROJECT_ID']}"
    token, name, sha = environment["CI_JOB_TOKEN"], name_of(one), environment["CI_COMMIT_SHA"]
    newest = {"environment": name, "order_by": "id", "sort": "desc", "per_page": _LOOK_AT}
    found = api.gitlab("GET", f"{project}/deployments?{urlencode(newest)}", token)
    # A job that is retried promotes nothing new, and deploys nothing new.
    known = found if isinstance(found, list) else []
    if any(isinstance(old, dict) and old.get("sha") == sha for old in known):
        return False
    body = {
        "environment": name,
        "sha": sha,
        "ref": environment["CI_COMMIT_REF_NAME"],
        "tag": bool(environment.get("CI_COMMIT_TAG")),
        "status": "success",
    }
    made = api.gitlab("POST", f"{project}/deployments", token, body)
    where = made.get("environment") if isinstance(made, dict) else None
    if not isinstance(where, dict):
        raise server(f"POST {project}/deployments answered without the deployment's environment.")
    if one.url and where.get("external_url") != one.url:
        api.gitlab("PUT", f"{project}/environments/{where['id']}", token, {"external_url": one.url})
    return True
