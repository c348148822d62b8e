"""What is concluded about a model in one sentence, from its comparison."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from .comparison import Comparison, Judgement


class Level(StrEnum):
    GOOD = "good"
    BAD = "bad"
    NEUTRAL = "neutral"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Conclusion:
    """`sentence` contains nothing that a user wrote: the metric that it is about is named next to it."""

    level: Level
    sentence: str


_LEVELS = {
    Judgement.BETTER: Level.GOOD,
    Judgement.WORSE: Level.BAD,
    Judgement.GONE: Level.BAD,
    Judgement.NOISE: Level.NEUTRAL,
    Judgement.SAME: Level.NEUTRAL,
    Judgement.NEW: Level.NEUTRAL,
    Judgement.UNKNOWN: Level.UNKNOWN,
}
_WORST_FIRST = (Level.BAD, Level.UNKNOWN, Level.NEUTRAL, Level.GOOD)


def of_model(comparison: Comparison) -> Conclusion:
    """Judge by the ranking metric, and add how many others got worse or disappeared."""
    if comparison.best is None:
        return Conclusion(Level.UNKNOWN, "no run has succeeded")
    if comparison.baseline is None and comparison.incomparable:
        return Conclusion(Level.UNKNOWN, comparison.incomparable)
    if comparison.baseline is None:
        return Conclusion(Level.NEUTRAL, "no baseline yet")
    headline = comparison.headline
    if headline is None:
        return Conclusion(Level.UNKNOWN, "no metric that ranks the runs")
    level, sentence = _LEVELS[headline.judgement], headline.sentence
    others = [one for one in comparison.metrics if one is not headline]
    for judgement, word in ((Judgement.WORSE, "worse"), (Judgement.GONE, "gone")):
        count = sum(one.judgement is judgement for one in others)
        if count:
            sentence += f"; {count} other {'metric is' if count == 1 else 'metrics are'} {word}"
            level = Level.BAD if level is Level.NEUTRAL else level
    return Conclusion(level, sentence)


def overall(conclusions: Iterable[Conclusion]) -> Conclusion:
    """Judge all models of a pipeline: the worst one decides."""
    found = list(conclusions)
    if len(found) == 1:
        return found[0]
    counts = {level: sum(one.level is level for one in found) for level in _WORST_FIRST}
    level = next((level for level in _WORST_FIRST if counts[level]), Level.UNKNOWN)
    words = {Level.BAD: "worse", Level.UNKNOWN: "can't be told", Level.NEUTRAL: "no real change", Level.GOOD: "better"}
    parts = ", ".join(f"{counts[level]} {words[level]}" for level in _WORST_FIRST if counts[level])
    return Conclusion(level, f"{len(found)} models: {parts}" if found else "no runs")
