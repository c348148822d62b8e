"""One trace: its spans on a time axis, each span's inputs and outputs, and the assessments."""

from dataclasses import dataclass
from typing import Any

from flask.typing import ResponseReturnValue

from mltrail_server.domain import semantic_conventions, span_facts
from mltrail_server.domain.span_tree import PlacedSpan
from mltrail_server.domain.spans import Span, SpanEvent
from mltrail_server.domain.traces import COST_KEY, NAME_TAG, TOKENS_KEY
from mltrail_server.http.call import Call
from mltrail_server.services.pages import traces
from mltrail_server.services.pages.traces import TraceView

from . import assessments, values
from .render import duration, page
from .values import ShownValue

SPANS = 500
"""How many spans a page lists."""
_MOST_DEPTH = 12
_MOST_EVENTS = 50
_MOST_ATTRIBUTES = 200
_THOUSAND = 1000
_SHOWN_ELSEWHERE = frozenset(
    {
        span_facts.INPUTS,
        span_facts.OUTPUTS,
        span_facts.TYPE,
        span_facts.TRACE_ID,
        span_facts.EXPERIMENT_ID,
        span_facts.TOKENS,
        span_facts.COST,
    }
)
_MODELS = (semantic_conventions.MODEL, "gen_ai.request.model", "llm.model_name")


@dataclass(frozen=True, slots=True)
class SpanRow:
    """A span in the list. `x` and `width` are thousandths of the whole time."""

    id: str
    name: str
    type: str
    depth: int
    x: int
    width: int
    took: str
    tokens: str
    look: str
    runs: bool
    said: int


@dataclass(frozen=True, slots=True)
class ShownEvent:
    name: str
    after: str
    message: str
    stack: str
    attributes: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ShownSpan:
    """The selected span, with everything it contains."""

    span: Span
    type: str
    after: str
    took: str
    inputs: ShownValue
    outputs: ShownValue
    facts: list[tuple[str, str]]
    attributes: list[tuple[str, ShownValue]]
    events: list[ShownEvent]


def show(call: Call, trace_id: str) -> ResponseReturnValue:
    view = traces.get(call.scope, trace_id)
    arguments = call.request.args
    wanted = arguments.get("span", "")
    place = next((number for number, one in enumerate(view.spans) if one.span.id == wanted), 0)
    first = _first(arguments.get("first"), len(view.spans), place)
    chosen = view.spans[place] if view.spans else None
    said: dict[str | None, int] = {}
    for assessment in view.assessments:
        said[assessment.span_id] = said.get(assessment.span_id, 0) + 1
    shown = assessments.listed(view.assessments)
    one = view.trace
    return page(
        call,
        "trace.html",
        section="traces",
        view=view,
        one=one,
        name=name_of(view),
        state=one.state.name,
        begins=view.spans[0].span.started_ns if view.spans else 0,
        rows=[_row(placed, said.get(placed.span.id, 0)) for placed in view.spans[first : first + SPANS]],
        first=first,
        step=SPANS,
        chosen=None if chosen is None else _shown(chosen, view.spans[0].span.started_ns),
        request=values.shown(values.parsed(one.request_preview)),
        response=values.shown(values.parsed(one.response_preview)),
        facts=_facts(view),
        said=[one for one in shown if one.one.valid],
        replaced=[one for one in shown if not one.one.valid],
        names=sorted({one.name for one in view.assessments}),
        tags=sorted(one.tags.items()),
        metadata=sorted(one.metadata.items()),
    )


def name_of(view: TraceView) -> str:
    root = view.spans[0].span.name if view.spans else ""
    return view.trace.tags.get(NAME_TAG) or root or view.trace.id


def took(nanoseconds: int) -> str:
    """Write how long a span took, from microseconds to hours."""
    milliseconds = nanoseconds / 1e6
    if milliseconds >= _THOUSAND:
        return duration(round(milliseconds))
    return f"{milliseconds:.3g} ms" if milliseconds >= 1 else f"{nanoseconds / 1e3:.3g} µs"


def tokens(usage: dict[str, object]) -> str:
    """Write how many tokens went in and out."""
    total, into, out = (usage.get(f"{what}_tokens") for what in ("total", "input", "output"))
    if isinstance(into, int) and isinstance(out, int):
        return f"{into:,} in, {out:,} out"
    return f"{total:,}" if isinstance(total, int) else ""


def cost(of: dict[str, object]) -> str:
    total = of.get("total_cost")
    return f"${total:.3g}" if isinstance(total, (int, float)) else ""


def _first(text: str | None, spans: int, place: int) -> int:
    """Read from which span on the list is shown: as asked for, or so that the chosen one is in it."""
    given = int(text) if text and text.isascii() and text.isdecimal() and len(text) < 9 else place
    return min(given, max(0, spans - 1)) // SPANS * SPANS


def _facts(view: TraceView) -> list[tuple[str, str]]:
    one = view.trace
    found = [
        ("Tokens", tokens(values.pairs(one.metadata.get(TOKENS_KEY)))),
        ("Cost", cost(values.pairs(one.metadata.get(COST_KEY)))),
        ("Spans", f"{len(view.spans):,}" if view.spans else ""),
        ("User", one.end_user or ""),
        ("Request id", one.client_request_id or ""),
    ]
    return [(label, text) for label, text in found if text]


def _row(placed: PlacedSpan, said: int) -> SpanRow:
    span = placed.span
    width = max(4, round(placed.width * _THOUSAND))
    usage = span.attributes.get(span_facts.TOKENS)
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    return SpanRow(
        span.id,
        span.name,
        _type(span),
        min(placed.depth, _MOST_DEPTH),
        min(_THOUSAND - min(width, _THOUSAND), round(placed.start * _THOUSAND)),
        min(width, _THOUSAND),
        took(placed.ended_ns - span.started_ns),
        f"{total:,}" if isinstance(total, int) else "",
        "failed" if span.status == "ERROR" else span.type.lower() if span.type in _COLOURED else "",
        span.ended_ns is None,
        said,
    )


_COLOURED = frozenset({"LLM", "CHAT_MODEL", "TOOL", "RETRIEVER", "AGENT", "EMBEDDING", "RERANKER"})


def _type(span: Span) -> str:
    return "" if span.type in ("", "UNKNOWN") else span.type[:30].replace("_", " ").lower()


def _shown(placed: PlacedSpan, begins: int) -> ShownSpan:
    span = placed.span
    usage, spent = span.attributes.get(span_facts.TOKENS), span.attributes.get(span_facts.COST)
    model = next((span.attributes[key] for key in _MODELS if span.attributes.get(key)), "")
    facts = [
        ("Model", values.line(model, 200)),
        ("Tokens", tokens(usage) if isinstance(usage, dict) else ""),
        ("Cost", cost(spent) if isinstance(spent, dict) else ""),
    ]
    others = [(key, span.attributes[key]) for key in sorted(span.attributes) if key not in _SHOWN_ELSEWHERE]
    return ShownSpan(
        span,
        _type(span),
        took(span.started_ns - begins),
        "still running" if span.ended_ns is None else took(placed.ended_ns - span.started_ns),
        values.shown(span.inputs),
        values.shown(span.outputs),
        [(label, text) for label, text in facts if text],
        [(key, values.shown(value, 5_000)) for key, value in others[:_MOST_ATTRIBUTES]],
        [_event(event, begins) for event in span.events[:_MOST_EVENTS]],
    )


def _event(event: SpanEvent, begins: int) -> ShownEvent:
    given: dict[str, Any] = dict(event.attributes)
    kind, message = (values.line(given.pop(f"exception.{what}", None), 5_000) for what in ("type", "message"))
    stack = values.line(given.pop("exception.stacktrace", None), 20_000)
    said = ": ".join(part for part in (kind, message) if part)
    rest = [(key, values.line(value, 2_000)) for key, value in sorted(given.items())[:_MOST_ATTRIBUTES]]
    return ShownEvent(event.name, took(max(0, event.at_ns - begins)), said, stack, rest)
