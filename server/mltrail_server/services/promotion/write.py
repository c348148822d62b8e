"""Carry out a promotion: version, alias and promotion in one transaction, or none of them.

What a promotion is asked for, what is known before it is done, and what became of it.
"""

from dataclasses import dataclass

from mltrail_server.domain import paths
from mltrail_server.domain.bump import Step
from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.champion_check import ChampionComparison
from mltrail_server.domain.direction import Better
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.grouping import Run
from mltrail_server.domain.semver import Bump, Semver
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

from . import numbering, provenance
from .choose import Choice, Choices
from .numbering import Used


@dataclass(frozen=True, slots=True)
class Wish:
    """What a promotion shall do, for a pipeline or, where a person asks, for one candidate. `bump` None is decided by
    what changed; `version` overrides it. `alias` None is the contract's, else `champion`; "" is none.
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
class Promoted:
    """What became of one model. `state` is promoted, already, dry_run, refused or nothing; then `reason` says why.

    `floor` tells how it compares with the version that the alias pointed at. Where the pipeline has promoted before,
    `holder` is the version that the alias points at now.
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
    floor: ChampionComparison | None = None
    holder: str | None = None
    holder_url: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is known before the transaction, in which only what may have changed meanwhile is looked at again.

    `champion` is the number of the version that the alias pointed at when `floor` was computed.
    """

    wish: Wish
    choices: Choices
    choice: Choice
    winner: Run
    held: ModelFiles
    step: Step | None
    alias: str | None
    approvers: tuple[str, ...] = ()
    floor: ChampionComparison | None = None
    champion: int | None = None


def number_of(plan: Plan, used: Used) -> tuple[str, str, Semver]:
    told = numbering.Foreseen(plan.wish.version, plan.wish.bump)
    called, reason, version = numbering.choose(plan.choices.pipeline, told, plan.step, used)
    return called, reason, numbering.pre_release(version, used) if plan.wish.pre_release else version


def sentence_of(  # noqa: PLR0913 - all that the answer tells
    scope: Scope,
    plan: Plan,
    state: str,
    version: Semver,
    called: str,
    reason: str,
    *,
    replaces: str | None,
    number: int | None = None,
) -> Promoted:
    return Promoted(
        state,
        plan.choice.model,
        plan.alias,
        reason,
        str(version),
        number,
        called,
        replaces,
        plan.winner.iid,
        plan.winner.name,
        plan.choice.merge_request_iid,
        links.version(scope.deps.settings, scope.actor.project_path, plan.choice.model, str(version)),
        plan.floor,
    )


class AliasMovedError(MltrailError):
    """The alias points at another version than the one that the winner was compared with."""

    def __init__(self) -> None:
        super().__init__(Code.CONFLICT, "The alias was moved while the run was being compared. Ask again.")


def settled(  # noqa: PLR0917 - what a promotion is about
    tx: Transaction, scope: Scope, wish: Wish, choices: Choices, model: str, model_id: int | None, alias: str | None
) -> Promoted | None:
    """Tell what earlier promotions leave to do: nothing, where this pipeline or a newer one has promoted."""
    if model_id is None:
        return None
    before = promotions.of_pipeline(tx, model_id, choices.pipeline.id)
    if before is None and choices.only is not None:
        before = promotions.of_candidate(tx, model_id, choices.only)
    if before is not None and before.pre_release and not wish.pre_release:
        told = f"it is the pre-release {before.semver}; promote by a pipeline of the branch that it was merged into"
        return Promoted("refused", model, alias, told)
    if before is not None:
        holder = _held(tx, model_id, before.alias)
        return Promoted(
            "already",
            model,
            before.alias if holder else None,
            before.reason,
            before.semver,
            before.number,
            before.bump,
            candidate_iid=before.candidate_iid,
            merge_request_iid=before.merge_request_iid,
            url=links.version(scope.deps.settings, scope.actor.project_path, model, before.semver),
            holder=holder,
            holder_url=holder and links.version(scope.deps.settings, scope.actor.project_path, model, holder),
        )
    newest = promotions.newest(tx, model_id)
    if not wish.pre_release and newest is not None and newest.pipeline_id > choices.pipeline.id:
        told = f"the newer pipeline {newest.pipeline_id} has promoted {newest.semver} already"
        return Promoted("nothing", model, alias, told)
    return None


def planned(tx: Transaction, scope: Scope, plan: Plan, model_id: int | None) -> Promoted:
    used = numbering.used(tx, model_id) if model_id is not None else numbering.Used()
    called, reason, version = number_of(plan, used)
    return sentence_of(scope, plan, "dry_run", version, called, reason, replaces=_replaced(tx, plan, model_id))


def carried_out(tx: Transaction, scope: Scope, plan: Plan) -> Promoted:
    name = plan.choice.model
    model_id = _model_id(tx, scope, name)
    model_store.lock(tx, model_id)
    before = settled(tx, scope, plan.wish, plan.choices, name, model_id, plan.alias)
    if before is not None:
        return before
    if plan.alias is not None and alias_store.target(tx, model_id, plan.alias) != plan.champion:
        raise AliasMovedError
    candidate = _unchanged(tx, plan)
    called, reason, version = number_of(plan, numbering.used(tx, model_id))
    replaces = _replaced(tx, plan, model_id)
    # The version gets names of its own for the files as they are now: whatever becomes of the run, they stay.
    folder = paths.of_promotion(plan.choices.pipeline.id, plan.winner.iid).folder
    files.copy(tx, plan.held.files, source=plan.held.location, target=folder)
    new = NewVersion(
        semver=str(version),
        candidate_iid=candidate.iid,
        logged_model_id=plan.held.logged_model_id,
        source=plan.held.source,
        location=folder,
        run_link=None,
        description=None,
        user_name=scope.actor.user_name,
        promoted=not plan.wish.pre_release,
    )
    number = versions.create_promoted(tx, model_id, name, new)
    candidates.change(tx, candidate.iid, promoted=True)
    made = _promotion(scope, plan, model_id=model_id, number=number, semver=new.semver, called=called, reason=reason)
    if plan.alias is not None:
        aliases.move(
            tx,
            scope,
            model_id,
            plan.alias,
            number,
            expected_from=alias_store.target(tx, model_id, plan.alias),
            pipeline_id=plan.choices.pipeline.id,
            reason=f"promoted {version} ({called}: {reason})",
        )
    attestation = provenance.made(
        tx,
        scope,
        made,
        candidate,
        plan.held,
        evidence_iid=plan.winner.evidence_iid,
        model=name,
        approvers=plan.approvers,
    )
    promotions.add(tx, made, attestation=attestation)
    version_id = version_store.id_of(tx, model_id, number)
    due.mark(tx, kind=due.PROMOTION, key=version_id, at=tx.now)
    return sentence_of(scope, plan, "promoted", version, called, reason, replaces=replaces, number=number)


def _model_id(tx: Transaction, scope: Scope, name: str) -> int:
    """Find the model or make it; another promotion may make it at the same moment."""
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


def _unchanged(tx: Transaction, plan: Plan) -> Candidate:
    """Hold the candidate until the end, and see that nobody has written to it since it was checked."""
    found = candidates.get_by_iid(tx, plan.winner.iid)
    held = candidates.get_to_write(tx, found.eid) if found is not None else None
    now = files.below(tx, plan.held.location)
    same = {file.path: file.blob_id for file in now} == {file.path: file.blob_id for file in plan.held.files}
    if held is None or held.discarded or held.stage is Stage.DELETED or not same:
        raise MltrailError(
            Code.CONFLICT,
            f"Somebody has changed the run {plan.winner.name} while it was being checked. Look at it, and ask again.",
        )
    return held


def _promotion(
    scope: Scope, plan: Plan, *, model_id: int, number: int, semver: str, called: str, reason: str
) -> Promotion:
    job = scope.actor.job
    return Promotion(
        model_id,
        plan.choices.pipeline.id,
        number,
        semver,
        plan.wish.pre_release,
        plan.alias,
        plan.winner.iid,
        plan.choice.trained_in,
        plan.choice.merge_request_iid,
        job.job_id if job is not None else None,
        called,
        reason,
        scope.actor.user_name,
        scope.now,
    )


def _replaced(tx: Transaction, plan: Plan, model_id: int | None) -> str | None:
    """Name the version that the alias points at now."""
    return _held(tx, model_id, plan.alias)


def _held(tx: Transaction, model_id: int | None, alias: str | None) -> str | None:
    if model_id is None or alias is None:
        return None
    number = alias_store.target(tx, model_id, alias)
    found = version_store.get(tx, model_id, number) if number is not None else None
    return found.semver if found else None
