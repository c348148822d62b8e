"""MLflow's filter language for traces: `trace.status = 'OK' AND tags.team = 'a' AND feedback.correct = 'true'`.

https://mlflow.org/docs/latest/genai/tracing/search-traces/
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from .errors import MltrailError, invalid
from .filter_tokens import Token, wrong
from .filters import Clause, Entity, Value, comparisons, name_of, not_empty, ordering
from .reasons import Reason
from .traces import NAME_TAG, RUN_KEY

_EXAMPLE = "write for example: trace.status = 'OK' AND tags.team = 'a' AND feedback.correct = 'true'"
_NULLS = ("IS NULL", "IS NOT NULL")
_PATTERNS = ("LIKE", "ILIKE", "RLIKE")
_LISTS = ("IN", "NOT IN")
_BOUNDS = (">", ">=", "<", "<=")
_TEXT = ("=", "!=", *_PATTERNS)
SPAN_ATTRIBUTES = "attributes."
CONTENT = "content"


class TraceEntity(StrEnum):
    ATTRIBUTE = "attribute"
    TAG = "tag"
    METADATA = "request_metadata"
    SPAN = "span"
    FEEDBACK = "feedback"
    EXPECTATION = "expectation"
    ISSUE = "issue"
    PROMPT = "prompt"  # `prompt = 'name/version'`
    RUN = "run"  # `run_id = '…'`: made in the run, or linked to it


@dataclass(frozen=True, slots=True)
class TraceClause:
    """One comparison, as `Clause`."""

    entity: TraceEntity
    key: str
    operator: str
    value: Value

    @property
    def plain(self) -> Clause:
        """The comparison alone, whatever is compared."""
        return Clause(Entity.ATTRIBUTE, self.key, self.operator, self.value)

    @property
    def reads_spans(self) -> bool:
        """Whether only the spans themselves can tell."""
        inside = self.key == CONTENT or self.key.startswith(SPAN_ATTRIBUTES)
        return self.entity is TraceEntity.SPAN and inside

    @property
    def is_pattern(self) -> bool:
        """Whether it has a regular expression, which no database is given."""
        return self.operator == "RLIKE"


@dataclass(frozen=True, slots=True)
class TraceOrder:
    entity: TraceEntity
    key: str
    descending: bool


_PREFIXES = {
    "": TraceEntity.ATTRIBUTE,
    "attribute": TraceEntity.ATTRIBUTE,
    "attributes": TraceEntity.ATTRIBUTE,
    "trace": TraceEntity.ATTRIBUTE,
    "tag": TraceEntity.TAG,
    "tags": TraceEntity.TAG,
    "metadata": TraceEntity.METADATA,
    "request_metadata": TraceEntity.METADATA,
    "span": TraceEntity.SPAN,
    "feedback": TraceEntity.FEEDBACK,
    "expectation": TraceEntity.EXPECTATION,
    "issue": TraceEntity.ISSUE,
}
_NUMBERS = {
    "timestamp": "timestamp_ms",
    "timestamp_ms": "timestamp_ms",
    "execution_time": "execution_time_ms",
    "execution_time_ms": "execution_time_ms",
    "end_time": "end_time_ms",
    "end_time_ms": "end_time_ms",
}
_TEXTS = ("request_id", "status", "client_request_id")
_ALIKE = {word: pair for pair in (("yes", "true"), ("no", "false")) for word in pair}
_ELSEWHERE = {
    "name": (TraceEntity.TAG, NAME_TAG),
    "run_id": (TraceEntity.RUN, RUN_KEY),
    "prompt": (TraceEntity.PROMPT, "prompt"),
    "text": (TraceEntity.SPAN, CONTENT),
}
"""Attributes that are really something else."""

_ALLOWED = {
    TraceEntity.TAG: (*_TEXT, *_LISTS, *_NULLS),
    TraceEntity.METADATA: (*_TEXT, *_LISTS, *_NULLS),
    TraceEntity.RUN: (*_TEXT, *_LISTS, *_NULLS),
    TraceEntity.SPAN: (*_TEXT, *_LISTS),
    TraceEntity.FEEDBACK: (*_TEXT, *_BOUNDS, *_NULLS),
    TraceEntity.EXPECTATION: (*_TEXT, *_BOUNDS, *_NULLS),
    TraceEntity.ISSUE: ("=",),
    TraceEntity.PROMPT: ("=",),
}


def parse(text: str) -> tuple[TraceClause, ...]:
    """Read a filter. An empty one matches everything. Raises INVALID, saying what is wrong and where."""
    try:
        found = comparisons(text, _split, patterns=_PATTERNS)
    except MltrailError as error:
        if error.reason is not Reason.FILTER:
            raise
        shown, at, what = (error.facts[name] for name in ("shown", "at", "what"))
        raise invalid(Reason.FILTER, shown=shown, at=at, what=what, example=_EXAMPLE) from error
    clauses = tuple(TraceClause(*one) for one in found)
    for clause in clauses:
        _check(clause)
    return clauses


def written_either_way(clauses: Iterable[TraceClause]) -> tuple[TraceClause, ...]:
    """Let feedback that is yes or no match as a word and as a truth value: some scorers say `no`, others `false`."""
    return tuple(
        replace(one, operator="IN", value=_ALIKE[one.value.lower()])
        if one.entity is TraceEntity.FEEDBACK
        and one.operator == "="
        and isinstance(one.value, str)
        and one.value.lower() in _ALIKE
        else one
        for one in clauses
    )


def parse_orders(texts: Sequence[str]) -> list[TraceOrder]:
    """Read `order_by`; empty elements are ignored."""
    return [_order(text) for text in not_empty(texts)]


def _order(text: str) -> TraceOrder:
    entity, key, descending = ordering(text, _split)
    if entity not in (TraceEntity.ATTRIBUTE, TraceEntity.TAG, TraceEntity.METADATA, TraceEntity.RUN):
        raise invalid(Reason.ORDER_KEY, key=text[:200], choices="sort by attributes, tags.… or metadata.…")
    return TraceOrder(TraceEntity.METADATA if entity is TraceEntity.RUN else entity, key, descending)


def _split(text: str, token: Token) -> tuple[TraceEntity, str]:
    prefix, key = name_of(text, token)
    entity = _PREFIXES.get(prefix)
    if entity is None:
        valid = ", ".join(sorted(filter(None, _PREFIXES)))
        raise invalid(f"Invalid entity type '{prefix[:60]}'. Valid values are {valid}.")
    if not key:
        raise wrong(text, token.start, f"{token.text!r} names no key")
    if entity is TraceEntity.ATTRIBUTE:
        return _attribute(key)
    if entity is TraceEntity.SPAN and key.startswith(SPAN_ATTRIBUTES):
        return entity, SPAN_ATTRIBUTES + key.removeprefix(SPAN_ATTRIBUTES).strip("`")
    return entity, key


def _attribute(key: str) -> tuple[TraceEntity, str]:
    if key in _ELSEWHERE:
        return _ELSEWHERE[key]
    if key in _NUMBERS:
        return TraceEntity.ATTRIBUTE, _NUMBERS[key]
    if key in (*_TEXTS, "experiment_id"):
        return TraceEntity.ATTRIBUTE, key
    known = ", ".join(sorted({*_NUMBERS, *_TEXTS, *_ELSEWHERE}))
    raise invalid(f"Invalid attribute key '{key[:60]}' specified. Valid keys are {known}.")


def _check(clause: TraceClause) -> None:
    """Check that a comparison is possible with what is compared. Raises INVALID."""
    if clause.entity is TraceEntity.ATTRIBUTE:
        _check_attribute(clause)
        return
    _check_operator(clause, _ALLOWED[clause.entity])
    if clause.entity is TraceEntity.SPAN:
        _check_span(clause)
    if clause.entity is TraceEntity.ISSUE and clause.key != "id":
        raise invalid(f"Invalid issue attribute '{clause.key[:60]}'. Supported attributes: id")
    if clause.entity is TraceEntity.PROMPT and str(clause.value).count("/") != 1:
        raise invalid(f"Invalid prompts filter value '{clause.value}'. Expected format: prompt = \"name/version\"")
    if clause.operator in _BOUNDS:
        if not isinstance(clause.value, float):
            raise invalid(
                f"Expected a numeric value for {clause.entity} when using comparator '{clause.operator}'. Got value "
                f"{clause.value!r}"
            )
    elif isinstance(clause.value, float):
        raise invalid(f"Expected a quoted string value for {clause.entity} (e.g. 'my-value'). Got value {clause.value}")


def _check_attribute(clause: TraceClause) -> None:
    if clause.key == "experiment_id":
        raise invalid("Traces are searched in experiments: name these as locations, not in the filter.")
    if clause.key in _NUMBERS:
        _check_operator(clause, ("=", "!=", *_BOUNDS))
        if not isinstance(clause.value, float):
            raise invalid(f"Expected a number without quotes to compare '{clause.key}' with, not {clause.value!r}.")
        return
    _check_operator(clause, (*_TEXT, *_LISTS))
    if isinstance(clause.value, float):
        raise invalid(f"Expected a quoted string value for attributes. Got value {clause.value}")


def _check_span(clause: TraceClause) -> None:
    if clause.key == CONTENT:
        _check_operator(clause, ("LIKE", "ILIKE"))
    elif clause.key == SPAN_ATTRIBUTES:
        raise invalid("Span attribute name cannot be empty after 'attributes.'")
    elif clause.key not in ("name", "type", "status") and not clause.key.startswith(SPAN_ATTRIBUTES):
        raise invalid(
            f"Invalid span attribute '{clause.key[:60]}'. Supported attributes: name, status, type, "
            "attributes.<attribute_name>."
        )


def _check_operator(clause: TraceClause, allowed: Sequence[str]) -> None:
    if clause.operator not in allowed:
        raise invalid(
            f"Invalid comparator '{clause.operator}' for {clause.entity} '{clause.key[:60]}'; use one of "
            f"{', '.join(allowed)}."
        )
