"""A GitLab Release for each promoted version, with its model card. Made with the job's own token.

https://docs.gitlab.com/api/releases/#create-a-release
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .answers import Promotion
from .api import Api
from .errors import usage

_NEEDED = ("CI_API_V4_URL", "CI_PROJECT_ID", "CI_JOB_TOKEN", "CI_COMMIT_SHA")


def create(api: Api, promotions: Sequence[Promotion], environment: Mapping[str, str]) -> list[str]:
    """Make what is not there yet, and answer a line for each. In a tag's pipeline the tag itself gets the Release."""
    missing = [name for name in _NEEDED if name not in environment]
    if missing:
        raise usage(f"--release works in a GitLab job only: {missing[0]} is not set.")
    url = f"{environment['CI_API_V4_URL']}/projects/{environment['CI_PROJECT_ID']}/releases"
    told = []
    for one in promotions:
        if one.state not in {"promoted", "already"}:
            continue
        tag = environment.get("CI_COMMIT_TAG") or tag_of(one)
        made = api.release(url, environment["CI_JOB_TOKEN"], _body(api, one, tag, environment["CI_COMMIT_SHA"]))
        told.append(f"Release {tag}" if made else f"Release {tag} is there already")
    return told


def tag_of(one: Promotion) -> str:
    """Name a Git tag after model and version: what a tag can't hold becomes a dash."""
    return re.sub(r"[^\w.-]+", "-", one.model).strip("-.") + f"-v{one.version}"


def _body(api: Api, one: Promotion, tag: str, sha: str) -> dict[str, Any]:
    card = str(api.card(one.model, one.version)["markdown"])
    links = [{"name": f"{one.model} {one.version}", "url": one.url, "link_type": "other"}] if one.url else []
    return {
        "name": f"{one.model} {one.version}",
        "tag_name": tag,
        "ref": sha,
        "description": card,
        "assets": {"links": links},
    }
