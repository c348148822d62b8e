"""A model's evaluations in a note: which cases broke, which were fixed, and what else the two runs say.

Inputs and answers are never here: who sees a merge request need not be allowed to read them. The links lead to pages
that ask who is reading.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from mltrail_contract import FILE_NAME
from mltrail_server.domain.cases import words
from mltrail_server.domain.cases.comparison import CaseComparison
from mltrail_server.domain.cases.evaluation import (
    Change,
    Criterion,
    EvaluatedCase,
    EvaluationResult,
    Kind,
    ScorerResult,
)
from mltrail_server.domain.cases.result import CaseResult
from mltrail_server.domain.differences import Difference
from mltrail_server.domain.direction import Basis, Better, MetricDirection
from mltrail_server.domain.markdown import Markdown, code, link
from mltrail_server.domain.numbers import number
from mltrail_server.services.review import scorers
from mltrail_server.services.review.judged import ModelReport

from .cells import Page

_MOST_EVALUATIONS = 4
_MOST_SCORERS = 8
_MOST_LISTED = 10
_MOST_NAMED = 4
_MOST_BARS = 8
_PARTS = {
    "Latency": (("traces/latency_p50_ms", "p50 {} ms"), ("traces/latency_p95_ms", "p95 {} ms")),
    "Tokens": (("traces/tokens_mean", "{} per case"), ("traces/tokens_total", "{} in total")),
    "Cost": (("traces/cost_mean", "{} per case"), ("traces/cost_total", "{} in total")),
}
_LOWER = MetricDirection(Better.LOWER, Basis.STATED)


def folded(page: Page, model: ModelReport) -> dict[str, Any] | None:
    """Write the folded part about evaluations; None if there are none."""
    if not model.evaluations or not page.detail:
        return None
    shown = model.evaluations[:_MOST_EVALUATIONS]
    left = len(model.evaluations) - len(shown)
    return {
        "summary": Markdown(_summary(model.evaluations)),
        "evaluations": [_evaluation(page, one, scorers.must_pass(model.model, one)) for one in shown],
        "more": Markdown(f"And {left} more {'evaluation' if left == 1 else 'evaluations'}.") if left else None,
    }


def _summary(evaluations: Sequence[EvaluationResult]) -> str:
    counted = [one.counts for one in evaluations if one.counts is not None]
    if not counted:
        return "Evaluation, case by case"
    broke, fixed = sum(one.broke for one in counted), sum(one.fixed for one in counted)
    return f"Evaluation, case by case: {broke:,} broke, {fixed:,} fixed"


def _evaluation(page: Page, one: EvaluationResult, must_pass: Sequence[EvaluatedCase]) -> dict[str, Any]:
    name = link(code(one.name), page.evaluation(one))
    if one.problem:
        said = one.problem
    elif one.counts is not None:
        said = words.changed(one.counts)
    else:
        said = "no scorer passes or fails cases"
    return {
        "title": Markdown(f"{name}: {said}."),
        "broke": [*_must_pass(page, one, must_pass), *_broke(page, one, must_pass)],
        "lines": [*_fixed(page, one), *map(Markdown, _lines(page, one))],
    }


def _must_pass(page: Page, one: EvaluationResult, cases: Sequence[EvaluatedCase]) -> list[Markdown]:
    """List the cases that the contract says must pass and that fail here, whether or not they failed before."""
    listed = []
    for case in cases[:_MOST_LISTED]:
        how = "broke" if case.broke else "fails as before" if case.baseline else "fails"
        listed.append(Markdown(f"Must pass, but {how}: {page.case(one, case)} ({_names(case.broke or case.failed)})"))
    left = len(cases) - len(listed)
    return [*listed, Markdown(f"and {_more(page, one, left, 'failed')}")] if left else listed


def _broke(page: Page, one: EvaluationResult, but: Sequence[EvaluatedCase]) -> list[Markdown]:
    broken = [case for case in one.broken if case not in but]
    listed = [Markdown(f"Broke: {page.case(one, case)} ({_names(case.broke)})") for case in broken[:_MOST_LISTED]]
    left = len(broken) - len(listed)
    return [*listed, Markdown(f"and {_more(page, one, left, 'broke')}")] if left else listed


def _fixed(page: Page, one: EvaluationResult) -> list[Markdown]:
    if not one.fixed:
        return []
    listed = ", ".join(page.case(one, case) for case in one.fixed[:_MOST_LISTED])
    left = len(one.fixed) - _MOST_LISTED
    more = f" and {_more(page, one, left, 'fixed')}" if left > 0 else ""
    return [Markdown(f"Fixed: {listed}{more}")]


def _lines(page: Page, one: EvaluationResult) -> Iterator[str]:
    """Say what else there is to know, the most important first."""
    failed = len(one.that(Change.FAILED))
    if failed:
        failed_where = "Also failed in the baseline" if one.counts is not None else "Failed here"
        yield f"{failed_where}: {_more(page, one, failed, 'failed', more=False)}"
    missing = len(one.that(Change.MISSING))
    if missing:
        yield f"Missing here: {words.count(missing)} of the baseline"
    for scorer in one.scorers[:_MOST_SCORERS]:
        yield from _not_compared(one, scorer)
    yield from _traces(one)
    yield from _criteria(one.criteria)
    yield from (f"{remark[:1].upper()}{remark[1:]}" for remark in one.remarks)
    yield from _compared(one)


def _not_compared(one: EvaluationResult, scorer: ScorerResult) -> Iterator[str]:
    """Say what a scorer could not judge, or why it is not compared."""
    name, problem = code(scorer.name), scorer.result.problem
    if remark := scorers.remark(scorer, code):
        yield f"{name} {remark}"
    elif scorer.kind is Kind.OTHER:
        yield f"{name} returns neither numbers nor pass/fail: the evaluation's page shows its values"
    elif scorer.result.compared is None and problem and problem != one.problem:
        yield f"{name}: {problem}"


def _compared(one: EvaluationResult) -> Iterator[str]:
    """Say of each scorer what the test rests on, and once for all what they say of the change."""
    about_the_change = []
    for scorer in one.scorers[:_MOST_SCORERS]:
        compared = scorer.result.compared
        if compared is not None:
            yield f"{code(scorer.name)}: {_found(scorer.result, compared)}"
            about_the_change.append(words.about_the_change(compared, of_scorer=True))
    left = len(one.scorers) - _MOST_SCORERS
    if left > 0:
        yield f"and {left} more {'scorer' if left == 1 else 'scorers'}"
    yield from dict.fromkeys(about_the_change)


def _found(result: CaseResult, compared: CaseComparison) -> str:
    parts = [f"{words.changed(result.counts)}."] if result.counts is not None else []
    parts.append(words.about_these_models(compared, of_scorer=True))
    if result.decision is not None:
        lower = result.lower_is_better
        parts.append(words.by_chance(compared, result.decision, result.allowed, lower=lower, of_scorer=True))
    return " ".join(part for part in parts if part)


def _traces(one: EvaluationResult) -> Iterator[str]:
    """Write latency, tokens and cost of both sides, as far as traces have them."""
    for label, parts in _PARTS.items():
        found = [
            text.format(_both(name, sides.baseline, sides.here))
            for name, text in parts
            if (sides := one.traces.get(name)) is not None and sides.here is not None
        ]
        if found:
            yield f"{label}: {', '.join(found)}"


def _both(name: str, before: float | None, now: float | None) -> str:
    if before is None or now is None:
        return number(now if now is not None else 0.0)
    start, end = Difference(name, _LOWER, before, now, abs(now - before) / 4).values
    return f"{start} → {end}"


def _criteria(criteria: Sequence[Criterion]) -> Iterator[str]:
    """Show the bars that the run declares itself, and say whether they gate."""
    for one in criteria[:_MOST_BARS]:
        bar = f"at {'least' if one.at_least else 'most'} {number(one.threshold)}"
        value = "not logged" if one.value is None else number(one.value)
        lowered = f", lowered from {number(one.before)}" if one.is_lowered and one.before is not None else ""
        kept = "met" if one.kept else "missed"
        yield f"The run's own bar for {code(one.metric)}, {bar}{lowered}: {kept} ({value})"
    if criteria and not any(one.gates for one in criteria):
        yield f"A run's own bars block nothing unless {code(FILE_NAME)} has {code('quality_criteria: accept')}"


def _more(page: Page, one: EvaluationResult, cases: int, only: str, *, more: bool = True) -> Markdown:
    return link(Markdown(f"{cases:,} more" if more else words.count(cases)), page.evaluation(one, only=only))


def _names(names: Sequence[str]) -> str:
    left = len(names) - _MOST_NAMED
    return ", ".join(map(code, names[:_MOST_NAMED])) + (f" and {left} more" if left > 0 else "")
