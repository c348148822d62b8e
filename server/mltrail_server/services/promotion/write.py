"""Write a promotion: version, alias and statement in one transaction, or none of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mltrail_server.domain import paths
from mltrail_server.domain.bump import Step
from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.champion_check import ChampionComparison
from mltrail_server.domain.direction import Better
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.grouping import Run
from mltrail_server.domain.semver import Bump
from mltrail_server.services.context import links
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.files.model_files import ModelFiles
from mltrail_server.services.registry import aliases, models, versions
from mltrail_server.store.ci import due
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files import files
from mltrail_server.store.promotion import promotions
from mltrail_server.store.promotion.promotions import Promotion
from mltrail_server.store.registry import aliases as alias_store
from mltrail_server.store.registry import models as model_store
from mltrail_server.store.registry import versions as version_store
from mltrail_server.store.registry.versions import NewVersion
from mltrail_server.store.tracking import candidates
from mltrail_server.store.tracking.candidates import Candidate

from . import numbering, prompts, provenance
from .choose import Choice, Choices
from .numbering import NextVersion, UsedSemvers
from .prompts import PromptMove


@dataclass(frozen=True, slots=True)
class PromotionRequest:
    """What is to be promoted: a pipeline's best run or, if a person asks, one run. `bump` None means that what changed
    decides; `version` overrides it. `alias` None means the contract's, else `champion`; "" means none.
    """

    pipeline_id: int | None = None
    candidate_iid: int | None = None
    model: str | None = None
    alias: str | None = None
    rank_by: str | None = None
    better: Better | None = None
    bump: Bump | None = None
    version: str | None = None
    pre_release: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class PromotionResult:
    """What became of one model. `state` is promoted, already, dry_run, refused or nothing; then `reason` says why.

    `comparison` is with the version that the alias pointed at. If the pipeline has promoted before, `holder` is the
    version that the alias points at now. `prompts` are those whose aliases moved with it.
    """

    state: str
    model: str
    alias: str | None
    reason: str
    version: str | None = None
    number: int | None = None
    bump: str | None = None
    replaces: str | None = None
    candidate_iid: int | None = None
    candidate_name: str | None = None
    merge_request_iid: int | None = None
    url: str | None = None
    comparison: ChampionComparison | None = None
    holder: str | None = None
    holder_url: str | None = None
    prompts: Sequence[PromptMove] = ()


@dataclass(frozen=True, slots=True)
class PromotionPlan:
    """All that is known before the transaction, which checks again only what may have changed since.

    `logged` is the model that the winner has logged. `champion` is the number of the version that the alias pointed at
    when `comparison` was made. `prompts` are the aliases of prompts that move with it.
    """

    request: PromotionRequest
    choices: Choices
    choice: Choice
    winner: Run
    logged: ModelFiles
    step: Step | None
    alias: str | None
    approvers: tuple[str, ...] = ()
    comparison: ChampionComparison | None = None
    champion: int | None = None
    prompts: Sequence[PromptMove] = ()


class AliasMovedError(MltrailError):
    """The alias points at another version than the one that the winner was compared with."""

    def __init__(self) -> None:
        super().__init__(Code.CONFLICT, "The alias was moved while the run was being compared. Ask again.")


def earlier_result(  # noqa: PLR0913 - what is asked for, each by its name
    tx: Transaction,
    scope: Scope,
    request: PromotionRequest,
    *,
    pipeline_id: int,
    only: int | None,
    model: str,
    model_id: int | None,
    alias: str | None,
) -> PromotionResult | None:
    """Return the result if there is nothing left to do, since this pipeline or a newer one has promoted the model.
    `only` is the run that somebody has named.
    """
    if model_id is None:
        return None
    before = promotions.of_pipeline(tx, model_id, pipeline_id)
    if before is None and only is not None:
        before = promotions.of_candidate(tx, model_id, only)
    if before is not None and before.pre_release and not request.pre_release:
        reason = f"it is the pre-release {before.semver}; promote by a pipeline of the branch that it was merged into"
        return PromotionResult("refused", model, alias, reason)
    if before is not None:
        return _already(tx, scope, before, model)
    newest = promotions.newest(tx, model_id)
    if not request.pre_release and newest is not None and newest.pipeline_id > pipeline_id:
        reason = f"the newer pipeline {newest.pipeline_id} has promoted {newest.semver} already"
        return PromotionResult("nothing", model, alias, reason)
    return None


def _already(tx: Transaction, scope: Scope, before: Promotion, model: str) -> PromotionResult:
    """Return the same result again as when the pipeline promoted the model."""
    held_by = holder(tx, before.model_id, before.alias)
    return PromotionResult(
        "already",
        model,
        before.alias if held_by else None,
        before.reason,
        before.semver,
        before.number,
        before.bump,
        candidate_iid=before.candidate_iid,
        merge_request_iid=before.merge_request_iid,
        url=links.version(scope.deps.settings, scope.actor.project_path, model, before.semver),
        holder=held_by,
        holder_url=held_by and links.version(scope.deps.settings, scope.actor.project_path, model, held_by),
    )


def dry_run(tx: Transaction, scope: Scope, plan: PromotionPlan, model_id: int | None) -> PromotionResult:
    """Return what `carry_out` would do now."""
    used = numbering.used_semvers(tx, model_id) if model_id is not None else UsedSemvers()
    return _result(scope, plan, "dry_run", _next_version(plan, used), replaces=holder(tx, model_id, plan.alias))


def carry_out(tx: Transaction, scope: Scope, plan: PromotionPlan) -> PromotionResult:
    """Promote. Raises CONFLICT if the run has changed since it was checked, AliasMovedError if the champion has."""
    name = plan.choice.model
    model_id = _model_id(tx, scope, name)
    model_store.lock(tx, model_id)
    before = earlier_result(
        tx,
        scope,
        plan.request,
        pipeline_id=plan.choices.pipeline.id,
        only=plan.choices.only,
        model=name,
        model_id=model_id,
        alias=plan.alias,
    )
    if before is not None:
        return before
    if plan.alias is not None and alias_store.target(tx, model_id, plan.alias) != plan.champion:
        raise AliasMovedError
    if prompts.have_moved(tx, plan.prompts):
        raise AliasMovedError
    candidate = _unchanged(tx, plan)
    following = _next_version(plan, numbering.used_semvers(tx, model_id))
    replaces = holder(tx, model_id, plan.alias)
    # The version gets file names of its own for the files as they are now: they stay, whatever becomes of the run.
    folder = paths.of_promotion(plan.choices.pipeline.id, plan.winner.iid).folder
    files.copy(tx, plan.logged.files, source=plan.logged.location, target=folder)
    semver = str(following.semver)
    new = NewVersion(
        semver=semver,
        candidate_iid=candidate.iid,
        logged_model_id=plan.logged.logged_model_id,
        source=plan.logged.source,
        location=folder,
        run_link=None,
        description=None,
        user_name=scope.actor.user_name,
        promoted=not plan.request.pre_release,
    )
    number = versions.create_promoted(tx, model_id, name, new)
    candidates.change(tx, candidate.iid, promoted=True)
    promotion = _promotion(scope, plan, following, model_id=model_id, number=number, semver=semver)
    if plan.alias is not None:
        aliases.move(
            tx,
            scope,
            model_id,
            plan.alias,
            number,
            expected_from=alias_store.target(tx, model_id, plan.alias),
            pipeline_id=plan.choices.pipeline.id,
            reason=f"promoted {semver} ({following.bump}: {following.reason})",
        )
    attestation = provenance.attest(
        tx,
        scope,
        promotion,
        candidate,
        plan.logged,
        evidence_iid=plan.winner.evidence_iid,
        model=name,
        approvers=plan.approvers,
        evaluation=plan.choice.policy.promote.needs_evaluation if plan.choice.policy.promote else None,
        prompts=plan.prompts,
    )
    promotions.add(tx, promotion, attestation=attestation)
    prompts.carry_out(tx, scope, plan.prompts, promotion, name)
    version_id = version_store.id_of(tx, model_id, number)
    due.mark(tx, kind=due.PROMOTION, key=version_id, at=tx.now)
    return _result(scope, plan, "promoted", following, replaces=replaces, number=number)


def _next_version(plan: PromotionPlan, used: UsedSemvers) -> NextVersion:
    requested = numbering.RequestedNumber(plan.request.version, plan.request.bump)
    following = numbering.choose(plan.choices.pipeline, requested, plan.step, used)
    if plan.request.pre_release:
        return replace(following, semver=numbering.pre_release(following.semver, used))
    return following


def _result(
    scope: Scope,
    plan: PromotionPlan,
    state: str,
    following: NextVersion,
    *,
    replaces: str | None,
    number: int | None = None,
) -> PromotionResult:
    version = str(following.semver)
    return PromotionResult(
        state,
        plan.choice.model,
        plan.alias,
        following.reason,
        version,
        number,
        following.bump,
        replaces,
        plan.winner.iid,
        plan.winner.name,
        plan.choice.merge_request_iid,
        links.version(scope.deps.settings, scope.actor.project_path, plan.choice.model, version),
        plan.comparison,
        prompts=plan.prompts,
    )


def _model_id(tx: Transaction, scope: Scope, name: str) -> int:
    """Find the model or create it. Another promotion may create it at the same moment."""
    found = model_store.id_of(tx, name)
    if found is not None:
        return found
    try:
        return models.make(tx, scope, name=name, description=None, tags={})
    except MltrailError as error:
        other = model_store.id_of(tx, name)
        if error.code is not Code.ALREADY_EXISTS or other is None:
            raise
        return other


def _unchanged(tx: Transaction, plan: PromotionPlan) -> Candidate:
    """Lock the candidate until the end. Raises CONFLICT if somebody has written to it since it was checked."""
    found = candidates.get_by_iid(tx, plan.winner.iid)
    locked = candidates.get_to_write(tx, found.eid) if found is not None else None
    now = files.below(tx, plan.logged.location)
    same = {file.path: file.blob_id for file in now} == {file.path: file.blob_id for file in plan.logged.files}
    if locked is None or locked.discarded or locked.stage is Stage.DELETED or not same:
        raise MltrailError(
            Code.CONFLICT,
            f"Somebody has changed the run {plan.winner.name} while it was being checked. Look at it, and ask again.",
        )
    return locked


def _promotion(
    scope: Scope, plan: PromotionPlan, following: NextVersion, *, model_id: int, number: int, semver: str
) -> Promotion:
    job = scope.actor.job
    return Promotion(
        model_id,
        plan.choices.pipeline.id,
        number,
        semver,
        plan.request.pre_release,
        plan.alias,
        plan.winner.iid,
        plan.choice.trained_in,
        plan.choice.merge_request_iid,
        job.job_id if job is not None else None,
        following.bump,
        following.reason,
        scope.actor.user_name,
        scope.now,
    )


def holder(tx: Transaction, model_id: int | None, alias: str | None) -> str | None:
    """Return the semver of the version that an alias points at now."""
    if model_id is None or alias is None:
        return None
    number = alias_store.target(tx, model_id, alias)
    found = version_store.get(tx, model_id, number) if number is not None else None
    return found.semver if found else None
