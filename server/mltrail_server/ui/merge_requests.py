"""Merge requests: what the note says, what it said for earlier pipelines, and why it was not posted."""

from flask.typing import ResponseReturnValue

from mltrail_server.domain.conclusion import Level
from mltrail_server.domain.errors import forbidden, invalid
from mltrail_server.domain.verdict import Verdict
from mltrail_server.http.call import Call
from mltrail_server.services.pages import merge_requests
from mltrail_server.services.review import rows, summary
from mltrail_server.services.review.judged import ModelReport
from mltrail_server.services.review.reports import Report
from mltrail_server.services.review.rows import Row
from mltrail_server.services.review.summary import Line

from .render import page

_PAGE = 50
_KINDS = {Level.GOOD: "success", Level.BAD: "danger", Level.NEUTRAL: "neutral", Level.UNKNOWN: "warning"}
_VERDICTS = {
    Verdict.BETTER: "success",
    Verdict.WORSE: "danger",
    Verdict.CANT_TELL: "warning",
}
_OUTCOMES = {"pass": "success", "warn": "warning", "fail": "danger"}


class _OfModel:
    """What the template asks of each model, in the words of the comment."""

    values = staticmethod(rows.values)
    verdicts = staticmethod(rows.of)

    @staticmethod
    def heading(model: ModelReport) -> str:
        return summary.heading(model, summary.PLAIN)[1]

    @staticmethod
    def lines(report: Report, model: ModelReport) -> list[Line]:
        return summary.of_model(report, model, summary.PLAIN)

    @staticmethod
    def kind(row: Row) -> str:
        return _VERDICTS.get(row.verdict, "neutral")


def listed(call: Call) -> ResponseReturnValue:
    _check(call)
    found, more = merge_requests.listed(call.scope, before=_number(call, "before"), limit=_PAGE)
    refused = merge_requests.refused_issues(call.scope)
    return page(call, "merge_requests.html", section="merge_requests", requests=found, more=more, refused=refused)


def show(call: Call, iid: int) -> ResponseReturnValue:
    _check(call)
    view = merge_requests.get(call.scope, iid, _number(call, "pipeline"))
    report = view.report.report if view.report else None
    return page(
        call,
        "merge_request.html",
        section="merge_requests",
        view=view,
        request=view.request,
        comment=view.report.text if view.report else "",
        report=report,
        said=None if report is None else summary.of_report(report, summary.PLAIN),
        of_model=_OfModel,
        kinds=_KINDS,
        outcomes=_OUTCOMES,
        quoted="“{}”".format,
    )


def _check(call: Call) -> None:
    """Refuse people to whom GitLab would not show a private project's merge requests: this page has titles and
    branches.
    """
    if not call.actor.sees_merge_requests:
        raise forbidden(
            f"{call.actor.user_name} has less than the Reporter role in {call.actor.project_path}; GitLab shows merge "
            "requests from that role on."
        )


def _number(call: Call, name: str) -> int | None:
    text = call.request.args.get(name, "")
    if not text:
        return None
    digits = text.removeprefix("-")  # which numbers of a former GitLab have
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 18):
        raise invalid(f"{name} must be a number, not '{text[:20]}'.")
    return int(text)
