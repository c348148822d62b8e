"""What a report says first: the worst thing by name and whether it blocks, the best, how sure that is, what a merge
brings, and what has changed. The note, the pages and the job's log say the same.
"""

from dataclasses import dataclass

from mltrail_server.services.review.judged import ModelReport
from mltrail_server.services.review.reports import Report

from . import how_sure, to_do
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
    lines = [said.best(), *to_do.lines(report, style)]
    if len(report.models) == 1:
        lines += of_model(report, report.models[0], style)
    else:
        lines.append(how_sure.of_report(report, style))
    return Summary(said.icon, said.heading, tuple(line for line in lines if line is not None))


def of_model(report: Report, model: ModelReport, style: Style) -> list[Line]:
    """Say of one model how sure it is, what a merge brings, and what has changed."""
    runs = OfRuns(report, model, style)
    found = (how_sure.of_model(report, model, style), runs.on_merge(), runs.changed(), runs.not_counted())
    return [line for line in found if line is not None]
