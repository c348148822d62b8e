"""Which run of a pipeline is promoted: the best by a metric whose direction is known, never by a guess."""

from dataclasses import dataclass

from mltrail_server.domain import comparison, direction
from mltrail_server.domain.direction import Direction
from mltrail_server.domain.grouping import Run, State
from mltrail_server.domain.selection import as_text

from .promotion_choice import Choice
from .terms import Terms

STATES = {
    State.FAILED: "its job failed",
    State.CANCELED: "its job was canceled",
    State.RUNNING: "its jobs are not done",
    State.SUPERSEDED: "its job was retried, and the newest attempt counts",
    State.UNVERIFIED: "no job's token vouches for it",
    State.DELETED: "its own job has deleted it",
    State.GONE: "somebody has removed it for good",
}
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Winner:
    """`run` is what is promoted, `runs` are its candidate's: with those that differ from it only by chance."""

    run: Run
    runs: tuple[Run, ...]
    rank_by: str | None


@dataclass(frozen=True, slots=True)
class Without:
    """Why there is no winner. `asks` tells that somebody has to say something first."""

    reason: str
    asks: bool = False


def choose(  # noqa: PLR0911 - one way out for each reason why not
    choice: Choice, *, only: int | None, rank_by: str | None, better: Direction | None
) -> Winner | Without:
    """Pick the best run, or the one that a person has named."""
    if only is not None:
        named = next(run for run in choice.runs if run.iid == only)
        if named.deleted:
            return Without(f"{named.name} is deleted; restore it, or train again")
        if named.state is not State.SUCCEEDED:
            return Without(f"{named.name}: {STATES[named.state]}")
        compared = comparison.compare([named], [], model=choice.terms.model, rank_by=rank_by, better=better)
        return Winner(named, (named,), compared.rank_by)
    compared = comparison.compare(choice.runs, [], model=choice.terms.model, rank_by=rank_by, better=better)
    if compared.best is None or compared.best_run is None:
        counts = {state: sum(run.state is state for run in choice.runs) for state in STATES}
        told = ", ".join(f"{count} {state.value}" for state, count in counts.items() if count)
        return Without(f"no run of a succeeded job counts ({told or 'there are none'})")
    if rank_by and rank_by not in compared.best.metrics:
        return Without(f"no run has logged the metric '{rank_by}'")
    if compared.best_run.deleted:
        # The second best is not what the numbers say, and whoever deletes must not choose what ships.
        return Without(f"the best run, {compared.best_run.name}, is deleted; restore it, or train again")
    several = compared.groups > 1 or len(compared.best.runs) > 1
    question = _question(choice, compared) if several else ""
    if question:
        return Without(question, asks=True)
    return Winner(compared.best_run, compared.best.runs, compared.rank_by)


def _question(choice: Choice, compared: comparison.Comparison) -> str:
    """Ask what has to be known to rank several runs; "" where it is known, or nothing was logged to rank them by."""
    headline = compared.headline
    if headline is not None and headline.current is not None and headline.goal.certain:
        return ""
    logged = sorted({name for run in choice.runs for name in run.metrics if not direction.is_system(name)})
    if compared.rank_by is None and not logged:
        return ""
    if headline is None or headline.current is None:
        if choice.terms.model.rank_by is not None:
            return f"no run has logged a number as '{compared.rank_by}', which ranks the runs"
        more = f" and {len(logged) - _MOST_NAMED} more" if len(logged) > _MOST_NAMED else ""
        which = f"by which metric the best of its runs is chosen is not known (there are {', '.join(logged[:3])}{more})"
        return f"{which}. {_ask(choice.terms, logged[0], Direction.HIGHER)}"
    goal = headline.goal
    known = f"only guessed from its name ({goal.direction})" if goal.guessed else "unknown"
    which = f"which way the metric '{headline.name}', which ranks its runs, is better is {known}"
    return f"{which}. {_ask(choice.terms, headline.name, goal.direction if goal.guessed else Direction.HIGHER)}"


def _ask(terms: Terms, metric: str, way: Direction) -> str:
    line = terms.line("rank_by", f"metric: {as_text(metric)}, better: {way}")
    return f"Write {line} (or the other way), or give --rank-by and --better, the component's inputs rank_by and better"
