"""Redact traces before they are stored: whatever the contract's patterns match (`traces: {redact: …}`).

Every text is looked at, also those inside of JSON text, and whole numbers, since a card's number may be sent as one.
The contract's check refuses patterns that can take for ever; here, time is limited, too, and long texts are searched in
windows, so that other threads get their turn. What can't be redacted is not stored.

Patterns are read from the contract, which may ask GitLab: call `of` before a transaction begins.
"""

import json as json_text
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, cast

from mltrail_contract import redaction
from mltrail_server.domain import assessments, span_facts
from mltrail_server.domain.assessments import Assessment
from mltrail_server.domain.errors import Code, MltrailError, invalid
from mltrail_server.domain.traces import COST_KEY, RUN_KEY, SIZES_KEY, TOKENS_KEY, Trace
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.contract import trace_settings

from .span_records import Event, Link, Record

INSTEAD = "[redacted]"

_SECONDS = 5.0
_WINDOW = 4096  # characters
_ESCAPED = re.compile(r"""\\(?:u([0-9a-fA-F]{4})|([bfnrt"'/\\]))""")
_BLANKS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_HALVES = re.compile("[\ud800-\udfff\x00]")
_MOST_NESTED = 5  # JSON text in JSON text
_NUMBERS = (span_facts.TOKENS, span_facts.COST)
_KEPT = frozenset(
    {
        RUN_KEY,
        TOKENS_KEY,
        COST_KEY,
        "mlflow.modelId",
        SIZES_KEY,
        "mlflow.trace.sizeBytes",
        assessments.RUN_KEY,
        assessments.SCORER_DIGEST_KEY,
    }
)
"""Metadata that clients compute or that names something here."""


@dataclass(frozen=True, slots=True)
class _Pattern:
    compiled: re.Pattern[str]
    longest: int  # characters of a match, at most


@dataclass(frozen=True, slots=True)
class Redactor:
    """Redacts what one request sends, in limited time. Its methods raise INVALID when that is used up."""

    patterns: Sequence[_Pattern] = ()
    ends: float = field(default_factory=lambda: time.monotonic() + _SECONDS)

    def text(self, text: str) -> str:
        return cast("str", self._value(text, 0)) if self.patterns else text

    def json(self, value: Any) -> Any:  # noqa: ANN401 - any JSON
        """Redact any JSON value: texts, whole numbers, and the keys of objects."""
        return self._value(value, 0) if self.patterns else value

    def trace(self, trace: Trace) -> Trace:
        """Redact a trace as a client sent it, without its spans."""
        if not self.patterns:
            return trace
        return replace(
            trace,
            tags=self.pairs(trace.tags),
            metadata=self.pairs(trace.metadata),
            client_request_id=self.optional(trace.client_request_id),
            request_preview=self.optional(trace.request_preview),
            response_preview=self.optional(trace.response_preview),
        )

    def assessment(self, sent: Assessment) -> Assessment:
        """Redact an assessment; its name stays, and so does the scorer or model that made it."""
        if not self.patterns:
            return sent
        return replace(
            sent,
            value=self.json(sent.value),
            error=self.json(sent.error),
            rationale=self.optional(sent.rationale),
            metadata=self.pairs(sent.metadata),
            source_id=self.text(sent.source_id) if sent.source_type == "HUMAN" else sent.source_id,
        )

    def record(self, record: Record) -> Record:
        """Redact a span."""
        if not self.patterns:
            return record
        return Record(
            id=record.id,
            name=self.text(record.name),
            start=record.start,
            end=record.end,
            parent_id=record.parent_id,
            kind=record.kind,
            status=record.status,
            message=self.text(record.message),
            attributes={key: self._attribute(key, value) for key, value in record.attributes.items()},
            events=[Event(self.text(one.name), one.at, self.json(one.attributes)) for one in record.events],
            links=[Link(one.trace_id, one.span_id, self.json(one.attributes)) for one in record.links],
            trace_state=self.text(record.trace_state),
        )

    def pairs(self, pairs: Mapping[str, str]) -> dict[str, str]:
        """Redact the values of tags or metadata."""
        return {key: value if key in _KEPT else self.text(value) for key, value in pairs.items()}

    def optional(self, text: str | None) -> str | None:
        return None if text is None else self.text(text)

    def _attribute(self, key: str, value: Any) -> Any:  # noqa: ANN401 - any JSON
        if key in _NUMBERS and isinstance(value, dict) and all(isinstance(one, int | float) for one in value.values()):
            return value
        return self._value(value, 0)

    def _value(self, value: Any, nested: int) -> Any:  # noqa: ANN401 - any JSON
        try:
            if isinstance(value, str):
                return self._text(value, nested)
            if isinstance(value, dict):
                return {self._plain(str(key)): self._value(one, nested) for key, one in value.items()}
            if isinstance(value, list):
                return [self._value(one, nested) for one in value]
        except RecursionError as error:
            raise invalid("Values are nested too deeply to be redacted. Log a simpler structure.") from error
        if isinstance(value, float) and value.is_integer():  # JavaScript's numbers
            return INSTEAD if self._plain(str(int(value))) != str(int(value)) else value
        if isinstance(value, int) and not isinstance(value, bool):
            return INSTEAD if self._plain(str(value)) != str(value) else value
        return value

    def _text(self, text: str, nested: int) -> str:
        if text.lstrip()[:1] in ("{", "[", '"') and nested < _MOST_NESTED:
            try:
                inner = json_text.loads(text)
            except (ValueError, RecursionError):
                pass
            else:
                redacted = self._value(inner, nested + 1)
                return text if redacted == inner else json_text.dumps(redacted, ensure_ascii=False)
        if _ESCAPED.search(text):
            # The beginning of JSON text, as clients cut it for previews: it can't be read, but its letters can.
            spelt = _ESCAPED.sub(_spelt, text)
            redacted = self._plain(spelt)
            if redacted != spelt:
                text = _HALVES.sub("\ufffd", redacted)
        return self._plain(text)

    def _plain(self, text: str) -> str:
        places = sorted(place for pattern in self.patterns for place in self._matches(pattern, text))
        if not places:
            return text
        kept: list[str] = []
        after = 0
        for start, end in places:
            if start >= after:
                kept += (text[after:start], INSTEAD)
            after = max(after, end)  # matches of two patterns may overlap
        return "".join((*kept, text[after:]))

    def _matches(self, pattern: _Pattern, text: str) -> Iterator[tuple[int, int]]:
        """Find where a pattern matches. A window ends so late that a match which begins in it is whole."""
        window = max(_WINDOW, pattern.longest)
        start = 0
        while start < len(text):
            if time.monotonic() > self.ends:
                raise invalid(
                    f"Redacting these traces by the contract's `traces.redact` takes longer than "
                    f"{_SECONDS:g} seconds, so they are not stored. Log shorter texts, or make the patterns match less."
                )
            end = start + window
            last = end + pattern.longest + 1
            for found in pattern.compiled.finditer(text, start, last):
                if found.start() >= end:
                    break
                yield found.span()
                end = max(end, found.end())
            start = end


def of(scope: Scope) -> Redactor:
    """Return what redacts for a project. Raises UNAVAILABLE or INVALID if its patterns can't be known."""
    texts = trace_settings.of_project(scope).redact
    return Redactor(_compiled(texts)) if texts else Redactor()


def _spelt(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else _BLANKS.get(found[2], found[2])


@lru_cache(maxsize=64)
def _compiled(texts: tuple[str, ...]) -> tuple[_Pattern, ...]:
    for one in texts:
        if problem := redaction.problem_of(one):  # a contract is checked, but it may be of an older version
            raise MltrailError(
                Code.INVALID, f"The pattern {one[:60]!r} can't be used, so no trace is stored: {problem}."
            )
    return tuple(_Pattern(re.compile(one), redaction.longest_match(one)) for one in texts)
