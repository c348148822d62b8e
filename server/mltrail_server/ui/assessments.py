"""How pages show assessments by scorers, judges and people."""

from collections.abc import Iterable
from dataclasses import dataclass

from mltrail_server.domain import numbers
from mltrail_server.domain.assessments import RUN_KEY, Assessment, Kind

from . import values

_SOURCES = {"HUMAN": "person", "LLM_JUDGE": "model as judge", "CODE": "code"}
_YES = frozenset({"yes", "true", "pass", "passed", "correct"})
_NO = frozenset({"no", "false", "fail", "failed", "incorrect"})
_MOST_BADGE = 60


@dataclass(frozen=True, slots=True)
class ShownAssessment:
    """An assessment in words. `look` is the badge's; `text` is the whole value if the badge has only its beginning."""

    one: Assessment
    badge: str
    look: str
    text: str
    source: str
    error: str
    trace: str  # of the scorer's code, where it failed
    metadata: list[tuple[str, str]]

    @property
    def by_person(self) -> bool:
        return self.one.source_type == "HUMAN"


def shown(one: Assessment) -> ShownAssessment:
    text = values.line(one.value, 20_000)
    error = one.error or {}
    said = ": ".join(str(error[key]) for key in ("error_code", "error_message") if error.get(key))
    badge, look = ("failed", "danger") if one.error and one.value is None else badge_of(one.value, one.kind)
    return ShownAssessment(
        one,
        badge,
        look,
        text if len(text) > _MOST_BADGE else "",
        _source(one),
        said[:2000],
        str(error.get("stack_trace") or "")[:20_000],
        [(key, value[:400]) for key, value in sorted(one.metadata.items())[:100] if key != RUN_KEY],
    )


def badge_of(value: object, kind: Kind = Kind.FEEDBACK) -> tuple[str, str]:
    """Return a value in a few words, and how good that looks: what passes or fails is green or red, the rest is not."""
    if kind is Kind.FEEDBACK and passes(value) is not None:
        return values.line(value, _MOST_BADGE), "success" if passes(value) else "danger"
    if isinstance(value, float):
        return numbers.at_a_glance(value), "neutral"
    text = values.line(value, _MOST_BADGE + 1)
    return (f"{text[:_MOST_BADGE]}…" if len(text) > _MOST_BADGE else text or "none"), "neutral"


def passes(value: object) -> bool | None:
    """Return whether a value says pass or fail; None if it says neither."""
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    return True if word in _YES else False if word in _NO else None


def listed(of: Iterable[Assessment]) -> list[ShownAssessment]:
    """Show feedback first, then expectations and issues; what has been replaced comes last."""
    return [shown(one) for one in sorted(of, key=lambda one: (not one.valid, one.kind, one.name, one.created_ms))]


def _source(one: Assessment) -> str:
    kind = _SOURCES.get(one.source_type, one.source_type.lower())
    return f"{kind} {one.source_id}" if one.source_id and one.source_id.lower() != "default" else kind
