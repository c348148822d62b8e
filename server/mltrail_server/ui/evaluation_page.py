"""An evaluation: each scorer's result for each case, for one run or two side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from urllib.parse import urlencode

from flask.typing import ResponseReturnValue
from markupsafe import Markup

from mltrail_contract import HigherOrLower
from mltrail_server.domain import numbers
from mltrail_server.domain.cases.evaluation import (
    CaseTrace,
    Change,
    EvaluatedCase,
    EvaluationResult,
    Kind,
    Mark,
    ScorerResult,
)
from mltrail_server.domain.errors import invalid, not_found
from mltrail_server.domain.traces import Trace
from mltrail_server.http.call import Call
from mltrail_server.services.pages import candidate, evaluations
from mltrail_server.services.pages.evaluations import Answered, EvaluationView

from . import assessments, differences, run_head, values
from .assessments import ShownAssessment
from .render import page
from .values import ShownValue

CASES = 100
"""How many cases a page lists."""
_BRIEF = 280
_FILTERS = {
    "broke": (Change.BROKE,),
    "fixed": (Change.FIXED,),
    "failed": (Change.BROKE, Change.FAILED),
    "passed": (Change.FIXED, Change.PASSED),
    "missing": (Change.MISSING,),
}
_LOOKS = {Change.BROKE: "danger", Change.FIXED: "success", Change.FAILED: "warning", Change.MISSING: "muted"}
_LATENCY = "_ms"


@dataclass(frozen=True, slots=True)
class Cell:
    """A scorer's result for a case on one side; `look` is the badge's. Empty if it said nothing."""

    text: str = ""
    look: str = ""


@dataclass(frozen=True, slots=True)
class ScorerCell:
    now: Cell
    before: Cell

    @property
    def differs(self) -> bool:
        return bool(self.before.text) and self.before != self.now


@dataclass(frozen=True, slots=True)
class CaseRow:
    case: EvaluatedCase
    look: str
    inputs: str
    before: Markup | str
    now: Markup | str
    cells: list[ScorerCell]


@dataclass(frozen=True, slots=True)
class ScorerRow:
    """A scorer's summary. `change` is the difference; `look` is how good that is."""

    one: ScorerResult
    now: str
    before: str
    change: str
    look: str
    problem: str
    broke: int
    fixed: int

    @property
    def passes(self) -> bool:
        """Whether it passes or fails cases."""
        return self.one.kind is Kind.PASS_FAIL or bool(self.broke or self.fixed)


@dataclass(frozen=True, slots=True)
class ShownAnswer:
    """One answer to a case: the whole output, and its assessments."""

    trace: Trace | None
    id: str
    output: ShownValue
    text: str
    said: list[ShownAssessment]
    expected: list[ShownAssessment]


def show(call: Call, iid: int) -> ResponseReturnValue:
    arguments = call.request.args
    against = _number(arguments.get("against", ""), "against")
    view = evaluations.get(call.scope, iid, against)
    if view.result is None:
        tabs = _tabs(call, iid)
        return page(call, "evaluation.html", section="experiments", view=view, one=view.run, chosen=None, **tabs)
    only = arguments.get("only", "")
    state = {
        "against": str(against) if against else "",
        "only": only if only in _FILTERS else "",
    }
    if arguments.get("case"):
        return _case(call, view, view.result, arguments["case"], state)
    first = _number(arguments.get("first", ""), "first") or 0
    return _cases(call, view, view.result, state, first)


def _tabs(call: Call, iid: int) -> dict[str, object]:
    """Return what the tabs of the run need."""
    tabs = run_head.tabs(call, candidate.get(call.scope, iid))
    return {"tabs": tabs, "tab": "evaluation", "here": f"{call.pages}/candidates/{iid}"}


def _cases(
    call: Call, view: EvaluationView, chosen: EvaluationResult, state: Mapping[str, str], first: int
) -> ResponseReturnValue:
    cases = _filtered(chosen, state["only"])
    shown = cases[first : first + CASES]
    answered = evaluations.previews(call.scope, [trace.id for one in shown for trace in _first_traces(one)])
    return page(
        call,
        "evaluation.html",
        section="experiments",
        view=view,
        one=view.run,
        chosen=chosen,
        **_tabs(call, view.run.iid),
        only=state["only"],
        scorers=[_scorer_row(chosen, one) for one in chosen.scorers],
        facts=_facts(chosen),
        counts={name: len(chosen.that(*kinds)) for name, kinds in _FILTERS.items()},
        rows=[_row(chosen, one, answered) for one in shown],
        total=len(cases),
        first=first,
        step=CASES,
        link=_linker(state),
    )


def _case(
    call: Call, view: EvaluationView, chosen: EvaluationResult, case_id: str, state: Mapping[str, str]
) -> ResponseReturnValue:
    one = next((one for one in chosen.cases if one.id == case_id), None)
    if one is None:
        raise not_found("This evaluation has no such case: neither run answered it.")
    previous, following = _neighbours(_filtered(chosen, state["only"]), one)
    traces = [trace.id for trace in (*one.here, *one.baseline)]
    answered = evaluations.answers(call.scope, traces)
    here, before = ([_answer(trace, answered) for trace in side] for side in (one.here, one.baseline))
    inputs = next((values.shown(found.inputs) for found in answered.values() if found.inputs is not None), None)
    diff = differences.sides(before[0].text, here[0].text) if here and before else None
    expected = {said.one.name: said for answer in (*before, *here) for said in answer.expected}
    return page(
        call,
        "evaluation_case.html",
        section="experiments",
        view=view,
        one=view.run,
        chosen=chosen,
        case=one,
        look=_LOOKS.get(one.change, "neutral"),
        inputs=inputs,
        expected=list(expected.values()),
        here=here,
        before=before,
        diff=diff,
        same=bool(diff) and before[0].text == here[0].text,
        cells=[(scorer, _scorer_cell(scorer, one)) for scorer in chosen.scorers],
        previous=previous,
        next=following,
        link=_linker(state),
    )


def _neighbours(
    cases: Sequence[EvaluatedCase], one: EvaluatedCase
) -> tuple[EvaluatedCase | None, EvaluatedCase | None]:
    """Return the cases before and after one, where there are any."""
    if one not in cases:
        return None, None
    around = [None, *cases, None]
    place = around.index(one)
    return around[place - 1], around[place + 1]


def _linker(state: Mapping[str, str]):  # type: ignore[no-untyped-def] # noqa: ANN202
    def link(**changes: object) -> str:
        pairs = {**state, **{name: str(value) if value else "" for name, value in changes.items()}}
        return "?" + urlencode([(name, value) for name, value in pairs.items() if value])

    return link


def _filtered(chosen: EvaluationResult, only: str) -> tuple[EvaluatedCase, ...]:
    return chosen.that(*_FILTERS[only]) if only else chosen.cases


def _number(text: str, name: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 18):
        raise invalid(f"{name} must be a number, not '{text[:20]}'.")
    return int(text)


def _first_traces(case: EvaluatedCase) -> list[CaseTrace]:
    return [*case.here[:1], *case.baseline[:1]]


def _row(chosen: EvaluationResult, case: EvaluatedCase, traces: Mapping[str, Trace]) -> CaseRow:
    now, before = (traces.get(side[0].id) if side else None for side in (case.here, case.baseline))
    inputs = next((_brief(one.request_preview) for one in (now, before) if one), "")
    said_now, said_before = (_brief(one.response_preview) if one else "" for one in (now, before))
    shown_before, shown_now = differences.sides(said_before, said_now) if said_before and said_now else ("", said_now)
    return CaseRow(
        case,
        _LOOKS.get(case.change, "neutral"),
        inputs,
        shown_before or said_before,
        shown_now,
        [_scorer_cell(scorer, case) for scorer in chosen.scorers],
    )


def _brief(preview: str | None) -> str:
    return values.brief(values.parsed(preview), _BRIEF)


def _scorer_cell(scorer: ScorerResult, case: EvaluatedCase) -> ScorerCell:
    now, before = (
        _cell(scorer, [trace.marks[scorer.name] for trace in side if scorer.name in trace.marks])
        for side in (case.here, case.baseline)
    )
    return ScorerCell(now, before)


def _cell(scorer: ScorerResult, marks: Sequence[Mark]) -> Cell:
    """Sum up a scorer's results for a case, which may have been answered several times."""
    if not marks:
        return Cell()
    passed = [one.passed for one in marks if one.passed is not None]
    look = _look(passed)
    found = [float(one.value) for one in marks if isinstance(one.value, (int, float))]
    if scorer.kind is Kind.SCORE and found:
        return Cell(numbers.at_a_glance(fmean(found)), look)
    if len(marks) > 1 and passed:
        return Cell(f"{sum(passed)} of {len(passed)} pass", look)
    if marks[0].error:
        return Cell("error", "danger")
    return Cell(assessments.badge_of(marks[0].value)[0], look)


def _look(passed: Sequence[bool]) -> str:
    if not passed:
        return "neutral"
    if all(passed):
        return "success"
    return "warning" if any(passed) else "danger"


def _scorer_row(chosen: EvaluationResult, one: ScorerResult) -> ScorerRow:
    rate = one.kind is Kind.PASS_FAIL
    now, before = (_value(value, rate=rate) for value in one.values)
    change, look = "", ""
    if one.values.here is not None and one.values.baseline is not None:
        delta = one.values.here - one.values.baseline
        change = "=" if delta == 0 else numbers.change(delta, relative=None, rate=rate, show_relative=False)
        gain = -delta if one.result.table.better is HigherOrLower.LOWER else delta
        look = "" if delta == 0 or one.result.compared is None else "better" if gain > 0 else "worse"
    broke, fixed = (
        sum(one.name in case.broke for case in chosen.cases),
        sum(one.name in case.fixed for case in chosen.cases),
    )
    return ScorerRow(one, now, before, change, look, one.result.problem, broke, fixed)


def _value(value: float | None, *, rate: bool) -> str:
    if value is None:
        return ""
    return f"{value * 100:.1f} %" if rate else numbers.at_a_glance(value)


def _facts(chosen: EvaluationResult) -> list[tuple[str, str, str]]:
    """List latency, tokens and cost: name, baseline and here."""
    found = []
    for key, sides in chosen.traces.items():
        name = key.removeprefix("traces/").replace("_", " ")
        before, now = ("" if value is None else numbers.at_a_glance(value) for value in (sides.baseline, sides.here))
        found.append((name, before, now))
    return found


def _answer(trace: CaseTrace, answered: Mapping[str, Answered]) -> ShownAnswer:
    found = answered.get(trace.id)
    if found is None:
        return ShownAnswer(None, trace.id, values.shown(None), "", [], [])
    shown = assessments.listed(one for one in found.assessments if one.valid)
    return ShownAnswer(
        found.trace,
        trace.id,
        values.shown(found.outputs),
        _text(found.outputs),
        [one for one in shown if one.one.kind.name != "EXPECTATION"],
        [one for one in shown if one.one.kind.name == "EXPECTATION"],
    )


def _text(outputs: object) -> str:
    """Write an answer as a text, to be compared word by word."""
    brief = values.brief(outputs, values.MOST)
    return brief if isinstance(outputs, str) or brief else values.indented(outputs)[0]
