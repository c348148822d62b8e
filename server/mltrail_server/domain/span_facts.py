"""What a trace's spans say about the trace as a whole.

Attribute names are MLflow's: https://mlflow.org/docs/latest/genai/tracing/
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeGuard

INPUTS = "mlflow.spanInputs"
OUTPUTS = "mlflow.spanOutputs"
TYPE = "mlflow.spanType"
TOKENS = "mlflow.chat.tokenUsage"
COST = "mlflow.llm.cost"
TRACE_ID = "mlflow.traceRequestId"
EXPERIMENT_ID = "mlflow.experimentId"
TRACE_TAG = "mlflow.traceTag."
SESSION = "session.id"
CONVERSATION = "gen_ai.conversation.id"
USER = "user.id"
UNKNOWN_TYPE = "UNKNOWN"

MAX_PREVIEW = 1000

_TOKENS = ("input_tokens", "output_tokens", "total_tokens")
_CACHED_TOKENS = (
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation_input_tokens_above_1hr",
)
_COSTS = ("input_cost", "output_cost", "total_cost")


class Step(Protocol):
    """What is asked of a span, in whichever form it is."""

    @property
    def id(self) -> str: ...
    @property
    def parent_id(self) -> str | None: ...
    @property
    def attributes(self) -> Mapping[str, Any]: ...


def preview(value: object, role: str) -> str:
    """Shorten what went into a trace, or came out of it, as MLflow does: of a conversation the last message of the role
    (`user` or `assistant`), of anything else the beginning of its JSON.
    """
    text = _last_message(value, role) or json.dumps(value, ensure_ascii=False, default=str)
    text = text.replace("\x00", "\ufffd")  # PostgreSQL can't store it
    return text if len(text) <= MAX_PREVIEW else text[: MAX_PREVIEW - 3] + "..."


def tokens(spans: Sequence[Step]) -> dict[str, int]:
    """Add up the tokens that a trace's spans used; empty if none says so."""
    sums = _sums(spans, TOKENS, (*_TOKENS, *_CACHED_TOKENS))
    found = {name: int(value) for name, value in sums.items()}
    return {name: found.get(name, 0) for name in _TOKENS} | found if found else {}


def cost(spans: Sequence[Step]) -> dict[str, float]:
    """Add up what a trace's spans cost, in US dollars; empty if none says so."""
    sums = _sums(spans, COST, _COSTS)
    return {name: sums.get(name, 0.0) for name in _COSTS} if sums else {}


def _sums(spans: Sequence[Step], attribute: str, names: Sequence[str]) -> dict[str, float]:
    """Add up an attribute's numbers over a tree of spans. A span that has the attribute speaks for all below it: some
    libraries set the sum on the parent.
    """
    given = {span.id: _numbers(span.attributes.get(attribute), names) for span in spans}
    if not any(given.values()):
        return {}
    parents = {span.id: span.parent_id for span in spans}
    spoken_for: dict[str, bool] = {}
    sums: dict[str, float] = {}
    for span_id, numbers in given.items():
        if numbers and not _is_below(span_id, parents, given, spoken_for):
            for name, value in numbers.items():
                sums[name] = sums.get(name, 0) + value
    return sums


def _is_below(
    span_id: str,
    parents: Mapping[str, str | None],
    given: Mapping[str, Mapping[str, float]],
    spoken_for: dict[str, bool],
) -> bool:
    """Return whether a span above this one has the attribute. `spoken_for` remembers the answers, so that each span is
    visited once; ids that form a circle, which only a broken client sends, end the way up.
    """
    way: list[str] = []
    seen: set[str] = set()
    current = span_id
    answer = False
    while current not in spoken_for and current not in seen:
        seen.add(current)
        way.append(current)
        above = parents.get(current)
        if above is None or above not in parents:
            break
        if given[above]:
            answer = True
            break
        current = above
    else:
        answer = spoken_for.get(current, False)
    spoken_for.update(dict.fromkeys(way, answer))
    return answer


def _numbers(value: object, names: Iterable[str]) -> dict[str, float]:
    if not isinstance(value, Mapping):
        return {}
    found: dict[str, float] = {}
    for name in names:
        number = value.get(name)
        if isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number):
            found[name] = number
    return found


def _last_message(value: object, role: str) -> str:
    messages = _messages(value)
    if not messages:
        return ""
    last = next((one for one in reversed(messages) if one.get("role") == role), messages[-1])
    content = last["content"]
    if isinstance(content, str):
        return content
    for part in content if isinstance(content, list) else []:
        if isinstance(part, str):
            return part
        if isinstance(part, dict) and part.get("type") in ("text", "output_text") and isinstance(part.get("text"), str):
            text: str = part["text"]
            return text
    return ""


def _messages(value: object) -> list[dict[str, Any]]:
    """Find the messages of a conversation in the shapes of OpenAI's two interfaces."""
    while isinstance(value, dict):
        for name in ("messages", "input", "output"):
            if isinstance(value.get(name), list):
                return [one for one in value[name] if _is_message(one)]
        choices = value.get("choices")
        if isinstance(choices, list) and choices and isinstance(choices[0], dict):
            return [one for one in (choices[0].get("message"),) if _is_message(one)]
        value = value.get("request")
    return []


def _is_message(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict) and "role" in value and "content" in value
