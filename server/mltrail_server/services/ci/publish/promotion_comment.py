"""Tell a merged request what became of it: one comment a version, written by the worker."""

import re

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.markdown import Markdown, code, link
from mltrail_server.services.context import links
from mltrail_server.services.context.deps import Ci, Deps
from mltrail_server.store.ci import pipelines
from mltrail_server.store.identity import projects
from mltrail_server.store.promotion import promotions
from mltrail_server.store.promotion.promotions import Promotion
from mltrail_server.store.registry import versions as version_store
from mltrail_server.store.registry.versions import Version

_MARKER = re.compile(r"<!-- mltrail promotion=(\d+) -->")


def write(ci: Ci, version_id: int) -> None:
    """Comment on the merge request that brought a promoted version, unless that is done already or there is none.

    Raises what GitLab's refusal means.
    """
    with ci.project.read() as tx:
        version = version_store.get_by_id(tx, version_id)
        promotion = promotions.of_version(tx, version.model_id, version.number) if version else None
        pipeline = pipelines.get(tx, promotion.pipeline_id) if promotion else None
        path = projects.path_of(tx) or ""
    if version is None or promotion is None or promotion.pre_release or pipeline is None:
        return
    iid = _merge_request(ci, promotion, pipeline.sha)
    if iid is None or _stands(ci, iid, version_id):
        return
    ci.gitlab.create_note(ci.project_id, iid, _body(ci.deps, path, version, promotion))


def _merge_request(ci: Ci, promotion: Promotion, sha: str) -> int | None:
    if promotion.merge_request_iid is not None:
        return promotion.merge_request_iid
    try:
        found = ci.gitlab.commit_merge_requests(ci.project_id, sha)
    except MltrailError as error:
        if error.code is Code.NOT_FOUND:
            return None
        raise
    return max((one.iid for one in found if one.state == "merged"), default=None)


def _stands(ci: Ci, iid: int, version_id: int) -> bool:
    """Look for our comment: an answer may have been lost. Anybody can copy a marker, so it must be the bot's own."""
    bot = ci.gitlab.bot_id(ci.project_id)
    marks = (_MARKER.match(one.body) for one in ci.gitlab.notes(ci.project_id, iid) if one.author_id == bot)
    return any(mark is not None and int(mark[1]) == version_id for mark in marks)


def _body(deps: Deps, path: str, version: Version, promotion: Promotion) -> str:
    name = Markdown(f"{code(version.model_name)} {version.semver}")
    page = link(name, links.model(deps.settings, path, version.model_name))
    pipeline = link(
        Markdown(f"pipeline {promotion.pipeline_id}"), links.pipeline(deps.settings, path, promotion.pipeline_id)
    )
    what = "The reviewed candidate" if promotion.merge_request_iid is not None else "What was trained after the merge"
    alias = f" and is {code(promotion.alias)} now" if promotion.alias else ""
    return (
        f"<!-- mltrail promotion={version.id} -->\n"
        f"📦 {what} became {page}{alias}, by {pipeline}.\n\n"
        f"{code(promotion.bump)}: {code(promotion.reason, most=200)}\n"
    )
