"""Pieces that many parts of a note use. Everything here is safe `Markdown`."""

from dataclasses import dataclass

from mltrail_server.domain.comparison import MetricChange
from mltrail_server.domain.differences import Difference
from mltrail_server.domain.direction import Better, MetricDirection
from mltrail_server.domain.markdown import Markdown, link
from mltrail_server.domain.numbers import number
from mltrail_server.services.context import links
from mltrail_server.services.review.reports import Report
from mltrail_server.settings import Settings
from mltrail_server.store.ci.pipelines import Pipeline

_ARROWS = {Better.HIGHER: "↑", Better.LOWER: "↓", Better.UNKNOWN: "?"}


@dataclass(frozen=True, slots=True)
class Page:
    """What all parts of one note share. `path` is the project's; `target` names what is compared with; `detail` is how
    many runs a table may list, and 0 leaves out whatever can be left out.
    """

    report: Report
    settings: Settings
    path: str
    target: Markdown
    detail: int

    def pipeline(self, pipeline: Pipeline, text: Markdown | str | None = None) -> Markdown:
        url = pipeline.web_url or links.pipeline(self.settings, self.path, pipeline.id)
        return link(text if text is not None else Markdown(f"pipeline {pipeline.id}"), url)

    def candidate(self, iid: int) -> str:
        return links.candidate(self.settings, self.path, iid)


def count(number_of: int, noun: str) -> str:
    return f"{number_of} {noun}" if number_of == 1 else f"{number_of} {noun}s"


def arrow(direction: MetricDirection) -> str:
    return f" {_ARROWS[direction.better]}"


def values(change: MetricChange) -> Markdown:
    """Write what a metric is held to and its mean here, with as many decimals as the difference calls for."""
    before, now = change.before, change.current
    if before is None or now is None:
        known = ["–" if value is None else number(value) for value in (before, now.mean if now else None)]
        return Markdown(f"{known[0]} → **{known[1]}**")
    spread = (change.baseline and change.baseline.sd) or now.sd or 0.0
    first, second = Difference(change.name, change.direction, before, now.mean, spread).values
    return Markdown(f"{first} → **{second}**")
