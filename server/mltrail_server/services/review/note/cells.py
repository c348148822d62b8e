"""Pieces that many parts of a note use. Everything here is safe `Markdown`."""

from dataclasses import dataclass

from mltrail_server.domain import former
from mltrail_server.domain.cases.evaluation import EvaluatedCase, EvaluationResult
from mltrail_server.domain.grouping import Run
from mltrail_server.domain.markdown import Markdown, code, link, name
from mltrail_server.services.context import links
from mltrail_server.services.review import rows
from mltrail_server.services.review.reports import Report
from mltrail_server.services.review.rows import Row
from mltrail_server.services.review.summary import Style
from mltrail_server.settings import Settings
from mltrail_server.store.ci.pipelines import Pipeline

_LONGEST_ID = 300
_MOST_ON_A_PAGE = 200


@dataclass(frozen=True, slots=True)
class Page:
    """What all parts of one note share. `path` is the project's; `target` names what is compared with; `detail` is how
    many runs a table may list, and 0 leaves out whatever can be left out. `roomy` is set for the page of the merge
    request, which has room for more than a note; `sees_cases` is False if whoever reads that page may not see answers.
    """

    report: Report
    settings: Settings
    path: str
    target: Markdown
    detail: int
    roomy: bool = False
    sees_cases: bool = True

    def most(self, of_note: int) -> int:
        """Return how many of something are listed, of which a note lists at most `of_note`."""
        return max(_MOST_ON_A_PAGE, of_note) if self.roomy else of_note

    @property
    def style(self) -> Style:
        return Style(name, code, self._run, self.case)

    def _run(self, run: Run) -> Markdown:
        return link(name(run.name), self.candidate(run.iid))

    def case(self, evaluation: EvaluationResult, one: EvaluatedCase) -> Markdown:
        """Link to both answers to a case; if its id is too long for a link, to the evaluation."""
        case = one.id if len(one.id) <= _LONGEST_ID else None
        return link(code(one.label or one.id), self.evaluation(evaluation, case=case))

    def evaluation(self, one: EvaluationResult, *, only: str | None = None, case: str | None = None) -> str | None:
        if not self.sees_cases:
            return None
        return links.evaluation(self.settings, self.path, one.candidate, against=one.baseline, only=only, case=case)

    def pipeline(self, pipeline: Pipeline, text: Markdown | str | None = None) -> Markdown:
        url = pipeline.web_url or links.pipeline(self.settings, self.path, pipeline.id)
        return link(text if text is not None else Markdown(f"pipeline {former.original(pipeline.id)}"), url)

    def candidate(self, iid: int) -> str:
        return links.candidate(self.settings, self.path, iid)


def row(one: Row) -> dict[str, Markdown]:
    """Write a row of the table: its verdict with the metric, both values, and what that means."""
    # A column of a phone is narrow: the evaluation stands below its scorer.
    title, of = (one.metric, "") if one.scorer is None else (one.scorer.name, f"{code(one.evaluation)}, ")
    better = f"<br><sub>{of}{one.better}</sub>" if one.better else ""
    start, end = rows.texts(one)
    return {
        "verdict": Markdown(f"{one.icon} **{one.verdict}**<br>{name(title)}{better}"),
        "values": Markdown(f"{start} → **{end}** {rows.unit(one)}".rstrip()),
        "means": Markdown(one.says(code)),
    }
