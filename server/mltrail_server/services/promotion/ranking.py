"""Compare what would be promoted with the version that the alias points at, from what is stored.

Which run of a pipeline is promoted: the best by a metric whose direction is known, never by a guess.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mltrail_contract import Contract
from mltrail_server.domain import champion_check, comparison
from mltrail_server.domain.champion_check import ChampionComparison
from mltrail_server.domain.direction import Better, is_system
from mltrail_server.domain.grouping import Run, RunState
from mltrail_server.domain.selection import as_text
from mltrail_server.services.contract.policy import Policy
from mltrail_server.services.review import baselines, pipeline_runs
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.tracking import candidates

STATES = {
    RunState.FAILED: "its job failed",
    RunState.CANCELED: "its job was canceled",
    RunState.RUNNING: "its jobs are not done",
    RunState.SUPERSEDED: "its job was retried, and the newest attempt counts",
    RunState.UNVERIFIED: "no job's token vouches for it",
    RunState.DELETED: "its own job has deleted it",
    RunState.GONE: "somebody has removed it for good",
}
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Winner:
    """`run` is what is promoted, `runs` are its candidate's: with those that differ from it only by chance. `told` is
    set where the caller has said by what to rank.
    """

    run: Run
    runs: tuple[Run, ...]
    rank_by: str | None
    told: bool = False


@dataclass(frozen=True, slots=True)
class Without:
    """Why there is no winner. `asks` tells that somebody has to say something first."""

    reason: str
    asks: bool = False


def choose(  # noqa: PLR0911 - one way out for each reason why not
    terms: Policy, runs: Sequence[Run], *, only: int | None, rank_by: str | None, better: Better | None
) -> Winner | Without:
    """Pick the best run, or the one that a person has named."""
    if only is not None:
        named = next(run for run in runs if run.iid == only)
        if named.deleted:
            return Without(f"{named.name} is deleted; restore it, or train again")
        if named.state is not RunState.SUCCEEDED:
            return Without(f"{named.name}: {STATES[named.state]}")
        compared = comparison.compare([named], [], model=terms.model, rank_by=rank_by, better=better)
        return Winner(named, (named,), compared.rank_by, rank_by is not None)
    compared = comparison.compare(runs, [], model=terms.model, rank_by=rank_by, better=better)
    if compared.best is None or compared.best_run is None:
        counts = {state: sum(run.state is state for run in runs) for state in STATES}
        told = ", ".join(f"{count} {state.value}" for state, count in counts.items() if count)
        return Without(f"no run of a succeeded job counts ({told or 'there are none'})")
    if rank_by and rank_by not in compared.best.metrics:
        return Without(f"no run has logged the metric '{rank_by}'")
    if compared.best_run.deleted:
        # The second best is not what the numbers say, and whoever deletes must not choose what ships.
        return Without(f"the best run, {compared.best_run.name}, is deleted; restore it, or train again")
    asked = question(terms, runs, compared)
    if asked is not None:
        return Without(asked.sentence("`{}`".format), asks=True)
    return Winner(compared.best_run, compared.best.runs, compared.rank_by, rank_by is not None)


@dataclass(frozen=True, slots=True)
class Question:
    """What has to be known to rank several runs. `why` stands before the metrics that it is about."""

    why: str
    metrics: tuple[str, ...]
    terms: Policy
    way: Better | None

    def sentence(self, quoted: Callable[[str], str]) -> str:
        """Ask. `quoted` makes safe what a user wrote."""
        names = ", ".join(map(quoted, self.metrics[:_MOST_NAMED]))
        more = f" and {len(self.metrics) - _MOST_NAMED} more" if len(self.metrics) > _MOST_NAMED else ""
        told = f"{self.why} {names}{more}"
        if self.way is None:
            return told
        rank_by = f"metric: {as_text(self.metrics[0])}, better: {self.way}"
        line = self.terms.line("rank_by", rank_by, quoted)
        return (
            f"{told}. Write {line} (or the opposite), or give `--rank-by` and `--better`, the component's inputs "
            "`rank-by` and `better`"
        )


def question(terms: Policy, runs: Sequence[Run], compared: comparison.Comparison) -> Question | None:
    """Ask what has to be known to rank several runs; None where it is known, or nothing was logged to rank them by."""
    if compared.best is None or (compared.groups == 1 and len(compared.best.runs) == 1):
        return None
    headline = compared.headline
    if headline is not None and headline.current is not None and headline.direction.certain:
        return None
    logged = tuple(sorted({name for run in runs for name in run.metrics if not is_system(name)}))
    if headline is None or headline.current is None:
        if terms.model.rank_by is not None:
            return Question(
                "the runs are ranked by a metric that none has logged as a number:", (terms.model.rank_by,), terms, None
            )
        why = "which metric ranks its runs is not known; there are"
        return Question(why, logged, terms, Better.HIGHER) if logged else None
    direction = headline.direction
    known = f"only guessed from its name ({direction.better})" if direction.guessed else "unknown"
    why = f"its runs are ranked by a metric whose direction is {known}:"
    return Question(why, (headline.name,), terms, direction.better if direction.guessed else Better.HIGHER)


_MOST_WORSE_NAMED = 5


def beside_champion(
    tx: Transaction,
    winner: Winner,
    terms: Policy,
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
    against = baselines.of_alias(tx, model, alias, contract=contract, branch_of=branch)
    if against.version is None:
        return ChampionComparison(None, why_not="there is no version to compare with yet")
    runs = list(against.runs) or _alone(tx, against.version.candidate_iid)
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


def floor_refusal(found: ChampionComparison, terms: Policy, alias: str, quoted: Callable[[str], str] = str) -> str:
    """Say why a winner must not take the champion's place, and which line would allow it; "" where it may. `quoted`
    makes safe what a user wrote.
    """
    worse = found.worse
    if not worse:
        return ""
    told = "; ".join(f"{quoted(one.metric)} {one.sentence}" for one in worse[:_MOST_WORSE_NAMED])
    more = f"; and {len(worse) - _MOST_WORSE_NAMED} more metrics" if len(worse) > _MOST_WORSE_NAMED else ""
    names = ", ".join(as_text(one.metric) for one in worse)
    line = terms.line("promote", f"allow_worse: [{names}]", "`{}`".format if quoted is str else quoted)
    return f"it is worse than {quoted(alias)}, which is {found.version}: {told}{more}. If that is meant, write {line}"


def _alone(tx: Transaction, candidate_iid: int | None) -> list[Run]:
    """Read the version's own run where its pipeline does not vouch for it any more: a promoted run never changes."""
    found = candidates.get_by_iid(tx, candidate_iid) if candidate_iid is not None else None
    if found is None:
        return []
    return pipeline_runs.filled(tx, [Run(found.iid, found.name, RunState.SUCCEEDED, {}, {})])
