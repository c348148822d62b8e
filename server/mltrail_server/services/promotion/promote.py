"""Promote the best candidate: make it a model version that says where it came from, with an alias.

There are three ways in: a pipeline's job; a person; and a client that registers a version as GitLab's
`create_model_version` does. If a Maintainer names a job's run there, that run is promoted. All are checked alike.
"""

from collections.abc import Mapping
from dataclasses import replace

from mltrail_contract import Promote
from mltrail_server.domain import gitlab_ci
from mltrail_server.domain.errors import Code, MltrailError, invalid
from mltrail_server.domain.grouping import Run
from mltrail_server.domain.model import PROMPT_TAG, VERSION_TAG, check_alias, check_name
from mltrail_server.domain.reasons import Reason
from mltrail_server.services.context.deps import Ci, Scope
from mltrail_server.services.files import integrity, model_files
from mltrail_server.services.files.model_files import ModelFiles
from mltrail_server.services.pipelines import trees
from mltrail_server.services.registry import sources, versions
from mltrail_server.services.registry.versions import VersionRequest
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files import blobs
from mltrail_server.store.registry import aliases as alias_store
from mltrail_server.store.registry import models as model_store
from mltrail_server.store.registry.versions import Version
from mltrail_server.store.tracking import candidates

from . import choose, evaluated, numbering, prompts, ranking, rights, write
from .choose import Choice, Choices
from .prompts import PromptMoves
from .ranking import NotPromoted, Winner
from .write import AliasMovedError, PromotionPlan, PromotionRequest, PromotionResult

_CLOCKS_MS = 120_000
"""Allowed clock difference between GitLab and this server."""

_MOST_TRIES = 3
_NO_PROMOTION = frozenset({Code.FORBIDDEN, Code.NOT_FOUND, Code.CONFLICT, Code.UNAVAILABLE, Code.INVALID})
"""Errors of a promotion after which a version is registered without one."""


def promote(scope: Scope, request: PromotionRequest) -> list[PromotionResult]:
    """Promote the best candidate of each model of a pipeline (or of one model), or the candidate that is named.

    There is one promotion per model and pipeline: asked again, this returns the same. Raises FORBIDDEN if the caller
    must not promote, or if the pipeline does not.
    """
    if request.alias:
        check_alias(request.alias)
    if (request.pipeline_id is None) == (request.candidate_iid is None):
        raise invalid(Reason.NOTHING_TO_PROMOTE)
    if request.candidate_iid is not None and scope.actor.job is not None:
        raise invalid(Reason.JOB_PROMOTES_PIPELINE)
    rights.check(scope, request.pipeline_id or 0, pre_release=request.pre_release)
    ci = scope.ci
    if request.candidate_iid is not None:
        choices = choose.from_run(scope, ci, request.candidate_iid, model=request.model)
    else:
        choices = choose.from_pipeline(
            scope, ci, request.pipeline_id or 0, model=request.model, pre_release=request.pre_release
        )
    return [_promote(scope, ci, request, choices, choice) for choice in choices.models]


def register(scope: Scope, name: str, request: VersionRequest, tags: Mapping[str, str]) -> Version:
    """Create a version, by promotion if that is possible. Raises what `versions.create` raises."""
    number = _promote_named_run(scope, name, request, tags)
    if number is None:
        return versions.create(scope, name, request, tags)
    for key, value in versions.without_mark(scope, tags).items():
        versions.set_tag(scope, name, str(number), key, value)
    return versions.describe(scope, name, str(number), request.description)


def _promote(scope: Scope, ci: Ci, request: PromotionRequest, choices: Choices, choice: Choice) -> PromotionResult:
    """Promote one model. If its alias moves in the meantime, the winner is compared with the new champion."""
    for _ in range(_MOST_TRIES - 1):
        try:
            return _promote_once(scope, ci, request, choices, choice)
        except AliasMovedError:
            continue
    return _promote_once(scope, ci, request, choices, choice)


def _promote_once(scope: Scope, ci: Ci, request: PromotionRequest, choices: Choices, choice: Choice) -> PromotionResult:
    alias = _alias(request, choice)
    with scope.project.read() as tx:
        model_id = model_store.id_of(tx, choice.model)
        before = write.earlier_result(
            tx,
            scope,
            request,
            pipeline_id=choices.pipeline.id,
            only=choices.only,
            model=choice.model,
            model_id=model_id,
            alias=alias,
        )
    if before is not None:
        return before
    plan = _plan(scope, ci, request, choices, choice, model_id=model_id, alias=alias)
    if isinstance(plan, NotPromoted):
        state = "refused" if plan.refused else "nothing"
        return PromotionResult(state, choice.model, alias, plan.reason, comparison=plan.comparison)
    if request.dry_run:
        with scope.project.read() as tx:
            return write.dry_run(tx, scope, plan, model_id)
    with scope.project.write() as tx:
        return write.carry_out(tx, scope, plan)


def _plan(
    scope: Scope,
    ci: Ci,
    request: PromotionRequest,
    choices: Choices,
    choice: Choice,
    *,
    model_id: int | None,
    alias: str | None,
) -> PromotionPlan | NotPromoted:
    """Check all that a promotion depends on, and compare the winner with the champion."""
    won = _winner(request, choices, choice)
    if isinstance(won, NotPromoted):
        return won
    logged = _logged_model(scope, won.run, choice)
    if isinstance(logged, NotPromoted):
        return logged
    # The digest is stored now, so that the next version can tell whether the code has changed.
    trees.of_pipeline(ci, choices.pipeline.id, choices.pipeline.sha)
    merge_request = _merge_request(ci, choices, choice)
    if choice.merge_request_iid is not None and _is_newer_than_merge(scope, merge_request, logged):
        why = "files of the reviewed candidate's model came after the merge, so nobody has reviewed them; train again"
        return NotPromoted(why, refused=True)
    with scope.project.read() as tx:
        unevaluated = evaluated.lacking(tx, won, choice.policy, choice.runs)
        moves = _prompt_moves(tx, won.run, choices, choice, alias)
    if unevaluated or moves.problem:
        return NotPromoted(unevaluated or moves.problem, refused=True)
    with scope.project.read() as tx:
        champion = _target(tx, model_id, alias)
        comparison = ranking.compare_with_champion(
            tx,
            won,
            choice.policy,
            contract=choices.contract,
            alias=alias or _default_alias(choice),
            branch=choices.project.default_branch or choices.pipeline.ref,
            better=request.better,
        )
    refusal = ranking.refusal(comparison, choice.policy, alias) if alias else ""
    if refusal:
        return NotPromoted(refusal, refused=True, comparison=comparison)
    step = numbering.step(
        ci,
        choices.pipeline,
        choice.policy,
        model_id=model_id,
        winner=won.run,
        logged=logged,
        requested=request.bump,
        request=merge_request,
    )
    approvers = _approvers(ci, merge_request)
    return PromotionPlan(
        request, choices, choice, won.run, logged, step, alias, approvers, comparison, champion, moves.moves
    )


def _alias(request: PromotionRequest, choice: Choice) -> str | None:
    """Return the alias that moves: none for a pre-release, or if the caller asks for none."""
    if request.pre_release or request.alias == "":
        return None
    return request.alias or (choice.policy.promote.alias if choice.policy.promote else None)


def _default_alias(choice: Choice) -> str:
    """Return the alias whose version a new version without an alias is compared with."""
    return (choice.policy.promote or Promote()).alias


def _prompt_moves(tx: Transaction, run: Run, choices: Choices, choice: Choice, alias: str | None) -> PromptMoves:
    """Find which aliases of prompts move: none unless the model's own alias does, as the contract names it."""
    promote = choice.policy.promote
    if promote is None or alias != promote.alias:
        return PromptMoves()
    return prompts.planned(tx, run, choice.policy, choices.pipeline.id)


def _target(tx: Transaction, model_id: int | None, alias: str | None) -> int | None:
    if model_id is None or alias is None:
        return None
    return alias_store.target(tx, model_id, alias)


def _winner(request: PromotionRequest, choices: Choices, choice: Choice) -> Winner | NotPromoted:
    """Choose the run to promote, or say why there is none."""
    if choice.problem:
        return NotPromoted(choice.problem, refused=choice.refused)
    unfit = _unfit(choice.model)
    if unfit:
        return NotPromoted(unfit)
    return ranking.choose(choice.policy, choice.runs, only=choices.only, rank_by=request.rank_by, better=request.better)


def _unfit(name: str) -> str:
    """Say why an experiment's name can't be a model's; "" if it can. It must not keep other models from promotion."""
    try:
        check_name(name)
    except MltrailError as error:
        return error.message
    return ""


def _logged_model(scope: Scope, winner: Run, choice: Choice) -> ModelFiles | NotPromoted:
    """Find the model that a run has logged, and check its stored bytes. A run that has loaded prompts which move with
    it needs none: then the version has all files of the run.
    """
    with scope.project.read() as tx:
        logged = model_files.of_candidate(tx, winner.iid, snapshot_iid=winner.snapshot_iid)
        if logged is None and prompts.loads_any(winner, choice.policy):
            logged = model_files.whole_run(tx, winner.iid, snapshot_iid=winner.snapshot_iid)
    if logged is None:
        return NotPromoted(f"the best run, {winner.name}, has logged no model")
    broken = integrity.broken(scope.deps, scope.project_id, logged.files)
    if broken:
        why = f"the stored bytes of {broken} are not those that were logged, so nobody can vouch for them; train again"
        return NotPromoted(why, refused=True)
    return replace(logged, files=tuple(integrity.with_digests(scope.deps, scope.project_id, logged.files)))


def _merge_request(ci: Ci, choices: Choices, choice: Choice) -> gitlab_ci.GitLabMergeRequest | None:
    """Find the merge request that brought what is promoted. None if GitLab does not answer, which is no obstacle."""
    try:
        if choice.merge_request_iid is not None:
            return ci.gitlab.merge_request(ci.project_id, choice.merge_request_iid)
        found = ci.gitlab.commit_merge_requests(ci.project_id, choices.pipeline.sha)
    except MltrailError:
        return None
    return max(found, key=lambda request: request.iid, default=None)


def _is_newer_than_merge(scope: Scope, request: gitlab_ci.GitLabMergeRequest | None, logged: ModelFiles) -> bool:
    """Whether a model has files that are newer than the merge: a job of its pipeline may be started at any time."""
    if request is None or request.merged_ms is None:
        return False
    with scope.project.read() as tx:
        newest = blobs.newest_ms(tx, [file.blob_id for file in logged.files])
    return newest is not None and newest > request.merged_ms + _CLOCKS_MS


def _approvers(ci: Ci, request: gitlab_ci.GitLabMergeRequest | None) -> tuple[str, ...]:
    try:
        return tuple(ci.gitlab.approvers(ci.project_id, request.iid)) if request is not None else ()
    except MltrailError:
        return ()


def _promote_named_run(scope: Scope, name: str, request: VersionRequest, tags: Mapping[str, str]) -> int | None:
    """Promote the run that the request names, without an alias; None if that is not possible, or not asked for."""
    actor = scope.actor
    if actor.job is not None or not actor.has_maintainer_rights or not request.eid:
        return None
    iid = _run_of_source(scope, request)
    if iid is None or tags.get(PROMPT_TAG) == "true":
        return None
    try:
        (result,) = promote(
            scope, PromotionRequest(candidate_iid=iid, model=name, alias="", version=tags.get(VERSION_TAG))
        )
    except MltrailError as error:
        if error.code not in _NO_PROMOTION:
            raise
        return None
    return result.number if result.state == "promoted" else None


def _run_of_source(scope: Scope, request: VersionRequest) -> int | None:
    """Find the run that the request names, if the source is that run's model."""
    with scope.project.read() as tx:
        run = candidates.get(tx, request.eid)
        if run is None or run.promoted:
            return None
        logged = model_files.of_candidate(tx, run.iid)
        logged_model_id = request.logged_model_id or None
        try:
            origin = sources.resolve(tx, request.source, eid=request.eid, logged_model_id=logged_model_id)
        except MltrailError:
            return None
    root = f"{run.experiment_iid}/{run.eid}/artifacts"
    # GitLab's documented call gives a semver or nothing as the source: that means the run as a whole.
    return run.iid if logged is not None and origin.location in (logged.location, root) else None
