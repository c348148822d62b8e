"""All runs of a model as a table that people can sort and filter in GitLab.

https://docs.gitlab.com/user/markdown/#json. Elsewhere, for example in mails, it is a block of code, so whatever matters
is in plain tables.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mltrail_server.domain.direction import Better
from mltrail_server.domain.grouping import Run, RunState, usable
from mltrail_server.domain.markdown import Markdown, cell, code, link, name, title
from mltrail_server.domain.numbers import count, number
from mltrail_server.services.review.judged import ModelReport

from .cells import Page

_MOST_METRICS = 4


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run with its values in the metrics that the table has, and its state in words."""

    run: Run
    values: tuple[str, ...]
    state: str


def table(page: Page, model: ModelReport) -> dict[str, Any] | None:
    """List the best runs, and say in the summary how many there are."""
    if not page.detail or not model.runs:
        return None
    names, shown = _metrics(model), listed(page, model)
    fields = [
        {"key": "run", "label": "Run"},
        *({"key": f"m{place}", "label": _label(name), "sortable": True} for place, name in enumerate(names)),
        {"key": "job", "label": "Job"},
        {"key": "state", "label": "State", "sortable": True},
    ]
    items = [
        {
            "run": link(cell(one.run.name), page.candidate(one.run.iid)),
            **{f"m{place}": value for place, value in enumerate(one.values)},
            "job": link(cell(one.run.job_name), one.run.job_url),
            "state": one.state,
        }
        for one in shown
    ]
    content = {"fields": fields, "items": items, "filter": True, "markdown": True}
    return {
        "summary": _summary(model, len(shown)),
        "json": _json(content),
        "names": [name(one) for one in names],
        "listed": shown,
    }


def listed(page: Page, model: ModelReport) -> list[ListedRun]:
    """List the best runs."""
    names = _metrics(model)
    return [
        ListedRun(run, tuple(_value(run, name) for name in names), _state(run, model.runs))
        for run in _best_first(model)[: page.detail]
    ]


def _summary(model: ModelReport, shown: int) -> Markdown:
    rest = "" if shown == len(model.runs) else f", the best {shown}"
    return Markdown(f"{f'All {len(model.runs)} runs' if len(model.runs) > 1 else '1 run'}{rest}")


def local(page: Page, runs: Sequence[Run], metric: str | None) -> list[dict[str, Markdown]]:
    """List what people have logged on their own machines for the same commit."""
    return [
        {
            "name": link(run.name, page.candidate(run.iid)),
            "metric": code(metric) if metric else Markdown("–"),
            "value": Markdown(_value(run, metric) if metric else "–"),
        }
        for run in runs[: page.detail]
    ]


def _json(content: object) -> Markdown:
    """Write JSON in one line without the characters that start Markdown, HTML or references in GitLab."""
    text = json.dumps(content)
    for character in "<>&@#!~":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markdown(text)


def _metrics(model: ModelReport) -> list[str]:
    names = [model.comparison.rank_by, *(ruling.metric for ruling in model.rulings)]
    logged = {name for run in model.runs for name in run.metrics}
    return [name for name in dict.fromkeys(names) if name in logged][:_MOST_METRICS]


def _best_first(model: ModelReport) -> list[Run]:
    headline, metric = model.comparison.headline, model.comparison.rank_by
    better = headline.direction.better if headline is not None else Better.UNKNOWN

    def key(run: Run) -> tuple[bool, bool, float, int]:
        value = run.metrics.get(metric, float("nan")) if metric else float("nan")
        known = usable(value) and better is not Better.UNKNOWN
        place = (value if better is Better.LOWER else -value) if known else 0.0
        return (run.state is not RunState.SUCCEEDED, not known, place, -run.iid)

    return sorted(model.runs, key=key)


def _value(run: Run, name: str) -> str:
    value = run.metrics.get(name)
    return "–" if value is None else number(value)


def _label(name: str) -> str:
    """Write a column's title. Pages show it as it is, but older GitLab versions read it as Markdown first, and every
    version looks for mentions and references in it.
    """
    return title(name, most=40) or "metric"


def _state(run: Run, runs: Sequence[Run]) -> str:
    trials = sum(other.parent_iid == run.iid for other in runs)
    return f"{run.state.value}, {count(trials, 'trial')}" if trials else run.state.value
