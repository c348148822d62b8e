"""How a summary is written: what users have named is made safe for where it is shown."""

from collections.abc import Callable
from dataclasses import dataclass

from mltrail_server.domain.cases.evaluation import EvaluatedCase, EvaluationResult
from mltrail_server.domain.conclusion import Level
from mltrail_server.domain.grouping import Run

ICONS = {Level.GOOD: "✅", Level.BAD: "⚠️", Level.NEUTRAL: "\N{HEAVY MINUS SIGN}", Level.UNKNOWN: "❔"}


@dataclass(frozen=True, slots=True)
class Style:
    """How to write what users have named, so that it is safe where it is shown: a name, their own text in a sentence,
    a link to a run, and one to both answers to a case of an evaluation.
    """

    name: Callable[[str], str]
    text: Callable[[str], str]
    run: Callable[[Run], str]
    case: Callable[[EvaluationResult, EvaluatedCase], str]


PLAIN = Style(str, str, lambda run: run.name, lambda _, case: case.label or case.id)


@dataclass(frozen=True, slots=True)
class Line:
    label: str
    text: str


def capital(text: str) -> str:
    """Begin with a capital letter."""
    return f"{text[:1].upper()}{text[1:]}"
