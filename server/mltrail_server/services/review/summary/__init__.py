"""What a report says first: the worst thing by name and whether it blocks, the best, how sure that is, what a merge
brings, and what has changed. The note, the pages and the job's log say the same.
"""

from dataclasses import dataclass

from mltrail_server.services.review.judged import ModelReport
from mltrail_server.services.review.reports import Report

from . import evaluations, how_sure, imported, to_do
from .model import among_many, heading
from .report import OfReport
from .runs import OfRuns
from .style import PLAIN, Line, Style, capital

__all__ = ["PLAIN", "Line", "Style", "Summary", "among_many", "capital", "heading", "of_model", "of_report"]


@dataclass(frozen=True, slots=True)
class Summary:
    icon: str
    heading: str
    lines: tuple[Line, ...]


def of_report(report: Report, style: Style) -> Summary:
    """Say what a whole report says. Where there is one model, all that is said of it is said here."""
    said = OfReport(report, style)
    if len(report.models) == 1:
        (model,) = report.models
        lines = [*_cases(report, model, style), said.best(), *to_do.lines(report, style)]
        lines += _of_model(report, model, style)
    else:
        lines = [said.best(), *to_do.lines(report, style), how_sure.of_report(report, style)]
    return Summary(said.icon, said.heading, tuple(line for line in lines if line is not None))


def of_model(report: Report, model: ModelReport, style: Style) -> list[Line]:
    """Say of one model which cases broke, how sure it is, what was imported, what a merge brings, and what changed."""
    return [*_cases(report, model, style), *_of_model(report, model, style)]


def _cases(report: Report, model: ModelReport, style: Style) -> list[Line]:
    return [] if report.waiting else evaluations.of_model(model, style)


def _of_model(report: Report, model: ModelReport, style: Style) -> list[Line]:
    runs = OfRuns(report, model, style)
    found = (
        how_sure.of_model(report, model, style),
        imported.of_model(report, model, style),
        runs.on_merge(),
        runs.changed(),
        runs.not_counted(),
    )
    return [line for line in found if line is not None]
