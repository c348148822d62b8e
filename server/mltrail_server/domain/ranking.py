"""A model's candidates: how runs are grouped and ranked, and which group is the best."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mltrail_contract import Model

from . import evidence, globs, looks, trials, winners
from .direction import Better, MetricDirection, direction_of
from .evidence import BranchLevel
from .grouping import Group, Run, RunState, best, choice, group, group_of, ranking_metric
from .looks import Pool
from .statistics import MeanError, Summary

_SET_ASIDE = (RunState.FAILED, RunState.CANCELED, RunState.DELETED)


@dataclass(frozen=True, slots=True)
class Candidates:
    """One side's candidates. The best is chosen from `groups`, after `tries` trainings with different parameters;
    `fresh` are the runs that confirm a choice.
    """

    groups: Sequence[Group]
    fresh: Sequence[Group]
    tries: int

    def contenders(self, metric: str, direction: MetricDirection, level: BranchLevel | None) -> int:
        """Count those that might as well have won, including trials of which only the winner is known. `level` is the
        target branch's, which shows whether a candidate's runs are copies of one.
        """
        near = winners.contenders(self._known(metric, level), lower=direction.better is Better.LOWER)
        return max(1, near + self.tries - len(self.groups))

    def alike(self, metric: str, direction: MetricDirection, level: BranchLevel | None) -> int:
        """Count those that hardly differ from the best: they certainly might as well have won."""
        spread = MeanError(level.sd, level.freedom) if level is not None and level.sd is not None else None
        return winners.alike(self._known(metric, level), spread, lower=direction.better is Better.LOWER)

    def _known(self, metric: str, level: BranchLevel | None) -> list[Summary]:
        known = [one.metrics[metric] for one in self.groups if metric in one.metrics]
        return known if level is None else [evidence.independent(level, one) for one in known]

    def confirmation_of(self, winner: Group | None) -> Group | None:
        """Find the fresh runs of the winner: they alone show how good it is, since nothing was chosen by them."""
        return next((one for one in self.fresh if winner is not None and one.params == winner.params), None)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The best candidate with all looks at it; `confirmed` is set if these are fresh runs of the winner."""

    pool: Pool
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Ranking:
    """How a model's candidates are grouped and ranked. `stated` is the metric that the caller or the contract names."""

    model: Model
    stated: str | None

    def candidates(self, runs: Iterable[Run]) -> Candidates:
        """Group the runs of a pipeline, apart from those that confirm a choice."""
        chosen_from, fresh = _without_confirmations(tuple(runs), self._repeat_over)
        folded = self._folded(chosen_from)
        groups = self._grouped(folded.runs)
        tries = len(groups) + sum(max(folded.trials.get(run.iid, 1) for run in one.runs) - 1 for one in groups)
        return Candidates(groups, self._grouped(fresh), tries)

    def set_aside(self, runs: Iterable[Run], candidate: Group) -> Group | None:
        """Group the runs of a candidate that don't count because they were deleted or failed, though they logged
        metrics.
        """
        wanted = frozenset(candidate.params.items())
        found = [run for run in runs if _is_set_aside(run) and choice(run, self._repeat_over) == wanted]
        return group_of(candidate.params, found) if found else None

    def groups(self, runs: Sequence[Run]) -> list[Group]:
        """Group all runs of a pipeline, whatever they are for."""
        return self._grouped(self._folded(runs).runs)

    def best_before(self, groups: Sequence[Group], direction: MetricDirection) -> Group | None:
        """Choose a baseline's best by the stated metric, or else by what ranks it there: a merge request that could
        choose the metric by what it logs could pick a weak baseline.
        """
        if self.stated is not None and any(self.stated in one.metrics for one in groups):
            return best(groups, self.stated, direction)
        metric = ranking_metric(groups)
        return best(groups, metric, direction_of(metric or "", self.model))

    def choose(
        self,
        ours: Candidates,
        earlier: Sequence[Candidates],
        by: tuple[str | None, MetricDirection],
        *,
        planned: int | None,
    ) -> Chosen | None:
        """Choose the best of the newest look's candidates by a metric and its direction; each counts with its runs from
        all looks. `planned` is how many runs the baseline has.
        """
        groups, fresh_ones = [look.groups for look in earlier], [look.fresh for look in earlier]
        decisive = self._decisive(ours.groups, by[0])
        pools = [looks.pool(one, groups, planned=planned, decisive=decisive) for one in ours.groups]
        winner = best([one.group for one in pools], *by)
        if winner is None:
            return None
        fresh = ours.confirmation_of(winner)
        if fresh is not None:
            return Chosen(looks.pool(fresh, fresh_ones, planned=planned, decisive=decisive), confirmed=True)
        return Chosen(next(one for one in pools if one.group is winner), confirmed=False)

    def _decisive(self, groups: Iterable[Group], ranks: str | None) -> set[str]:
        """Name the metrics that the contract's rules are about, or else the one that ranks."""
        if not self.model.rules:
            return {ranks} if ranks is not None else set()
        logged = {name for one in groups for name in one.metrics}
        return globs.matching_any(logged, [one.metric for one in self.model.rules])

    def _grouped(self, runs: Iterable[Run]) -> list[Group]:
        return [looks.without_copies(one) for one in group(runs, repeat_over=self._repeat_over)]

    @property
    def _repeat_over(self) -> frozenset[str]:
        return self.model.repeat_over | frozenset(self.model.pair_by)

    def _folded(self, runs: Sequence[Run]) -> trials.Folded:
        return trials.fold(runs, [name for name in (self.stated, *(rule.metric for rule in self.model.rules)) if name])


def _is_set_aside(run: Run) -> bool:
    attempted = run.state in _SET_ASIDE or (run.state is RunState.SUPERSEDED and not run.had_succeeded)
    return attempted and bool(run.metrics)


def _without_confirmations(runs: Sequence[Run], repeat_over: frozenset[str]) -> tuple[Sequence[Run], Sequence[Run]]:
    """Separate the runs that the best is chosen from and the runs that confirm it. Where nothing else has succeeded,
    the best is chosen from the confirmations.

    A job that has trained the same parameters without the tag, too, has perhaps tagged its best runs: it confirms
    nothing.
    """
    tried = {(run.job_id, choice(run, repeat_over)) for run in runs if not trials.confirms(run) and run.job_id}
    tagged = [run for run in runs if trials.confirms(run) and (run.job_id, choice(run, repeat_over)) not in tried]
    fresh = tuple(run for run in tagged if run.state is RunState.SUCCEEDED)
    set_aside = {run.iid for run in tagged}
    chosen_from = tuple(run for run in runs if run.iid not in set_aside)
    if not any(run.state is RunState.SUCCEEDED for run in chosen_from):
        return runs, ()
    return chosen_from, fresh
