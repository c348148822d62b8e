"""The comment on a merged merge request that says what became of it: one for each version, written by the worker."""

from collections.abc import Sequence
from dataclasses import dataclass

from mltrail_server.domain.bot import Task
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.markdown import Markdown, code, link
from mltrail_server.services.context import links
from mltrail_server.services.context.deps import Ci
from mltrail_server.store.ci import pipelines
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.identity import projects
from mltrail_server.store.promotion import promotions
from mltrail_server.store.promotion.promotions import Promotion
from mltrail_server.store.registry import versions as version_store
from mltrail_server.store.registry.versions import Version

from .publisher import KnownObject, Publication, Shown, Wanted, publish


def write(ci: Ci, version_id: int) -> None:
    """Comment on the merge request that brought a promoted version, unless that is done already or there is none.

    Raises what GitLab's refusal means.
    """
    with ci.project.read() as tx:
        version = version_store.get_by_id(tx, version_id)
        promotion = promotions.of_version(tx, version.model_id, version.number) if version else None
        pipeline = pipelines.get(tx, promotion.pipeline_id) if promotion else None
        path = projects.path_of(tx) or ""
        prompts = promotions.prompts_of(tx, promotion) if promotion else []
    if version is None or promotion is None or promotion.pre_release or pipeline is None:
        return
    iid = _merge_request(ci, promotion, pipeline.sha)
    if iid is not None:
        publish(PromotionComment(ci, iid, Promoted(version, promotion, path, prompts)), None)


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


@dataclass(frozen=True, slots=True)
class Promoted:
    version: Version
    promotion: Promotion
    path: str
    prompts: Sequence[tuple[str, int, str]] = ()  # name, version and alias of those that were promoted with it


class PromotionComment(Publication):
    """It is written once, and nothing is kept about it: what is in GitLab says whether it is done. Only the worker
    publishes it, and it has the version to itself.
    """

    task = Task.NOTE

    def __init__(self, ci: Ci, iid: int, promoted: Promoted) -> None:
        super().__init__(ci, promoted.promotion.pipeline_id, iid=iid, subject=None)
        self._iid, self._promoted = iid, promoted
        self._marker = f"<!-- mltrail promotion={promoted.version.id} -->"

    @property
    def name(self) -> str:
        return f"the comment on a promotion at !{self._iid}"

    def kept(self, tx: Transaction) -> KnownObject:  # noqa: ARG002 - nothing is kept
        return KnownObject()

    def wanted(self, tx: Transaction) -> Wanted:  # noqa: ARG002 - the promotion says it all
        return Wanted(self._body())

    def find(self) -> str | None:
        bot = self.ci.gitlab.bot_id(self.ci.project_id)
        every = self.ci.gitlab.notes(self.ci.project_id, self._iid)
        return next((str(one.id) for one in every if one.author_id == bot and one.body.startswith(self._marker)), None)

    def create(self, wanted: Wanted) -> Shown:
        return Shown(str(self.ci.gitlab.create_note(self.ci.project_id, self._iid, wanted.body).id))

    def update(self, number: str, wanted: Wanted) -> Shown:  # noqa: ARG002 - what was said about a version stays
        return Shown(number)

    def keep(self, tx: Transaction, shown: Shown) -> None:
        pass

    def _body(self) -> str:
        settings, path = self.ci.deps.settings, self._promoted.path
        version, promotion = self._promoted.version, self._promoted.promotion
        name = Markdown(f"{code(version.model_name)} {version.semver}")
        page = link(name, links.model(settings, path, version.model_name))
        pipeline = link(
            Markdown(f"pipeline {promotion.pipeline_id}"), links.pipeline(settings, path, promotion.pipeline_id)
        )
        reviewed = promotion.merge_request_iid is not None
        what = "The reviewed candidate" if reviewed else "What was trained after the merge"
        alias = f" and is {code(promotion.alias)} now" if promotion.alias else ""
        return (
            f"{self._marker}\n"
            f"📦 {what} became {page}{alias}, by {pipeline}.\n\n"
            f"{code(promotion.bump)}: {code(promotion.reason, most=200)}\n"
            f"{self._of_prompts()}"
        )

    def _of_prompts(self) -> str:
        settings, path = self.ci.deps.settings, self._promoted.path
        said = [
            f"\n{code(alias)} of the prompt {link(code(name), links.prompt(settings, path, name))} is now version "
            f"{number}.\n"
            for name, number, alias in self._promoted.prompts
        ]
        return "".join(said)
