"""Compare what would be promoted with the version that the alias points at, from what is stored."""

from collections.abc import Callable
from dataclasses import replace

import sqlalchemy as sa

from mltrail_contract import Contract
from mltrail_server.domain import champion_check, comparison
from mltrail_server.domain.champion_check import ChampionComparison
from mltrail_server.domain.direction import Better
from mltrail_server.domain.grouping import Run, RunState
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.selection import as_text
from mltrail_server.store import candidates

from . import baselines, pipeline_runs
from .promotion_winner import Winner
from .terms import Terms

_MOST_NAMED = 5


def of(
    connection: sa.Connection,
    project_id: ProjectId,
    winner: Winner,
    terms: Terms,
    *,
    contract: Contract | None,
    alias: str,
    branch: str,
    better: Better | None = None,
) -> ChampionComparison:
    """Hold a winner against the champion, in the ranking metric and in those that the contract has rules for. Where
    nobody has told what ranks, what ranked the champion counts, too.

    `branch` is the one whose pipelines show what chance does. Some fifteen statements.
    """
    model = terms.model
    against = baselines.of_alias(connection, project_id, model, alias, contract=contract, branch_of=branch)
    if against.version is None:
        return ChampionComparison(None, why_not="there is no version to compare with yet")
    runs = list(against.runs) or _alone(connection, project_id, against.version.candidate_iid)
    if not any(run.metrics for run in runs):
        return ChampionComparison(against.version.semver, why_not="no metric of the version that it replaces is known")
    if champion_check.other_data(model, winner.runs, runs):
        return ChampionComparison(
            against.version.semver, why_not="it was measured on other data, so the two are not compared"
        )
    compared = comparison.compare(
        [replace(run, parent_iid=None) for run in winner.runs],
        [replace(run, parent_iid=None) for run in runs],
        history=[earlier for _, earlier in against.history],
        model=replace(model, same_dataset=None),
        rank_by=winner.rank_by,
        better=better,
    )
    ranked = (
        champion_check.ranked_before(compared, winner.runs, model)
        if model.rank_by is None and not winner.told
        else None
    )
    lines = champion_check.against_champion(compared, model, branch=branch, allowed=terms.allow_worse, ranked=ranked)
    return ChampionComparison(
        against.version.semver, lines, "" if lines else "no metric ranks it and no rule names one"
    )


def refusal(found: ChampionComparison, terms: Terms, alias: str, quoted: Callable[[str], str] = str) -> str:
    """Say why a winner must not take the champion's place, and which line would allow it; "" where it may. `quoted`
    makes safe what a user wrote.
    """
    worse = found.worse
    if not worse:
        return ""
    told = "; ".join(f"{quoted(one.metric)} {one.sentence}" for one in worse[:_MOST_NAMED])
    more = f"; and {len(worse) - _MOST_NAMED} more metrics" if len(worse) > _MOST_NAMED else ""
    names = ", ".join(as_text(one.metric) for one in worse)
    line = terms.line("promote", f"allow_worse: [{names}]", "`{}`".format if quoted is str else quoted)
    return f"it is worse than {quoted(alias)}, which is {found.version}: {told}{more}. If that is meant, write {line}"


def _alone(connection: sa.Connection, project_id: ProjectId, candidate_iid: int | None) -> list[Run]:
    """Read the version's own run where its pipeline does not vouch for it any more: a promoted run never changes."""
    found = candidates.get_by_iid(connection, project_id, candidate_iid) if candidate_iid is not None else None
    if found is None:
        return []
    return pipeline_runs.filled(connection, project_id, [Run(found.iid, found.name, RunState.SUCCEEDED, {}, {})])
