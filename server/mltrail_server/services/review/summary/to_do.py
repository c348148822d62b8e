"""Why a model was not trained here, and what unblocks a merge that is blocked because something can't be told."""

from mltrail_contract import Outcome
from mltrail_server.domain.rule_check import SAME_DATA
from mltrail_server.domain.silence import Silence
from mltrail_server.domain.verdict import Verdict
from mltrail_server.services.review import rows
from mltrail_server.services.review.judged import ModelReport
from mltrail_server.services.review.reports import Report

from .model import why_silent
from .style import Line, Style

_MOST_NAMED = 3
_FORK = (
    "a fork's pipelines can be run by people without access to this project, so their runs are kept apart: they are no "
    "baseline, and nothing of them is promoted. To have the models judged, run the pipeline in this project."
)


def lines(report: Report, style: Style) -> list[Line]:
    """Say what it means that a model was not trained, and what to do."""
    found = []
    if report.fork and not report.waiting:
        found.append(Line("Why", _FORK))
    for model in report.models[:_MOST_NAMED] if not report.waiting else ():
        silence = model.silence
        if silence is not None:
            name = f"{style.name(model.name)}: " if len(report.models) > 1 else ""
            found.append(Line("Why", f"{name}{_why_silent(report, model, silence, style)}"))
    do = _do(report, style)
    return [*found, Line("To do", f"{do}.")] if do else found


def _why_silent(report: Report, model: ModelReport, silence: Silence, style: Style) -> str:
    return why_silent(style.text(report.against), silence, imported=model.imported is not None)


def _do(report: Report, style: Style) -> str:
    """Say what unblocks a merge that is blocked because something can't be told."""
    if report.outcome is not Outcome.FAIL or report.override is not None:
        return ""
    undecided = [
        _same_data(report, model, style) if row.advice == SAME_DATA else row.advice
        for model in report.models
        for row in rows.of(model)
        if row.outcome is Outcome.FAIL and row.verdict is Verdict.CANT_TELL and row.advice
    ]
    contract = report.gate.contract.contract
    thread = contract is not None and contract.gate.thread
    accept = ", or let a maintainer accept it in the gate's thread" if thread else ""
    return f"{undecided[0]}{accept}" if undecided else ""


def _same_data(report: Report, model: ModelReport, style: Style) -> str:
    """Say what makes a model comparable again."""
    which = style.name(model.name) if len(report.models) > 1 else "this model"
    named = model.model.same_dataset if model.model is not None else None
    dataset = f"{style.text(named)} dataset" if named else "dataset"
    target = style.text(report.against)
    whose = "the imported baseline" if model.imported is not None else target
    return f"evaluate {which} on {whose}'s {dataset}, or train and evaluate {target} again with the new one"
