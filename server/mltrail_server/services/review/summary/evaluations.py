"""What became of the cases of a model's evaluations, and of the bars that its run declares itself."""

from mltrail_contract import FILE_NAME
from mltrail_server.domain.cases import words
from mltrail_server.domain.cases.evaluation import Change, Criterion, EvaluationResult
from mltrail_server.domain.numbers import number
from mltrail_server.services.review.judged import ModelReport

from .style import Line, Style

_MOST_EVALUATIONS = 3
_MOST_NAMED = 3
_MOST_BARS = 3


def of_model(model: ModelReport, style: Style) -> list[Line]:
    """Name the cases that broke, and the run's own bars that are missed and block nothing."""
    several = len(model.evaluations) > 1
    found = [_cases(one, style, several=several) for one in model.evaluations[:_MOST_EVALUATIONS]]
    missed = [one for each in model.evaluations for one in each.criteria if not one.kept and not one.gates]
    return [Line("Cases", text) for text in found if text] + _bars(missed, style)


def _cases(one: EvaluationResult, style: Style, *, several: bool) -> str:
    of = f"{style.name(one.name)}: " if several else ""
    if one.problem:
        return f"{of}not compared: {one.problem}."
    if one.counts is None:
        return ""
    parts = [words.changed(one.counts), *_failed_before(one)]
    broken = [style.case(one, case) for case in one.broken[:_MOST_NAMED]]
    left = len(one.broken) - len(broken)
    named = f" Broke: {', '.join(broken)}{f' and {left} more' if left else ''}." if broken else ""
    return f"{of}{'; '.join(parts)}.{named}"


def _failed_before(one: EvaluationResult) -> list[str]:
    """Count what fails here and is not new: a reader might take it for broken."""
    failed = len(one.that(Change.FAILED))
    return [f"{failed:,} {'fails' if failed == 1 else 'fail'} as before"] if failed else []


def _bars(missed: list[Criterion], style: Style) -> list[Line]:
    if not missed:
        return []
    named = [
        f"{style.name(one.metric)} {_found(one)} (at {'least' if one.at_least else 'most'} {number(one.threshold)})"
        for one in missed[:_MOST_BARS]
    ]
    left = len(missed) - len(named)
    more = f" and {left} more" if left else ""
    accept = f"{style.text('quality_criteria: accept')} in {style.text(FILE_NAME)}"
    return [Line("Missed", f"the run's own bar for {', '.join(named)}{more}. It would block only with {accept}.")]


def _found(one: Criterion) -> str:
    return "was not logged" if one.value is None else f"is {number(one.value)}"
