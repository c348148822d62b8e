"""Make the best candidate a model version that says where it came from, with an alias.

Three ways in: a pipeline's job; a person; and a client that registers a version as GitLab's `create_model_version`
does, where a Maintainer who names a job's run promotes that run. What all of them want is checked alike.
"""

from collections.abc import Mapping
from dataclasses import replace

from mltrail_contract import Promote
from mltrail_server.domain import gitlab_ci
from mltrail_server.domain.errors import Code, MltrailError, invalid
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

from . import choose, numbering, ranking, rights, write
from .choose import Choice, Choices
from .ranking import Without
from .write import AliasMovedError, Plan, Promoted, Wish

_CLOCKS_MS = 120_000
"""Allowed clock difference between GitLab and this server."""

_MOST_TRIES = 3


def promote(scope: Scope, wish: Wish) -> list[Promoted]:
    """Promote the best candidate of each model of a pipeline (or of one model), or the candidate that is named.

    One promotion a model and pipeline: asked again, it answers the same. Raises FORBIDDEN when the caller may not, or
    when the pipeline does not promote.
    """
    if wish.alias:
        check_alias(wish.alias)
    if (wish.pipeline_id is None) == (wish.candidate_iid is None):
        raise invalid(Reason.NOTHING_TO_PROMOTE)
    if wish.candidate_iid is not None and scope.actor.job is not None:
        raise invalid(Reason.JOB_PROMOTES_PIPELINE)
    rights.check(scope, wish.pipeline_id or 0, pre_release=wish.pre_release)
    ci = scope.ci
    if wish.candidate_iid is not None:
        choices = choose.of_candidate(scope, ci, wish.candidate_iid, model=wish.model)
    else:
        choices = choose.of_pipeline(scope, ci, wish.pipeline_id or 0, model=wish.model, pre_release=wish.pre_release)
    return [_promote(scope, ci, wish, choices, one) for one in choices.models]


def _promote(scope: Scope, ci: Ci, wish: Wish, choices: Choices, choice: Choice) -> Promoted:
    """Promote one model. Where its alias moves meanwhile, the winner is held against the new champion."""
    for _ in range(_MOST_TRIES - 1):
        try:
            return _tried(scope, ci, wish, choices, choice)
        except AliasMovedError:
            continue
    return _tried(scope, ci, wish, choices, choice)


def _tried(  # noqa: PLR0911 - one way out for each reason why not
    scope: Scope, ci: Ci, wish: Wish, choices: Choices, choice: Choice
) -> Promoted:
    alias = _alias(wish, choice)
    with scope.project.read() as tx:
        model_id = model_store.id_of(tx, choice.model)
        settled = write.settled(tx, scope, wish, choices, choice.model, model_id, alias)
    if settled is not None:
        return settled
    if choice.problem:
        return Promoted("refused" if choice.refused else "nothing", choice.model, alias, choice.problem)
    unfit = _unfit(choice.model)
    if unfit:
        return Promoted("nothing", choice.model, alias, unfit)
    won = ranking.choose(choice.terms, choice.runs, only=choices.only, rank_by=wish.rank_by, better=wish.better)
    if isinstance(won, Without):
        return Promoted("refused" if won.asks else "nothing", choice.model, alias, won.reason)
    winner = won.run
    with scope.project.read() as tx:
        held = model_files.of_candidate(tx, winner.iid, snapshot_iid=winner.snapshot_iid)
    if held is None:
        return Promoted("nothing", choice.model, alias, f"the best run, {winner.name}, has logged no model")
    broken = integrity.broken(scope.deps, scope.project_id, held.files)
    if broken:
        told = f"the stored bytes of {broken} are not those that were logged, so nobody can vouch for them; train again"
        return Promoted("refused", choice.model, alias, told)
    held = replace(held, files=tuple(integrity.with_digests(scope.deps, scope.project_id, held.files)))
    # Remembered now, so that the next version can tell whether the code is another.
    trees.of_pipeline(ci, choices.pipeline.id, choices.pipeline.sha)
    request = _request(scope, ci, choices, choice)
    if choice.merge_request_iid is not None and _came_after(scope, request, held):
        told = "files of the reviewed candidate's model came after the merge, so nobody has reviewed them; train again"
        return Promoted("refused", choice.model, alias, told)
    with scope.project.read() as tx:
        compared_with = _target(tx, model_id, alias)
        beside = ranking.beside_champion(
            tx,
            won,
            choice.terms,
            contract=choices.contract,
            alias=alias or _default_alias(choice),
            branch=choices.project.default_branch or choices.pipeline.ref,
            better=wish.better,
        )
    worse = ranking.floor_refusal(beside, choice.terms, alias) if alias else ""
    if worse:
        return Promoted("refused", choice.model, alias, worse, floor=beside)
    step = numbering.step(
        scope,
        ci,
        choices.pipeline,
        choice.terms,
        model_id=model_id,
        winner=winner,
        held=held,
        wish=wish.bump,
        request=request,
    )
    approvers = _approvers(scope, ci, request)
    plan = Plan(wish, choices, choice, winner, held, step, alias, approvers, beside, compared_with)
    if wish.dry_run:
        with scope.project.read() as tx:
            return write.planned(tx, scope, plan, model_id)
    with scope.project.write() as tx:
        return write.carried_out(tx, scope, plan)


def _alias(wish: Wish, choice: Choice) -> str | None:
    """Tell which alias moves: a pre-release moves none, nor does who asks for none."""
    if wish.pre_release or wish.alias == "":
        return None
    return wish.alias or (choice.terms.promote.alias if choice.terms.promote else None)


def _default_alias(choice: Choice) -> str:
    """Name the alias of what a version without an alias is shown beside."""
    return (choice.terms.promote or Promote()).alias


def _target(tx: Transaction, model_id: int | None, alias: str | None) -> int | None:
    if model_id is None or alias is None:
        return None
    return alias_store.target(tx, model_id, alias)


def _request(scope: Scope, ci: Ci, choices: Choices, choice: Choice) -> gitlab_ci.MergeRequest | None:
    """Find the merge request that brought what is promoted; None without GitLab's answer, which is no hindrance."""
    try:
        if choice.merge_request_iid is not None:
            return ci.gitlab.merge_request(scope.project_id, choice.merge_request_iid)
        found = ci.gitlab.commit_merge_requests(scope.project_id, choices.pipeline.sha)
    except MltrailError:
        return None
    return max(found, key=lambda one: one.iid, default=None)


def _came_after(scope: Scope, request: gitlab_ci.MergeRequest | None, held: ModelFiles) -> bool:
    """Tell whether a model has files that are younger than the merge: a job of its pipeline may be started any time."""
    if request is None or request.merged_ms is None:
        return False
    with scope.project.read() as tx:
        newest = blobs.newest_ms(tx, [file.blob_id for file in held.files])
    return newest is not None and newest > request.merged_ms + _CLOCKS_MS


def _approvers(scope: Scope, ci: Ci, request: gitlab_ci.MergeRequest | None) -> tuple[str, ...]:
    try:
        return tuple(ci.gitlab.approvers(scope.project_id, request.iid)) if request is not None else ()
    except MltrailError:
        return ()


def _unfit(name: str) -> str:
    """Say why an experiment's name can't be a model's; "" when it can. It must not keep other models from promotion."""
    try:
        check_name(name)
    except MltrailError as error:
        return error.message
    return ""


_NO_PROMOTION = frozenset({Code.FORBIDDEN, Code.NOT_FOUND, Code.CONFLICT, Code.UNAVAILABLE, Code.INVALID})


def register(scope: Scope, name: str, request: VersionRequest, tags: Mapping[str, str]) -> Version:
    """Make a version. Raises what `versions.create` raises."""
    number = _promoted(scope, name, request, tags)
    if number is None:
        return versions.create(scope, name, request, tags)
    for key, value in tags.items():
        versions.set_tag(scope, name, str(number), key, value)
    return versions.describe(scope, name, str(number), request.description)


def _promoted(scope: Scope, name: str, request: VersionRequest, tags: Mapping[str, str]) -> int | None:
    """Promote the run that is named, without an alias; None where that is not possible or nobody asks for it."""
    actor = scope.actor
    if actor.job is not None or not actor.has_maintainer_rights or not request.eid:
        return None
    iid = _candidate(scope, request)
    if iid is None or tags.get(PROMPT_TAG) == "true":
        return None
    wish = Wish(candidate_iid=iid, model=name, alias="", version=tags.get(VERSION_TAG))
    try:
        (done,) = promote(scope, wish)
    except MltrailError as error:
        if error.code not in _NO_PROMOTION:
            raise
        return None
    return done.number if done.state == "promoted" else None


def _candidate(scope: Scope, request: VersionRequest) -> int | None:
    """Find the run, if it is its model that the source names."""
    with scope.project.read() as tx:
        found = candidates.get(tx, request.eid)
        if found is None or found.promoted:
            return None
        held = model_files.of_candidate(tx, found.iid)
        logged_model_id = request.logged_model_id or None
        try:
            origin = sources.resolve(tx, request.source, eid=request.eid, logged_model_id=logged_model_id)
        except MltrailError:
            return None
    root = f"{found.experiment_iid}/{found.eid}/artifacts"
    # GitLab's documented call gives a semver or nothing as source: the run as a whole.
    return found.iid if held is not None and origin.location in (held.location, root) else None
