"""What became of the cases of a model's evaluations, and of the bars that its run declares itself."""

from collections.abc import Sequence

from mltrail_contract import FILE_NAME
from mltrail_server.domain.cases import words
from mltrail_server.domain.cases.evaluation import Change, Criterion, EvaluatedCase, EvaluationResult
from mltrail_server.domain.numbers import number
from mltrail_server.services.review import scorers
from mltrail_server.services.review.judged import ModelReport

from .style import Line, Style

_MOST_EVALUATIONS = 3
_MOST_NAMED = 3
_MOST_BARS = 3


def of_model(model: ModelReport, style: Style) -> list[Line]:
    """Name the cases that broke, and the run's own bars that are missed and block nothing."""
    several = len(model.evaluations) > 1
    found = [
        _cases(one, scorers.must_pass(model.model, one), style, several=several)
        for one in model.evaluations[:_MOST_EVALUATIONS]
    ]
    missed = [one for each in model.evaluations for one in each.criteria if not one.kept and not one.gates]
    return [Line("Cases", text) for text in found if text] + _bars(missed, style)


def _cases(one: EvaluationResult, must_pass: Sequence[EvaluatedCase], style: Style, *, several: bool) -> str:
    of = f"{style.name(one.name)}: " if several else ""
    failed = _named("Must pass, but fail" if len(must_pass) > 1 else "Must pass, but fails", one, must_pass, style)
    if one.problem:
        return f"{of}{_failing(one)}not compared: {one.problem}.{failed}"
    if one.counts is None:
        return failed.strip()
    others = [case for case in one.broken if case not in must_pass]
    broke = _named("Broke" if not failed else "Others that broke", one, others, style)
    return f"{of}{'; '.join([words.changed(one.counts), *_failed_before(one)])}.{failed}{broke}"


def _named(label: str, one: EvaluationResult, cases: Sequence[EvaluatedCase], style: Style) -> str:
    named = [style.case(one, case) for case in cases[:_MOST_NAMED]]
    left = len(cases) - len(named)
    return f" {label}: {', '.join(named)}{f' and {left} more' if left else ''}." if named else ""


def _failing(one: EvaluationResult) -> str:
    """Count what fails here, where that is all that is known."""
    judged = [case for case in one.cases if case.passed is not None and case.here]
    failing = sum(not case.passed for case in judged)
    return f"{failing:,} of {words.count(len(judged))} {'fails' if failing == 1 else 'fail'}; " if judged else ""


def _failed_before(one: EvaluationResult) -> list[str]:
    """Count what fails here and is not new: a reader might take it for broken."""
    failed = len(one.that(Change.FAILED))
    return [f"{failed:,} {'fails' if failed == 1 else 'fail'} as before"] if failed else []


def _bars(missed: list[Criterion], style: Style) -> list[Line]:
    if not missed:
        return []
    named = [
        f"{style.name(one.metric)} {_found(one)} "
        f"(must be at {'least' if one.at_least else 'most'} {number(one.threshold)})"
        for one in missed[:_MOST_BARS]
    ]
    left = len(missed) - len(named)
    more = f" and {left} more" if left else ""
    bars, it = ("bar", "It") if len(missed) == 1 else ("bars", "They")
    accept = f"{style.text('quality_criteria: accept')} in {style.text(FILE_NAME)}"
    return [Line("Missed", f"the run's own {bars}: {', '.join(named)}{more}. {it} would block only with {accept}.")]


def _found(one: Criterion) -> str:
    return "was not logged" if one.value is None else f"is {number(one.value)}"
