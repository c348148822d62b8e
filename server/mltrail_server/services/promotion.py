"""Make the best candidate a model version that says where it came from, with an alias. Two ways in: a pipeline's job,
and a person. What both want is checked alike.
"""

from dataclasses import replace

import sqlalchemy as sa

from mltrail_contract import Promote
from mltrail_server.domain import ci
from mltrail_server.domain.errors import MltrailError, invalid
from mltrail_server.domain.model import check_alias, check_name
from mltrail_server.gitlab.client import GitLab
from mltrail_server.store import aliases as alias_store
from mltrail_server.store import blobs
from mltrail_server.store import models as model_store

from . import (
    digests,
    integrity,
    model_files,
    numbering,
    promotion_choice,
    promotion_floor,
    promotion_rights,
    promotion_winner,
    promotion_write,
    trees,
)
from .deps import Scope, gitlab_of
from .model_files import Held
from .promotion_choice import Choice, Choices
from .promotion_plan import Plan, Promoted, Wish
from .promotion_winner import Without
from .promotion_write import AliasMovedError

_CLOCKS_MS = 120_000
"""So far GitLab's clock and ours may be apart."""

_MOST_TRIES = 3


def promote(scope: Scope, wish: Wish) -> list[Promoted]:
    """Promote the best candidate of each model of a pipeline (or of one model), or the candidate that is named.

    One promotion a model and pipeline: asked again, it answers the same. Raises FORBIDDEN when the caller may not, or
    when the pipeline does not promote.
    """
    if wish.alias:
        check_alias(wish.alias)
    if (wish.pipeline_id is None) == (wish.candidate_iid is None):
        raise invalid("Name either a pipeline (`pipeline_id`) or a run (`candidate`) to promote.")
    if wish.candidate_iid is not None and scope.actor.job is not None:
        raise invalid("A job promotes for its pipeline: give `pipeline_id`, and `rank_by` to choose among its runs.")
    promotion_rights.check(scope, wish.pipeline_id or 0, pre_release=wish.pre_release)
    gitlab = gitlab_of(scope.deps)
    if wish.candidate_iid is not None:
        choices = promotion_choice.of_candidate(scope, gitlab, wish.candidate_iid, model=wish.model)
    else:
        choices = promotion_choice.of_pipeline(
            scope, gitlab, wish.pipeline_id or 0, model=wish.model, pre_release=wish.pre_release
        )
    return [_promote(scope, gitlab, wish, choices, one) for one in choices.models]


def _promote(scope: Scope, gitlab: GitLab, wish: Wish, choices: Choices, choice: Choice) -> Promoted:
    """Promote one model. Where its alias moves meanwhile, the winner is held against the new champion."""
    for _ in range(_MOST_TRIES - 1):
        try:
            return _tried(scope, gitlab, wish, choices, choice)
        except AliasMovedError:
            continue
    return _tried(scope, gitlab, wish, choices, choice)


def _tried(  # noqa: PLR0911 - one way out for each reason why not
    scope: Scope, gitlab: GitLab, wish: Wish, choices: Choices, choice: Choice
) -> Promoted:
    alias = _alias(wish, choice)
    with scope.deps.db.read() as connection:
        model_id = model_store.id_of(connection, scope.project_id, choice.model)
        settled = promotion_write.settled(connection, scope, wish, choices, choice.model, model_id, alias)
    if settled is not None:
        return settled
    if choice.problem:
        return Promoted("refused" if choice.refused else "nothing", choice.model, alias, choice.problem)
    unfit = _unfit(choice.model)
    if unfit:
        return Promoted("nothing", choice.model, alias, unfit)
    won = promotion_winner.choose(
        choice.terms, choice.runs, only=choices.only, rank_by=wish.rank_by, better=wish.better
    )
    if isinstance(won, Without):
        return Promoted("refused" if won.asks else "nothing", choice.model, alias, won.reason)
    winner = won.run
    with scope.deps.db.read() as connection:
        held = model_files.of_candidate(connection, scope.project_id, winner.iid, snapshot_iid=winner.snapshot_iid)
    if held is None:
        return Promoted("nothing", choice.model, alias, f"the best run, {winner.name}, has logged no model")
    broken = integrity.broken(scope.deps, scope.project_id, held.files)
    if broken:
        told = f"the stored bytes of {broken} are not those that were logged, so nobody can vouch for them; train again"
        return Promoted("refused", choice.model, alias, told)
    held = replace(held, files=tuple(digests.known(scope.deps, scope.project_id, held.files)))
    # Remembered now, so that the next version can tell whether the code is another.
    trees.of_pipeline(scope.deps, gitlab, scope.project_id, choices.pipeline.id, choices.pipeline.sha)
    request = _request(scope, gitlab, choices, choice)
    if choice.merge_request_iid is not None and _came_after(scope, request, held):
        told = "files of the reviewed candidate's model came after the merge, so nobody has reviewed them; train again"
        return Promoted("refused", choice.model, alias, told)
    with scope.deps.db.read() as connection:
        compared_with = _target(connection, scope, model_id, alias)
        beside = promotion_floor.of(
            connection,
            scope.project_id,
            won,
            choice.terms,
            contract=choices.contract,
            alias=alias or _default_alias(choice),
            branch=choices.project.default_branch or choices.pipeline.ref,
            better=wish.better,
        )
    worse = promotion_floor.refusal(beside, choice.terms, alias) if alias else ""
    if worse:
        return Promoted("refused", choice.model, alias, worse, floor=beside)
    step = numbering.step(
        scope,
        gitlab,
        choices.pipeline,
        choice.terms,
        model_id=model_id,
        winner=winner,
        held=held,
        wish=wish.bump,
        request=request,
    )
    approvers = _approvers(scope, gitlab, request)
    plan = Plan(wish, choices, choice, winner, held, step, alias, approvers, beside, compared_with)
    if wish.dry_run:
        with scope.deps.db.read() as connection:
            return promotion_write.planned(connection, scope, plan, model_id)
    with scope.deps.db.write() as connection:
        return promotion_write.carried_out(connection, scope, plan)


def _alias(wish: Wish, choice: Choice) -> str | None:
    """Tell which alias moves: a pre-release moves none, nor does who asks for none."""
    if wish.pre_release or wish.alias == "":
        return None
    return wish.alias or (choice.terms.promote.alias if choice.terms.promote else None)


def _default_alias(choice: Choice) -> str:
    """Name the alias of what a version without an alias is shown beside."""
    return (choice.terms.promote or Promote()).alias


def _target(connection: sa.Connection, scope: Scope, model_id: int | None, alias: str | None) -> int | None:
    if model_id is None or alias is None:
        return None
    return alias_store.target(connection, scope.project_id, model_id, alias)


def _request(scope: Scope, gitlab: GitLab, choices: Choices, choice: Choice) -> ci.MergeRequest | None:
    """Find the merge request that brought what is promoted; None without GitLab's answer, which is no hindrance."""
    try:
        if choice.merge_request_iid is not None:
            return gitlab.merge_request(scope.project_id, choice.merge_request_iid)
        found = gitlab.commit_merge_requests(scope.project_id, choices.pipeline.sha)
    except MltrailError:
        return None
    return max(found, key=lambda one: one.iid, default=None)


def _came_after(scope: Scope, request: ci.MergeRequest | None, held: Held) -> bool:
    """Tell whether a model has files that are younger than the merge: a job of its pipeline may be started any time."""
    if request is None or request.merged_ms is None:
        return False
    with scope.deps.db.read() as connection:
        newest = blobs.newest_ms(connection, scope.project_id, [file.blob_id for file in held.files])
    return newest is not None and newest > request.merged_ms + _CLOCKS_MS


def _approvers(scope: Scope, gitlab: GitLab, request: ci.MergeRequest | None) -> tuple[str, ...]:
    try:
        return tuple(gitlab.approvers(scope.project_id, request.iid)) if request is not None else ()
    except MltrailError:
        return ()


def _unfit(name: str) -> str:
    """Say why an experiment's name can't be a model's; "" when it can. It must not keep other models from promotion."""
    try:
        check_name(name)
    except MltrailError as error:
        return error.message
    return ""
