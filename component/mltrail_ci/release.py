"""A GitLab Release for each promoted version, with its model card, created with the job's own token.

https://docs.gitlab.com/api/releases/#create-a-release
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from . import naming, responses
from .api import Api
from .errors import CommandError, server, usage
from .responses import Promotion

_NEEDED = ("CI_API_V4_URL", "CI_PROJECT_ID", "CI_JOB_TOKEN", "CI_COMMIT_SHA")
_LONGEST_NAME = 255


def create(api: Api, promotions: Sequence[Promotion], environment: Mapping[str, str]) -> Iterator[str | CommandError]:
    """Create the missing Releases, and report for each what was done or what went wrong.

    In a tag's pipeline the tag itself gets the Release: one, for all models that were promoted.
    """
    missing = [name for name in _NEEDED if not environment.get(name)]
    if missing:
        yield usage(f"--release works only in a GitLab job: {missing[0]} is not set.")
        return
    done = [one for one in promotions if one.state in {"promoted", "already"}]
    tag = environment.get("CI_COMMIT_TAG")
    own = {naming.tag(one.model, one.version): [one] for one in done}
    releases = {tag: done} if tag and done else own
    for name, of in releases.items():
        try:
            yield _make(api, name, of, environment)
        except CommandError as error:
            yield error


def _make(api: Api, tag: str, of: Sequence[Promotion], environment: Mapping[str, str]) -> str:
    url = f"{environment['CI_API_V4_URL']}/projects/{environment['CI_PROJECT_ID']}/releases"
    token = environment["CI_JOB_TOKEN"]
    body = _body(api, tag, of, environment["CI_COMMIT_SHA"])
    if api.release(url, token, body):
        return f"Release {tag}"
    there = _found(api, f"{url}/{quote(tag, safe='')}", token)
    own = not environment.get("CI_COMMIT_TAG")
    if own and there.get("name") not in {None, body["name"]}:
        raise server(
            f"The tag {tag} already has a Release for {there['name']!r}, and this one is for {body['name']!r}. "
            "Delete that Release, or release this version under a tag of its own."
        )
    if not own:
        _link(api, f"{url}/{quote(tag, safe='')}/assets/links", token, there, body["assets"]["links"])
    return f"Release {tag} already exists"


def _found(api: Api, url: str, token: str) -> Mapping[str, Any]:
    """An existing Release, if the job can read it."""
    try:
        there = api.gitlab("GET", url, token)
    except CommandError:
        return {}
    return there if isinstance(there, dict) else {}


def _link(api: Api, url: str, token: str, there: Mapping[str, Any], wanted: Sequence[dict[str, str]]) -> None:
    """Add missing links to a Release of the tag that another job created for another model, or that a person created.

    https://docs.gitlab.com/api/releases/links/#create-a-release-link
    """
    assets = there.get("assets")
    links = assets.get("links") if isinstance(assets, dict) else None
    if not isinstance(links, list):
        return
    known = {one.get("name") for one in links if isinstance(one, dict)}
    for link in wanted:
        if link["name"] not in known:
            api.gitlab("POST", url, token, link)


def _body(api: Api, tag: str, of: Sequence[Promotion], sha: str) -> dict[str, Any]:
    titles = [f"{one.model} {one.version}" for one in of]
    cards = [responses.card(api.card(one.model, one.version)) for one in of]
    return {
        "name": ", ".join(titles)[:_LONGEST_NAME],
        "tag_name": tag,
        "ref": sha,
        "description": "\n\n".join(cards),
        "assets": {
            "links": [
                {"name": title[:_LONGEST_NAME], "url": one.url, "link_type": "other"}
                for title, one in zip(titles, of, strict=True)
                if one.url
            ]
        },
    }
