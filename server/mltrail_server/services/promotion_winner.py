"""Which run of a pipeline is promoted: the best by a metric whose direction is known, never by a guess."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mltrail_server.domain import comparison
from mltrail_server.domain.direction import Better, is_system
from mltrail_server.domain.grouping import Run, RunState
from mltrail_server.domain.selection import as_text

from .terms import Terms

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
    terms: Terms, runs: Sequence[Run], *, only: int | None, rank_by: str | None, better: Better | None
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
    terms: Terms
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


def question(terms: Terms, runs: Sequence[Run], compared: comparison.Comparison) -> Question | None:
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
