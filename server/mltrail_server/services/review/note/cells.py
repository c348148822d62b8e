"""Pieces that many parts of a note use. Everything here is safe `Markdown`."""

from dataclasses import dataclass

from mltrail_server.domain.direction import Better, MetricDirection
from mltrail_server.domain.markdown import Markdown, link
from mltrail_server.domain.numbers import decimals_for, number
from mltrail_server.domain.statistics import Summary
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


def values(before: Summary | None, now: Summary | None) -> Markdown:
    """Write both means with as many decimals as the difference or the spread calls for."""
    if before is None or now is None:
        means = [number(side.mean) if side else "–" for side in (before, now)]
        return Markdown(f"{means[0]} → **{means[1]}**")
    spread = abs(now.mean - before.mean) or before.sd or now.sd or 0.0
    decimals = min(decimals_for(spread), 6) if spread else None
    return Markdown(f"{number(before.mean, decimals=decimals)} → **{number(now.mean, decimals=decimals)}**")
