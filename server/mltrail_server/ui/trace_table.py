"""An experiment's traces: a table that is searched with MLflow's filter, and by a few choices for those who do not know
it.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Self
from urllib.parse import urlencode

from flask import redirect
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from mltrail_server.domain.assessments import Assessment, Kind
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.traces import NAME_TAG, TOKENS_KEY
from mltrail_server.http.call import Call
from mltrail_server.services.pages import candidate, traces
from mltrail_server.services.pages.traces import ListedTrace

from . import run_head, sentences, values
from .assessments import badge_of
from .render import page

PAGE = 50
_BRIEF = 200
_MOST_ASSESSMENTS = 4
_STATES = {"OK": "OK", "ERROR": "Failed", "IN_PROGRESS": "In progress"}
_FIELDS = (
    "trace.status",
    "trace.name",
    "trace.timestamp_ms",
    "trace.execution_time_ms",
    "trace.run_id",
    "trace.text",
    "trace.client_request_id",
    "tag.",
    "metadata.",
    "feedback.",
    "expectation.",
    "span.name",
    "span.type",
    "span.status",
    "prompt",
)


@dataclass(frozen=True, slots=True)
class TraceFilter:
    """What is searched for, all of it in the address. `text` is MLflow's filter; the others are a quick one, written in
    its language, which finds yes and no however scorers write them.
    """

    text: str = ""
    state: str = ""
    session: str = ""
    name: str = ""
    feedback: str = ""
    value: str = ""
    page: str = ""
    at: str = ""  # when the first page was asked for, in milliseconds

    @classmethod
    def read(cls, arguments: MultiDict[str, str], now: int) -> Self:
        given = {
            key: arguments.get(key, "").strip() for key in ("state", "session", "name", "feedback", "value", "page")
        }
        if given["state"] not in _STATES:
            given["state"] = ""
        at = arguments.get("at", "")
        given["at"] = at if given["page"] and at.isascii() and at.isdecimal() and len(at) < 15 else str(now)
        return cls(arguments.get("filter", "").strip(), **given)

    @property
    def now(self) -> int:
        """What `last 7 days` is counted from: a later page continues the search that the first one began."""
        return int(self.at)

    @property
    def quick(self) -> str:
        """Return the choices as a filter of MLflow's."""
        parts = []
        if self.state:
            parts.append(f"trace.status = '{self.state}'")
        if self.name:
            parts.append(f"trace.name = {_quoted(self.name)}")
        if self.session:
            parts.append(f"metadata.`mlflow.trace.session` = {_quoted(self.session)}")
        if self.feedback:
            key = self.feedback.replace("`", "")
            parts.append(f"feedback.`{key}` = {_quoted(self.value or 'no')}")
        return " AND ".join(parts)

    def pairs(self) -> list[tuple[str, str]]:
        """List the query's names and values, without the page."""
        found = [("filter", self.text), ("state", self.state), ("session", self.session), ("name", self.name)]
        if self.feedback:
            found += [("feedback", self.feedback), ("value", self.value)]
        return [(key, value) for key, value in found if value]

    def url(self, **changes: str) -> str:
        changed = replace(self, **{"page": "", **changes})
        paged = [("page", changed.page), ("at", changed.at)] if changed.page else []
        return "?" + urlencode([*changed.pairs(), *paged])


@dataclass(frozen=True, slots=True)
class TraceRow:
    listed: ListedTrace
    name: str
    request: str
    response: str
    tokens: str
    assessments: list[tuple[str, str, str]]  # name, value and look of each assessment
    more: int


def show(call: Call, iid: int) -> ResponseReturnValue:
    """Show a page of an experiment's traces. A wrong filter is explained above the table, which then has all traces."""
    wanted = TraceFilter.read(call.request.args, call.scope.now)
    problem = ""
    try:
        token = wanted.page or None
        found = traces.listed(
            call.scope, iid, filter_text=wanted.text, quick=wanted.quick, now=wanted.now, limit=PAGE, token=token
        )
    except MltrailError as error:
        if error.code is not Code.INVALID:
            raise
        problem = sentences.of(error)
        found = traces.listed(call.scope, iid, filter_text="", limit=PAGE, token=None)
    feedback = {assessment.name for one in found.items for assessment in one.assessments}
    rows = [_row(one) for one in found.items]
    return page(
        call,
        "traces.html",
        section="traces",
        experiment=found.experiment,
        rows=rows,
        next_token=found.next_token,
        wanted=wanted,
        problem=problem,
        states=_STATES,
        feedback_names=sorted(feedback)[:50],
        fields=_FIELDS,
        names=sorted({row.name for row in rows})[:50],
    )


def of_run(call: Call, iid: int) -> ResponseReturnValue:
    """Show the traces of a run, the newest first, as a tab of its page."""
    view = candidate.get(call.scope, iid)
    one = view.run.candidate
    wanted = TraceFilter.read(call.request.args, call.scope.now)
    filter_text, problem = f"trace.run_id = '{one.eid}'", ""
    both = f"{filter_text} AND {wanted.text}" if wanted.text else filter_text
    listing = partial(traces.listed, call.scope, one.experiment_iid, now=wanted.now, limit=PAGE)
    try:
        found = listing(filter_text=both, quick=wanted.quick, token=wanted.page or None)
    except MltrailError as error:
        if error.code is not Code.INVALID:
            raise
        problem = sentences.of(error)
        found = listing(filter_text=filter_text, token=None)
    return run_head.page(
        call,
        "run_traces.html",
        "traces",
        view,
        rows=[_row(listed) for listed in found.items],
        next_token=found.next_token,
        wanted=wanted,
        problem=problem,
        states=_STATES,
        fields=_FIELDS,
    )


def latest(call: Call) -> ResponseReturnValue:
    """Go to the traces of the experiment that got the newest one."""
    iid = traces.newest_experiment(call.scope)
    return redirect(f"{call.pages}/experiments/{iid}/traces" if iid is not None else f"{call.pages}/experiments", 302)


def _row(one: ListedTrace) -> TraceRow:
    usage = values.pairs(one.trace.metadata.get(TOKENS_KEY))
    total = usage.get("total_tokens")
    valid = [assessment for assessment in one.assessments if assessment.valid and assessment.kind is Kind.FEEDBACK]
    valid.sort(key=lambda assessment: assessment.name)
    return TraceRow(
        one,
        one.trace.tags.get(NAME_TAG) or one.trace.id,
        values.brief(values.parsed(one.trace.request_preview), _BRIEF),
        values.brief(values.parsed(one.trace.response_preview), _BRIEF),
        f"{total:,}" if isinstance(total, int) else "",
        [(assessment.name, *_badge(assessment)) for assessment in valid[:_MOST_ASSESSMENTS]],
        max(0, len(valid) - _MOST_ASSESSMENTS),
    )


def _badge(assessment: Assessment) -> tuple[str, str]:
    if assessment.error and assessment.value is None:
        return "failed", "danger"
    return badge_of(assessment.value, assessment.kind)


def _quoted(text: str) -> str:
    """Write a text as a value of a filter."""
    return f"'{text}'" if "'" not in text else '"{}"'.format(text.replace('"', ""))
