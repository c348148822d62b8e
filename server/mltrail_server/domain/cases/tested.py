"""What a test says of one table of cases: its verdict, the reason, and what would tell where nothing can be told.

With several runs on each side it is about the change: whether it makes models worse. Otherwise it is about two named
models: whether this one would answer further cases worse than the baseline's.
"""

import math

from mltrail_server.domain.evidence import ALPHA
from mltrail_server.domain.hypotheses import Decision
from mltrail_server.domain.tested import Found
from mltrail_server.domain.verdict import Verdict

from . import power, words
from .comparison import CaseComparison, CaseMetric
from .result import CaseResult

_MATTERS = 0.05
"""Cases that would show a drop of five points may say "no clear change"."""

_MATTERS_RELATIVE = 0.1  # for measures that are no rates: of the baseline's value
_MOST_CASES = 1_000_000


def found(one: CaseResult, decision: Decision | None, allowed: float | None = None) -> Found:
    """Say what became of a table. `allowed` is the loss that a rule tolerates, in the measure; None without a rule."""
    compared = one.compared
    if compared is None or decision is None:
        return Found(Verdict.CANT_TELL, one.problem or words.UNREAD)
    what = _what(one, compared)
    if decision.worse:
        beyond = f"clearly more than the {words.amount(compared.metric, allowed)} allowed" if allowed else _BEYOND
        return Found(Verdict.WORSE, f"{what}, {beyond}")
    if decision.better:
        return Found(Verdict.BETTER, f"{what}, {_BEYOND}")
    lower = one.lower_is_better
    if allowed is not None and chance(one, allowed, kept=True) <= ALPHA:
        worst = compared.judged.high if lower else compared.judged.low
        limit = f" ({words.amount(compared.metric, allowed)} allowed)" if allowed else ""
        return Found(Verdict.WITHIN_LIMIT, f"{what}, at worst {words.difference(compared.metric, worst)}{limit}")
    unclear = _unclear_models if compared.change is None else _unclear_change
    return unclear(one, compared, what, decision.alpha, allowed or 0.0)


def _unclear_change(one: CaseResult, compared: CaseComparison, what: str, alpha: float, allowed: float) -> Found:
    """Tell runs that would have shown a change from runs that are too few, or have answered too few cases."""
    change, matters = compared.change, _matters(compared)
    seen = power.detectable(compared, alpha, change)
    if change is None or seen <= matters:
        return Found(Verdict.NO_CLEAR_CHANGE, f"{what}, could be chance", _seen(one, compared, seen + allowed))
    needed = power.runs_needed(compared, change, alpha, matters)
    if needed is None:
        return Found(Verdict.CANT_TELL, f"{what}; too few cases, or runs, to tell")
    advice = f"with {needed} runs a side, {_seen(one, compared, matters + allowed)}"
    return Found(Verdict.CANT_TELL, f"{what}; too few runs to tell", advice)


def _unclear_models(one: CaseResult, compared: CaseComparison, what: str, alpha: float, allowed: float) -> Found:
    """Tell a test set that would have shown a change from one that is too small to."""
    if not compared.changed:
        return Found(Verdict.NO_CLEAR_CHANGE, what)
    seen, matters = power.detectable(compared, alpha), _matters(compared)
    if seen <= matters:
        advice = _seen(one, compared, seen + allowed)
        return Found(Verdict.NO_CLEAR_CHANGE, f"{what}, could be chance", advice)
    needed = compared.cases * (seen / matters) ** 2 if matters else math.inf
    advice = ""
    if needed <= _MOST_CASES:
        advice = f"with {words.count(math.ceil(needed))}, {_seen(one, compared, matters + allowed)}"
    return Found(Verdict.CANT_TELL, f"{what}; too few cases to tell", advice)


def chance(one: CaseResult, allowed: float, *, kept: bool = False) -> float:
    """Return how often chance alone makes a loss this much larger than `allowed`; or smaller, to show that it is
    `kept`.
    """
    if one.compared is None:
        return 1.0
    evidence = one.compared.judged
    if one.lower_is_better:
        return evidence.below(allowed) if kept else evidence.above(allowed)
    return evidence.above(-allowed) if kept else evidence.below(-allowed)


_BEYOND = "more than chance explains"


def _what(one: CaseResult, compared: CaseComparison) -> str:
    """Say what was tested, and what was found."""
    of_scorer = bool(one.scorer)
    if compared.change is not None:
        return words.over_runs(compared, compared.change, of_scorer=of_scorer)
    exact = one.counts is not None and compared.metric is CaseMetric.ACCURACY
    found = words.changed(one.counts) if one.counts and exact else words.moved(compared, of_scorer=of_scorer)
    return found if of_scorer else f"{words.TWO_MODELS}: {found}"


def _matters(compared: CaseComparison) -> float:
    return _MATTERS if words.is_rate(compared.metric) else _MATTERS_RELATIVE * abs(compared.held_to)


def _seen(one: CaseResult, compared: CaseComparison, drop: float) -> str:
    word = "rise" if one.lower_is_better else "drop"
    return f"a {word} of {words.amount(compared.metric, drop)} would be seen four times out of five"
