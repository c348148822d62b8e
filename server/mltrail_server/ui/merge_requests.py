"""Merge requests: what the note says, what it said for earlier pipelines, and why it was not posted."""

from dataclasses import replace
from typing import Any

from flask.typing import ResponseReturnValue

from mltrail_contract import Outcome
from mltrail_server.domain.conclusion import Level
from mltrail_server.domain.errors import forbidden, invalid
from mltrail_server.http.call import Call
from mltrail_server.services.pages import merge_requests
from mltrail_server.services.pages.merge_requests import MergeRequestView, RequestList
from mltrail_server.services.review import note
from mltrail_server.services.review.reports import Report

from . import course, live, request_history, verdict_rows
from .render import page, server_url

_PAGE = 50
_STATES = {"opened": "Open", "merged": "Merged", "closed": "Closed", "all": "All"}
_MOST_RUNS = 200
_LEVELS = {Level.GOOD: "good", Level.BAD: "warned", Level.NEUTRAL: "quiet", Level.UNKNOWN: "unknown"}
_OUTCOMES = {"pass": "success", "warn": "warning", "fail": "danger"}


def listed(call: Call) -> ResponseReturnValue:
    _check(call)
    state = call.request.args.get("state", "opened")
    if state not in _STATES:
        raise invalid(f"state must be one of {', '.join(_STATES)}, not '{state[:20]}'.")
    wanted = None if state == "all" else state
    found = merge_requests.listed(call.scope, state=wanted, before=_number(call, "before"), limit=_PAGE)
    return page(
        call,
        "merge_requests.html",
        section="merge_requests",
        found=found,
        state=state,
        states=[(one, label, _count(found, one)) for one, label in _STATES.items()],
        word=request_history.word,
        refused=merge_requests.refused_issues(call.scope),
    )


def _count(found: RequestList, state: str) -> int:
    return sum(found.counts.values()) if state == "all" else found.counts.get(state, 0)


def show(call: Call, iid: int) -> ResponseReturnValue:
    _check(call)
    view = merge_requests.get(call.scope, iid, _number(call, "pipeline"))
    return shown(call, view)


def latest(call: Call, iid: int) -> ResponseReturnValue:
    """Tell static/live.js whether its page is still up to date; 304 if it is."""
    _check(call)
    known = merge_requests.known(call.scope, iid)
    return live.answered(call, {"moves": known.moves}, known.mark)


def shown(call: Call, view: MergeRequestView) -> str:
    """Render the page of a merge request."""
    report = view.report.report if view.report else None
    return page(
        call,
        "merge_request.html",
        section="merge_requests",
        view=view,
        known=view.known,
        request=view.known.request,
        comment=view.report.text if view.report else "",
        report=report,
        history=request_history.of(view.known, view.shown),
        **({} if report is None else _said(call, report)),
    )


def _said(call: Call, report: Report) -> dict[str, Any]:
    """Say all that the note says, in its words, with what a page has room for."""
    settings = replace(call.deps.settings, external_url=server_url(call))
    on = note.page_of(report, settings=settings, project_path=call.actor.project_path, detail=_MOST_RUNS)
    said = note.contents(replace(on, roomy=True, sees_cases=call.sees_traces))
    shown_models = [one["report"] for one in said["models"]]
    return {
        "said": said,
        "tone": _tone(report),
        "rules": verdict_rows.rules(shown_models),
        "rows": [verdict_rows.of_model(one, models=len(shown_models)) for one in shown_models],
        "bests": [verdict_rows.best(report, one) for one in shown_models],
        "courses": [None if one["course"] is None else course.drawn(one["course"]) for one in said["models"]],
        "outcomes": _OUTCOMES,
    }


def _tone(report: Report) -> str:
    """Choose the colour of the first line, which its icon has too."""
    if report.waiting:
        return "waiting"
    if report.override is not None:
        return "accepted"
    if report.outcome is Outcome.FAIL:
        return "failed"
    unknown = report.conclusion.level is Level.UNKNOWN and not report.gate.contract.problems
    if report.outcome is Outcome.WARN:
        return "unknown" if unknown else "warned"
    return _LEVELS[report.conclusion.level]


def _check(call: Call) -> None:
    """Refuse people to whom GitLab would not show a private project's merge requests: this page has titles and
    branches.
    """
    if not call.actor.sees_merge_requests:
        raise forbidden(
            f"{call.actor.user_name} needs at least the Reporter role in {call.actor.project_path} to see its merge "
            "requests, as in GitLab."
        )


def _number(call: Call, name: str) -> int | None:
    text = call.request.args.get(name, "")
    if not text:
        return None
    digits = text.removeprefix("-")  # which numbers of a former GitLab have
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 18):
        raise invalid(f"{name} must be a number, not '{text[:20]}'.")
    return int(text)
