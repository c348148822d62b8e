"""The pipelines of a merge request: what was said of each at the time, and the metric that ranks in all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mltrail_server.domain import former
from mltrail_server.domain.numbers import number
from mltrail_server.services.pages.merge_requests import KnownRequest
from mltrail_server.store.ci.merge_requests import RequestPipeline
from mltrail_server.store.review.request_verdicts import ModelVerdict, RequestVerdict

from . import course
from .course import Drawn

_MOST_COURSES = 4
_FEWEST_POINTS = 2
_LEVELS = {
    "good": ("better", "success"),
    "bad": ("worse", "warning"),
    "neutral": ("no clear change", "neutral"),
    "unknown": ("can't tell yet", "warning"),
}


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """A pipeline with what was said of it; `values` are each model's, with the name of the metric where it differs."""

    pipeline: RequestPipeline
    verdict: RequestVerdict | None
    word: tuple[str, str] | None
    values: list[tuple[str, str]]
    is_shown: bool


@dataclass(frozen=True, slots=True)
class History:
    rows: list[HistoryRow]
    courses: list[tuple[str, Drawn]]


def word(verdict: RequestVerdict) -> tuple[str, str]:
    """Sum a verdict up in a word, with the kind of its badge."""
    if verdict.state == "waiting":
        return "training", "info"
    if verdict.accepted:
        return "accepted", "success"
    if verdict.outcome == "fail":
        return "blocks", "danger"
    if verdict.state == "empty":
        return "no runs", "neutral"
    if verdict.outcome == "warn":
        return "warns", "warning"
    return _LEVELS.get(verdict.level, (verdict.level, "neutral"))


def of(known: KnownRequest, shown: int | None) -> History:
    """Lay out the pipelines of a merge request, of which `shown` is open."""
    rows = [
        HistoryRow(
            one,
            said := known.verdicts.get(one.id),
            None if said is None else word(said),
            _values(said),
            one.id == shown,
        )
        for one in known.pipelines
    ]
    return History(rows, _courses([one.id for one in known.pipelines][::-1], known.verdicts))


def _values(said: RequestVerdict | None) -> list[tuple[str, str]]:
    models = said.models if said is not None else ()
    return [(_name(one, models), number(one.now)) for one in models if one.now is not None]


def _name(one: ModelVerdict, models: Sequence[ModelVerdict]) -> str:
    return f"{one.name}: {one.metric}" if len(models) > 1 else one.metric or ""


def _courses(pipelines: Sequence[int], verdicts: Mapping[int, RequestVerdict]) -> list[tuple[str, Drawn]]:
    """Draw the metric that ranks of each model that the newest pipeline knows."""
    known = [(one, verdicts[one]) for one in pipelines if one in verdicts]
    if not known:
        return []
    drawn = []
    newest = known[-1][1]
    for model in newest.models[:_MOST_COURSES]:
        points = [
            (str(former.original(pipeline)), one.now)
            for pipeline, said in known
            for one in said.models
            if (one.name, one.metric) == (model.name, model.metric) and one.now is not None
        ]
        if model.metric is not None and len(points) >= _FEWEST_POINTS:
            drawn.append((_name(model, newest.models), course.line(model.metric, points, model.before)))
    return drawn
