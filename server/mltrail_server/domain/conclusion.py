"""What is concluded about a model, and about a merge request: the worst thing by name, then the best."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from mltrail_contract import Outcome

from .cases.result import CaseResult
from .comparison import NO_BASELINE, Comparison
from .direction import is_of_training
from .numbers import count
from .rules import Ruling
from .verdict import Verdict


class Level(StrEnum):
    GOOD = "good"
    BAD = "bad"
    NEUTRAL = "neutral"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to name. `metric` and `model` are a user's words, and `reason` has none of them. `outcome` is the
    rule's, None for a metric without a rule.
    """

    metric: str
    verdict: Verdict
    reason: str
    outcome: Outcome | None = None
    model: str = ""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """`worst` is what is worse or, failing that, what a rule can't tell; `best` is what is better. `sentence` contains
    nothing that a user wrote, so it counts metrics; `named` names them. `models` is how many it is about.
    """

    level: Level
    sentence: str
    worst: Finding | None = None
    best: Finding | None = None
    models: int = 1

    def named(self, quoted: Callable[[str], str]) -> str:
        """Name the worst thing, then the best. `quoted` makes safe what a user wrote."""
        named = [
            f"{f'{quoted(one.model)}: ' if one.model else ''}{quoted(one.metric)} {_IS[one.verdict]} ({one.reason})"
            for one in (self.worst, self.best)
            if one is not None
        ]
        return "; ".join([self.sentence, *named] if self.models > 1 else named) or self.sentence


_IS = {
    Verdict.WORSE: "is worse",
    Verdict.BETTER: "is better",
    Verdict.CANT_TELL: "can't be told yet",
    Verdict.NO_CLEAR_CHANGE: "shows no clear change",
    Verdict.WITHIN_LIMIT: "is within its limit",
}
_WORST_FIRST = (Level.BAD, Level.UNKNOWN, Level.NEUTRAL, Level.GOOD)
_OUTCOMES = (Outcome.FAIL, Outcome.WARN, None)


def of_model(comparison: Comparison, rulings: Sequence[Ruling] = (), cases: Sequence[CaseResult] = ()) -> Conclusion:
    """Conclude from a judged comparison, from what the rules say, and from the tables of cases."""
    worst, best = _worst(comparison, rulings, cases), _best(comparison, cases)
    if comparison.best is None:
        return Conclusion(Level.UNKNOWN, "no run has succeeded", worst)
    if comparison.baseline is None:
        why = comparison.incomparable
        level = Level.BAD if _is_bad(worst) else Level.UNKNOWN if why else Level.NEUTRAL
        return Conclusion(level, why or NO_BASELINE, worst)
    headline = comparison.headline
    if headline is None and worst is None and best is None and not cases:
        return Conclusion(Level.UNKNOWN, "no metric that ranks the runs")
    tables = [one for one in cases if one.compared is not None or one.ours]
    verdicts = [headline.verdict] if headline is not None else [one.verdict for one in tables]
    return Conclusion(_level(verdicts, worst, best), _sentence(comparison, rulings, cases), worst, best)


def overall(conclusions: Iterable[tuple[str, Conclusion]]) -> Conclusion:
    """Conclude from all models of a pipeline, by name: the worst one decides."""
    found = [
        replace(one, worst=_of(name, one.worst), best=_of(name, one.best)) if name else one for name, one in conclusions
    ]
    if len(found) == 1:
        return found[0]
    counts = {level: sum(one.level is level for one in found) for level in _WORST_FIRST}
    level = next((level for level in _WORST_FIRST if counts[level]), Level.UNKNOWN)
    words = {
        Level.BAD: Verdict.WORSE,
        Level.UNKNOWN: Verdict.CANT_TELL,
        Level.NEUTRAL: Verdict.NO_CLEAR_CHANGE,
        Level.GOOD: Verdict.BETTER,
    }
    parts = ", ".join(f"{counts[level]} {words[level]}" for level in _WORST_FIRST if counts[level])
    worst = min((one.worst for one in found if one.worst is not None), key=_severity, default=None)
    best = next((one.best for one in found if one.best is not None), None)
    return Conclusion(level, f"{len(found)} models: {parts}" if found else "no runs", worst, best, len(found))


def _of(model: str, finding: Finding | None) -> Finding | None:
    return None if finding is None else replace(finding, model=model)


def _worst(comparison: Comparison, rulings: Sequence[Ruling], cases: Sequence[CaseResult]) -> Finding | None:
    """Choose what to name first: a broken rule, then a metric that is worse, then what a rule can't tell."""
    found = [
        Finding(one.metric, one.verdict, one.full_sentence, one.outcome)
        for one in rulings
        if one.outcome is not Outcome.PASS
    ]
    ruled = {one.metric for one in rulings}
    worse = (one for one in comparison.metrics if one.verdict is Verdict.WORSE and one.name not in ruled)
    found += [
        Finding(one.name, one.verdict, one.reason)
        for one in sorted(worse, key=lambda one: (is_of_training(one.name), one.name != comparison.rank_by))
    ]
    found += [
        Finding(one.name, one.verdict, one.reason)
        for one in cases
        if one.verdict is Verdict.WORSE and one.name not in ruled
    ]
    return min(found, key=_severity, default=None)


def _severity(one: Finding) -> tuple[int, bool]:
    if one.outcome is not Outcome.FAIL and one.verdict is not Verdict.WORSE:
        return len(_OUTCOMES), True  # what can't be told is not as bad as what is worse
    return _OUTCOMES.index(one.outcome), one.verdict is not Verdict.WORSE


def _best(comparison: Comparison, cases: Sequence[CaseResult]) -> Finding | None:
    """Choose the gain to name: the ranking metric's, else the surest, else that of a table of cases."""
    better = [one for one in comparison.metrics if one.verdict is Verdict.BETTER and not is_of_training(one.name)]
    chosen = min(
        better,
        key=lambda one: (one.name != comparison.rank_by, one.decision.p_better if one.decision else 1.0),
        default=None,
    )
    if chosen is not None:
        return Finding(chosen.name, chosen.verdict, chosen.reason)
    of_cases = (Finding(one.name, one.verdict, one.reason) for one in cases if one.verdict is Verdict.BETTER)
    return next(of_cases, None)


def _is_bad(worst: Finding | None) -> bool:
    return worst is not None and worst.verdict is Verdict.WORSE


def _level(verdicts: Sequence[Verdict], worst: Finding | None, best: Finding | None) -> Level:
    """`verdicts` are the ranking metric's, or those of all tables of cases where no metric ranks."""
    if _is_bad(worst):
        return Level.BAD
    if worst is not None:
        return Level.UNKNOWN
    if best is not None:
        return Level.GOOD
    if not verdicts or Verdict.CANT_TELL in verdicts:
        return Level.UNKNOWN
    return Level.NEUTRAL


def _said_of(comparison: Comparison, cases: Sequence[CaseResult]) -> str:
    """Say what the ranking metric says; where none ranks, a table that can't be judged yet, or else the first."""
    if comparison.headline is not None:
        return comparison.headline.reason
    undecided = (one for one in cases if one.verdict is Verdict.CANT_TELL and (one.compared is not None or one.ours))
    table = next(undecided, cases[0] if cases else None)
    return str(Verdict.CANT_TELL) if table is None else table.reason or table.problem


def _sentence(comparison: Comparison, rulings: Sequence[Ruling], cases: Sequence[CaseResult]) -> str:
    """Count the metrics that are worse and better; without any, say what the ranking metric says."""
    broken = {one.metric for one in rulings if one.verdict is Verdict.WORSE}
    verdicts = [(one.name, one.verdict) for one in comparison.metrics]
    verdicts += [(one.name, one.verdict) for one in cases]
    worse = broken | {name for name, verdict in verdicts if verdict is Verdict.WORSE}
    better = {name for name, verdict in verdicts if verdict is Verdict.BETTER} - worse
    if not worse and not better:
        return _said_of(comparison, cases)
    found = ((worse, Verdict.WORSE), (better, Verdict.BETTER))
    return ", ".join(f"{count(len(names), 'metric is', 'metrics are')} {verdict}" for names, verdict in found if names)
