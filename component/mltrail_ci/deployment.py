"""A deployment in GitLab for each promoted version, in the environment `model/<name>`, created with the job's token.

A job's keyword `environment:` would record a deployment whenever the job succeeds, even if it has promoted nothing,
and one for all models together. https://docs.gitlab.com/api/deployments/#create-a-deployment
"""

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlencode

from . import naming
from .api import Api
from .errors import CommandError, server, usage
from .responses import Promotion

_NEEDED = ("CI_API_V4_URL", "CI_PROJECT_ID", "CI_JOB_TOKEN", "CI_COMMIT_SHA", "CI_COMMIT_REF_NAME")
_LOOK_AT = 20


def create(api: Api, promotions: Sequence[Promotion], environment: Mapping[str, str]) -> Iterator[str | CommandError]:
    """Create the missing deployments, and report for each what was done or what went wrong. A version without an alias
    is not deployed.
    """
    missing = [name for name in _NEEDED if not environment.get(name)]
    if missing:
        yield usage(f"--deployment works only in a GitLab job: {missing[0]} is not set.")
        return
    for one in promotions:
        if one.state in {"promoted", "already"} and one.alias and not one.is_overtaken:
            name = naming.environment(one.model)
            try:
                made = _make(api, one, name, environment)
            except CommandError as error:
                yield error
            else:
                yield f"Deployment in {name}" + ("" if made else " already exists")


def _make(api: Api, one: Promotion, name: str, environment: Mapping[str, str]) -> bool:
    project = f"{environment['CI_API_V4_URL']}/projects/{environment['CI_PROJECT_ID']}"
    token, sha = environment["CI_JOB_TOKEN"], environment["CI_COMMIT_SHA"]
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
        raise server(f"The response to POST {project}/deployments does not contain the deployment's environment.")
    if one.url and where.get("external_url") != one.url:
        api.gitlab("PUT", f"{project}/environments/{where.get('id')}", token, {"external_url": one.url})
    return True
