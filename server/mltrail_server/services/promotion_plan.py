"""What a promotion is asked for, what is known before it is done, and what became of it."""

from dataclasses import dataclass

from mltrail_server.domain.bump import Step
from mltrail_server.domain.champion_check import ChampionComparison
from mltrail_server.domain.direction import Better
from mltrail_server.domain.grouping import Run
from mltrail_server.domain.semver import Bump, Semver

from . import links, numbering
from .deps import Scope
from .model_files import Held
from .numbering import Used
from .promotion_choice import Choice, Choices


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
    held: Held
    step: Step | None
    alias: str | None
    approvers: tuple[str, ...] = ()
    floor: ChampionComparison | None = None
    champion: int | None = None


def number_of(plan: Plan, used: Used) -> tuple[str, str, Semver]:
    told = numbering.Told(plan.wish.version, plan.wish.bump)
    called, reason, version = numbering.choose(plan.choices.pipeline, told, plan.step, used)
    return called, reason, numbering.pre_release(version, used) if plan.wish.pre_release else version


def told(
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
