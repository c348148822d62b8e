"""What a table of cases says, in words. Nothing here contains what a user wrote."""

import math

from mltrail_contract import CaseTable, HigherOrLower
from mltrail_server.domain.hypotheses import Decision
from mltrail_server.domain.numbers import LEAST_CHANCE, NO_SIGN, decimals_for, number, signed

from .comparison import CaseComparison, CaseEvidence, CaseMetric, Counts
from .crossed import Crossed

UNREAD = "the tables have not been read yet"
ONE_RUN = (
    "Whether the change makes models worse is another question, which takes several runs on each side that differ and "
    "have all logged this table"
)
ONE_EVALUATION = (
    "Whether the change itself makes answers worse is another question, which takes several evaluations of the same "
    "cases on each side"
)
TWO_MODELS = "these two models only"
_RATES = frozenset(
    {
        *(CaseMetric.ACCURACY, CaseMetric.AUC, CaseMetric.F1),
        *(CaseMetric.PRECISION, CaseMetric.RECALL, CaseMetric.MACRO_F1),
    }
)
_ERRORS = frozenset(
    {
        *(CaseMetric.LOG_LOSS, CaseMetric.BRIER),
        *(CaseMetric.MEAN_ABSOLUTE_ERROR, CaseMetric.ROOT_MEAN_SQUARED_ERROR),
    }
)
_NAMES = {CaseMetric.AUC: "AUC", CaseMetric.F1: "F1", CaseMetric.MACRO_F1: "macro F1"}
_OF_SCORERS = {CaseMetric.ACCURACY: "pass rate", CaseMetric.MEAN_SCORE: "mean"}


def name(metric: CaseMetric, *, of_scorer: bool = False) -> str:
    """Name what is computed from a table of cases, or of what the scorer of an evaluation says of each case."""
    names = _OF_SCORERS if of_scorer else _NAMES
    return names.get(metric, metric.replace("_", " "))


def lower_is_better(table: CaseTable) -> bool:
    """Whether a low value of a table's measure is good. For a mean score the contract says it."""
    metric = CaseMetric(table.measure)
    return metric in _ERRORS or (metric is CaseMetric.MEAN_SCORE and table.better is HigherOrLower.LOWER)


def is_rate(metric: CaseMetric) -> bool:
    """Whether a measure is shown in percentage points."""
    return metric in _RATES


def count(cases: int) -> str:
    return "1 case" if cases == 1 else f"{cases:,} cases"


def tables(number_of: int) -> str:
    return "1 table" if number_of == 1 else f"{number_of:,} tables"


def changed(counts: Counts, allowed: str = "") -> str:
    """Say how many cases broke and how many were fixed."""
    if not counts.broke and not counts.fixed:
        return f"no case broke, none was fixed ({count(counts.n)})"
    note = f" ({allowed})" if allowed else ""
    return f"broke {counts.broke:,} of {count(counts.n)}{note}, fixed {counts.fixed:,}"


def moved(found: CaseComparison, *, of_scorer: bool = False) -> str:
    """Say how far the measure moved on these cases."""
    return f"{moved_by(found, of_scorer=of_scorer)} on {count(found.cases)}"


def moved_by(found: CaseComparison, *, of_scorer: bool = False) -> str:
    """Name the measure, with its difference between the two named models."""
    return f"{name(found.metric, of_scorer=of_scorer)} {difference(found.metric, found.now - found.before)}"


def over_runs(found: CaseComparison, change: Crossed, *, of_scorer: bool = False) -> str:
    """Say how far the mean of several runs moved."""
    here, there = change.runs
    moved_by = f"{name(found.metric, of_scorer=of_scorer)} {difference(found.metric, change.difference)}"
    return f"{here} runs here against {there} of the baseline, on the same {count(found.cases)}: {moved_by}"


def about_these_models(found: CaseComparison, *, of_scorer: bool = False) -> str:
    """Say what the two named models, or what two evaluations have measured, would do on further cases."""
    which = "runs" if of_scorer else "models"
    return (
        f"These two {which}: {moved_by(found, of_scorer=of_scorer)} on these cases, "
        f"{interval(found.metric, found.evidence)} on further cases like these (90 % interval of this table alone, by "
        f"{found.method})."
    )


def by_chance(
    found: CaseComparison, decision: Decision, allowed: float, *, lower: bool, of_scorer: bool = False
) -> str:
    """Say how often chance alone would show as much as was found, which is what the verdict rests on: unlike the
    interval, it is corrected for other tests. "" if it is no sign of anything. `lower` values are better.
    """
    loss, gain = ("rise", "drop") if lower else ("drop", "rise")
    moved_by = found.held - found.held_to
    lost = moved_by > 0 if lower else moved_by < 0
    if decision.better or not (decision.worse or lost):
        what, p = gain, decision.p_better
    else:
        what, p = f"{loss}{f' beyond the {amount(found.metric, allowed)} allowed' if allowed else ''}", decision.p_worse
    if p >= NO_SIGN:
        return ""
    often = "less than 0.1 %" if p < LEAST_CHANCE else f"{p * 100:.1f} %"
    tests = f"corrected for {decision.tests} tests" if decision.tests > 1 else "the only test"
    return (
        f"Chance alone would show such a {what} in {often} of {drawn(found, of_scorer=of_scorer)} (one-sided, {tests})."
    )


def drawn(found: CaseComparison, *, of_scorer: bool = False) -> str:
    """Say what chance draws anew in the test that a verdict rests on."""
    if found.change is None:
        return "such sets of cases" if of_scorer else "such test sets"
    return "such runs and sets of cases" if of_scorer else "such trainings and test sets"


def about_the_change(found: CaseComparison, *, of_scorer: bool = False) -> str:
    """Say what the change does to models, as far as runs on both sides show it."""
    evidence = found.about_the_change
    if evidence is None and of_scorer:
        return f"Only these two runs are judged. {ONE_EVALUATION}."
    if evidence is None:
        return f"Only these two models are judged. {ONE_RUN}."
    here, there = ("1 run" if number_of == 1 else f"{number_of} runs" for number_of in evidence.runs)
    chance = "the chance from run to run" if of_scorer else "training's chance"
    return (
        f"The change, over {here} here and {there} of the baseline: {name(found.metric, of_scorer=of_scorer)} "
        f"{difference(found.metric, evidence.difference)}, {interval(found.metric, evidence)} with {chance} and "
        f"further cases like these (90 % interval). {_JUDGED if found.change is not None else _NOT_JUDGED}."
    )


_JUDGED = "This is what is judged"
_NOT_JUDGED = (
    "Only the two models are judged: that takes several runs on each side that differ about as much, and have answered "
    "the same cases"
)


def difference(metric: CaseMetric, value: float) -> str:
    """Write a difference with its sign: in percentage points where the measure is a rate."""
    if not math.isfinite(value):
        return "open"
    if metric in _RATES:
        return f"{signed(value * 100, decimals=decimals_for(value * 100))} pp"
    return signed(value, decimals=decimals_for(value))


def amount(metric: CaseMetric, value: float) -> str:
    """Write how large a difference is."""
    return difference(metric, abs(value)).removeprefix("+")


def interval(metric: CaseMetric, evidence: CaseEvidence) -> str:
    """Write where a difference could lie."""
    scale, unit = (100, " pp") if metric in _RATES else (1, "")
    low, high = evidence.low * scale, evidence.high * scale
    if not math.isfinite(low) and not math.isfinite(high):
        return "too few cases for bounds"
    places = decimals_for(high - low if math.isfinite(high - low) else evidence.difference * scale)
    ends = [signed(end, decimals=places) if math.isfinite(end) else "open" for end in (low, high)]
    return f"{ends[0]} … {ends[1]}{unit}"


def values(found: CaseComparison) -> tuple[str, str]:
    """Write the measure on both sides with digits that add up."""
    distance = abs(found.now - found.before)
    places = min(decimals_for(distance), 6) if distance else None
    return number(found.before, decimals=places), number(found.now, decimals=places)
