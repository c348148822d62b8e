"""Rank the runs of a pipeline: which one is promoted, and how it compares with the champion.

Runs are ranked by a metric whose direction is known, never by a guess.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mltrail_contract import Contract
from mltrail_server.domain import champion_check, comparison, datasets
from mltrail_server.domain.champion_check import ChampionComparison, ChampionMetric
from mltrail_server.domain.comparison import Comparison
from mltrail_server.domain.direction import Better, is_system
from mltrail_server.domain.grouping import Run, RunState
from mltrail_server.domain.selection import as_text
from mltrail_server.services.contract.policy import Policy
from mltrail_server.services.review import baselines, pipeline_runs
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.tracking import candidates

_WHY_NOT = {
    RunState.FAILED: "its job failed",
    RunState.CANCELED: "its job was canceled",
    RunState.RUNNING: "its jobs are not done",
    RunState.SUPERSEDED: "its job was retried, and the newest attempt counts",
    RunState.UNVERIFIED: "no job's token vouches for it",
    RunState.DELETED: "its own job has deleted it",
    RunState.GONE: "somebody has removed it for good",
}
_UNCONFIRMED = "it was imported, and the contract file does not say whether it counts"
_STARTS_ANEW = "it was imported, and the contract file lets promotions start anew"
_MOST_METRICS = 3
_MOST_WORSE_METRICS = 5


@dataclass(frozen=True, slots=True)
class Winner:
    """`run` is what is promoted; `runs` are its candidate's, with those that differ from it only by chance.
    `by_request` is True if the caller has said which metric ranks.
    """

    run: Run
    runs: tuple[Run, ...]
    rank_by: str | None
    by_request: bool = False


@dataclass(frozen=True, slots=True)
class NotPromoted:
    """Why no run is promoted. `refused`: somebody has to do something first. `comparison` is with the champion, None if
    it was not made.
    """

    reason: str
    refused: bool = False
    comparison: ChampionComparison | None = None


def choose(
    policy: Policy, runs: Sequence[Run], *, only: int | None, rank_by: str | None, better: Better | None
) -> Winner | NotPromoted:
    """Pick the best run, or the one that a person has named."""
    if only is not None:
        named = next(run for run in runs if run.iid == only)
        return _named(policy, named, rank_by=rank_by, better=better)
    compared = comparison.compare(runs, [], model=policy.model, rank_by=rank_by, better=better)
    if compared.best is None or compared.best_run is None:
        return NotPromoted(f"no run of a succeeded job counts ({_counts(runs) or 'there are none'})")
    if rank_by and rank_by not in compared.best.metrics:
        return NotPromoted(f"no run has logged the metric '{rank_by}'")
    if compared.best_run.deleted:
        # Don't fall back to the second best: deleting a run must not decide what ships.
        return NotPromoted(f"the best run, {compared.best_run.name}, is deleted; restore it, or train again")
    asked = question(policy, runs, compared)
    if asked is not None:
        return NotPromoted(asked.sentence("`{}`".format), refused=True)
    return Winner(compared.best_run, compared.best.runs, compared.rank_by, rank_by is not None)


def _named(policy: Policy, named: Run, *, rank_by: str | None, better: Better | None) -> Winner | NotPromoted:
    if named.deleted:
        return NotPromoted(f"{named.name} is deleted; restore it, or train again")
    if named.state is not RunState.SUCCEEDED:
        return NotPromoted(f"{named.name}: {_WHY_NOT[named.state]}")
    compared = comparison.compare([named], [], model=policy.model, rank_by=rank_by, better=better)
    return Winner(named, (named,), compared.rank_by, rank_by is not None)


def _counts(runs: Sequence[Run]) -> str:
    """Count the runs that can't be promoted, by state."""
    counts = {state: sum(run.state is state for run in runs) for state in _WHY_NOT}
    return ", ".join(f"{count} {state.value}" for state, count in counts.items() if count)


@dataclass(frozen=True, slots=True)
class RankingQuestion:
    """What has to be answered before several runs can be ranked. `why` precedes the metrics that it is about;
    `suggested` is the direction in the suggested line, None if no line is suggested.
    """

    why: str
    metrics: tuple[str, ...]
    policy: Policy
    suggested: Better | None

    def sentence(self, quoted: Callable[[str], str]) -> str:
        """Ask, and suggest a line for the contract file. `quoted` makes safe what a user wrote."""
        names = ", ".join(map(quoted, self.metrics[:_MOST_METRICS]))
        more = f" and {len(self.metrics) - _MOST_METRICS} more" if len(self.metrics) > _MOST_METRICS else ""
        asked = f"{self.why} {names}{more}"
        if self.suggested is None:
            return asked
        rank_by = f"metric: {as_text(self.metrics[0])}, better: {self.suggested}"
        line = self.policy.line("rank_by", rank_by, quoted)
        return (
            f"{asked}. Write {line} (or the opposite), or give `--rank-by` and `--better`, the component's inputs "
            "`rank-by` and `better`"
        )


def question(policy: Policy, runs: Sequence[Run], compared: Comparison) -> RankingQuestion | None:
    """Ask what is needed to rank several runs; None if it is known, or if nothing was logged to rank them by."""
    if compared.best is None or (compared.groups == 1 and len(compared.best.runs) == 1):
        return None
    headline = compared.headline
    if headline is None or headline.current is None:
        return _which_metric(policy, runs)
    direction = headline.direction
    if direction.certain:
        return None
    known = f"only guessed from its name ({direction.better})" if direction.guessed else "unknown"
    why = f"its runs are ranked by a metric whose direction is {known}:"
    suggested = direction.better if direction.guessed else Better.HIGHER
    return RankingQuestion(why, (headline.name,), policy, suggested)


def _which_metric(policy: Policy, runs: Sequence[Run]) -> RankingQuestion | None:
    """Ask which metric ranks the runs, if they have logged any."""
    ranks = policy.model.rank_by
    if ranks is not None:
        why = "the runs are ranked by a metric that none has logged as a number:"
        return RankingQuestion(why, (ranks,), policy, None)
    logged = tuple(sorted({name for run in runs for name in run.metrics if not is_system(name)}))
    why = "which metric ranks its runs is not known; there are"
    return RankingQuestion(why, logged, policy, Better.HIGHER) if logged else None


def compare_with_champion(
    tx: Transaction,
    winner: Winner,
    policy: Policy,
    *,
    contract: Contract | None,
    alias: str,
    branch: str,
    better: Better | None = None,
) -> ChampionComparison:
    """Compare a winner with the champion, in the ranking metric and in those that the contract has rules for. If nobody
    has said what ranks, the metric that ranked the champion counts, too.

    The pipelines of `branch` show how much results vary by chance. Some fifteen statements.
    """
    model = policy.model
    champion = baselines.of_alias(tx, model, alias, contract=contract, branch_of=branch)
    if champion.version is None:
        return ChampionComparison(None, why_not="there is no version to compare with yet")
    version, origin = champion.version.semver, champion.imported
    if origin is not None and not model.imported.champion:
        unconfirmed = model.imported.champion is None
        why_not = _UNCONFIRMED if unconfirmed else _STARTS_ANEW
        return ChampionComparison(version, why_not=why_not, imported=origin, unconfirmed=unconfirmed)
    runs = list(champion.runs) or _own_run(tx, champion.version.candidate_iid)
    lines: tuple[ChampionMetric, ...] = ()
    if not any(run.metrics for run in runs):
        why_not = "no metric of the version that it replaces is known"
    elif datasets.other_data(model.same_dataset, winner.runs, runs):
        why_not = "it was measured on other data, so the two are not compared"
    else:
        history = [earlier for _, earlier in champion.history]
        lines = _against(winner, runs, history, policy, branch=branch, better=better)
        why_not = "" if lines else "no metric ranks it and no rule names one"
    return ChampionComparison(version, lines, why_not, imported=origin)


def _against(
    winner: Winner,
    champion: Sequence[Run],
    history: Sequence[Sequence[Run]],
    policy: Policy,
    *,
    branch: str,
    better: Better | None,
) -> tuple[ChampionMetric, ...]:
    model = policy.model
    compared = comparison.compare(
        [replace(run, parent_iid=None) for run in winner.runs],
        [replace(run, parent_iid=None) for run in champion],
        history=history,
        model=replace(model, same_dataset=None),
        rank_by=winner.rank_by,
        better=better,
    )
    ranked = None
    if model.rank_by is None and not winner.by_request:
        ranked = champion_check.ranked_before(compared, winner.runs, model)
    return champion_check.against_champion(compared, model, branch=branch, allowed=policy.allow_worse, ranked=ranked)


def _own_run(tx: Transaction, candidate_iid: int | None) -> list[Run]:
    """Read the version's own run if its pipeline no longer vouches for it: a promoted run never changes."""
    candidate = candidates.get_by_iid(tx, candidate_iid) if candidate_iid is not None else None
    if candidate is None:
        return []
    return pipeline_runs.filled(tx, [Run(candidate.iid, candidate.name, RunState.SUCCEEDED, {}, {})])


def refusal(compared: ChampionComparison, policy: Policy, alias: str, quoted: Callable[[str], str] = str) -> str:
    """Say why a winner must not replace the champion: nobody has said whether an imported one counts, or it is worse.
    "" if it may. `quoted` makes safe what comes from users and from elsewhere.
    """
    if not compared.unconfirmed or compared.imported is None:
        return _worse_than_champion(compared, policy, alias, quoted)
    line = policy.line("imported", "champion: true", "`{}`".format if quoted is str else quoted)
    return (
        f"{quoted(alias)} is {compared.version}, which was {compared.imported.sentence(quoted)}, and nobody has said "
        f"whether it counts. To hold promotions to its level, write {line}; to start anew, write "
        f"{quoted('false') if quoted is not str else '`false`'} there"
    )


def _worse_than_champion(compared: ChampionComparison, policy: Policy, alias: str, quoted: Callable[[str], str]) -> str:
    """Say why a winner must not replace the champion, and which line of the contract would allow it; "" if it may.
    `quoted` makes safe what a user wrote.
    """
    worse = compared.worse
    if not worse:
        return ""
    listed = "; ".join(f"{quoted(one.metric)} {one.sentence}" for one in worse[:_MOST_WORSE_METRICS])
    more = f"; and {len(worse) - _MOST_WORSE_METRICS} more metrics" if len(worse) > _MOST_WORSE_METRICS else ""
    names = ", ".join(as_text(one.metric) for one in worse)
    line = policy.line("promote", f"allow_worse: [{names}]", "`{}`".format if quoted is str else quoted)
    return (
        f"it is worse than {quoted(alias)}, which is {compared.version}: {listed}{more}. If that is meant, write {line}"
    )
