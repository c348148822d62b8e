"""The body of a merge request's note.

Whatever goes into the template is `Markdown`, which only `domain.markdown` makes of a user's text: the environment
refuses anything else, so that no path leads from a parameter to a quick action.
"""

import re
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from mltrail_server.domain.comparison import Judgement, MetricChange
from mltrail_server.domain.direction import Direction, Goal
from mltrail_server.domain.grouping import Run, State
from mltrail_server.domain.markdown import Markdown, code, link
from mltrail_server.domain.numbers import decimals_for, number
from mltrail_server.domain.statistics import Summary
from mltrail_server.domain.verdict import Level
from mltrail_server.settings import Settings

from . import links
from .judging import ModelReport
from .reports import Report

_MOST_ROWS = 8
_MOST_RUNS = 50
_MARKER = re.compile(r"<!-- mltrail v1 pipeline=(\d+) -->")
_ICONS = {
    Judgement.BETTER: "✅",
    Judgement.WORSE: "❌",
    Judgement.NOISE: "➖",
    Judgement.SAME: "➖",
    Judgement.UNKNOWN: "❔",
    Judgement.NEW: "🆕",
    Judgement.GONE: "🗑️",
}
_LEVEL_ICONS = {Level.GOOD: "✅", Level.BAD: "❌", Level.NEUTRAL: "➖", Level.UNKNOWN: "❔"}
_ARROWS = {Direction.HIGHER: "↑", Direction.LOWER: "↓", Direction.UNKNOWN: ""}


def _only_markdown(value: object) -> str:
    if not isinstance(value, Markdown):
        raise TypeError(f"{value!r} is not made safe for a note")
    return value


_ENVIRONMENT = Environment(
    loader=PackageLoader("mltrail_server.services"),
    autoescape=False,  # noqa: S701 - Markdown, and `finalize` lets nothing else pass
    finalize=_only_markdown,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def marked(body: str) -> int | None:
    """Tell of which pipeline a note of ours speaks; None for a note that is not ours."""
    match = _MARKER.match(body)
    return int(match[1]) if match else None


def body(report: Report, *, settings: Settings, project_path: str) -> str:
    """Write the note for a report."""
    target = code(report.merge_request.target_branch if report.merge_request else report.pipeline.ref)
    alone = len(report.models) == 1
    models = [_model(one, report, settings, project_path, target=target, alone=alone) for one in report.models]
    rendered = _ENVIRONMENT.get_template("note.md.j2").render(
        marker=Markdown(f"<!-- mltrail v1 pipeline={report.pipeline.id} -->"),
        icon=Markdown("⏳" if report.running else _LEVEL_ICONS[report.verdict.level]),
        heading=_heading(report, alone=alone),
        target=target,
        models=models,
        footer=_footer(report),
    )
    return rendered.strip() + "\n"


def _heading(report: Report, *, alone: bool) -> Markdown:
    if not report.models:
        return Markdown("No runs: this pipeline has logged none")
    if report.running:
        return Markdown(f"Still training: {report.reason}")
    if not alone:
        return Markdown(report.verdict.sentence)
    model = report.models[0]
    headline = model.comparison.headline
    if headline is None or headline.current is None or model.baseline is None:
        return Markdown(f"{code(model.name)}: {model.verdict.sentence}")
    value = number(headline.current.mean)
    return Markdown(f"{code(model.name)} · {code(headline.name)} **{value}** · {model.verdict.sentence}")


def _model(
    model: ModelReport, report: Report, settings: Settings, path: str, *, target: Markdown, alone: bool
) -> dict[str, Any]:
    compared = model.comparison
    rows = [_metric(one) for one in compared.metrics] if compared.best else []
    changed = [
        {"name": code(one.name), "before": _value(one.before), "after": _value(one.after)}
        for one in compared.parameters
    ]
    shown = model.runs[:_MOST_RUNS]
    count = len(compared.best.params) if compared.best else 0
    rank = compared.rank_by
    return {
        "title": None if alone else Markdown(f"{code(model.name)}: {model.verdict.sentence}"),
        "provenance": _provenance(model, report, settings, path, target),
        "rows": rows[:_MOST_ROWS],
        "more": rows[_MOST_ROWS:],
        "more_summary": Markdown(f"{len(rows) - _MOST_ROWS} more metrics"),
        "parameters": changed,
        "parameters_summary": Markdown(f"{_count(len(changed), 'changed parameter')} (of {count})"),
        "runs": [_run(run, rank, settings, path) for run in shown],
        "runs_summary": Markdown(
            f"All runs ({len(model.runs)})"
            if len(shown) == len(model.runs)
            else f"{len(shown)} of {len(model.runs)} runs"
        ),
        "rank_by": code(rank) if rank else Markdown("Metric"),
    }


def _provenance(model: ModelReport, report: Report, settings: Settings, path: str, target: Markdown) -> Markdown:
    pipeline = report.pipeline
    url = pipeline.web_url or links.pipeline(settings, path, pipeline.id)
    done = sum(run.state is State.SUCCEEDED for run in model.runs)
    told = [f"{_count(done, 'run')} of {_count(model.comparison.groups, 'candidate')} in {_pipeline(pipeline.id, url)}"]
    if model.baseline is not None and model.comparison.baseline is not None:
        theirs = model.baseline
        their_url = theirs.web_url or links.pipeline(settings, path, theirs.id)
        n = len(model.comparison.baseline.runs)
        told.append(f"against {target} at {link(theirs.sha[:8], their_url)} ({_count(n, 'run')})")
    else:
        told.append(f"no pipeline of {target} has trained this model yet, so there is nothing to compare with")
    sentence = ", ".join(told) + "."
    best = model.comparison.best_run
    if best is not None:
        sentence += f" Best: {link(best.name, links.candidate(settings, path, best.iid))}, from job "
        sentence += f"{link(best.job_name, best.job_url)}."
    return Markdown(sentence + _unfinished(model))


def _unfinished(model: ModelReport) -> str:
    """Say how many runs don't count, and why."""
    words = {
        State.FAILED: "failed",
        State.CANCELED: "canceled",
        State.RUNNING: "still running",
        State.SUPERSEDED: "of a job that was retried",
        State.AMENDED: "written to by others, or without a verified job",
    }
    told = [
        f"{_count(count, 'run')} {word}"
        for state, word in words.items()
        if (count := sum(run.state is state for run in model.runs))
    ]
    return f" Not counted: {', '.join(told)}." if told else ""


def _metric(one: MetricChange) -> dict[str, Markdown]:
    return {
        "icon": Markdown(_ICONS[one.judgement]),
        "metric": Markdown(f"{code(one.name)}{_arrow(one.goal)}"),
        "means": _values(one.baseline, one.current),
        "sentence": Markdown(one.sentence),
    }


def _values(before: Summary | None, now: Summary | None) -> Markdown:
    """Write both means with as many decimals as the difference or the spread deserves."""
    if before is None or now is None:
        told = [_mean(one, None) if one else "–" for one in (before, now)]
        return Markdown(f"{told[0]} → **{told[1]}**")
    spread = abs(now.mean - before.mean) or before.sd or now.sd or 0.0
    decimals = min(decimals_for(spread), 6) if spread else None
    return Markdown(f"{_mean(before, decimals)} → **{_mean(now, decimals)}**")


def _mean(one: Summary, decimals: int | None) -> str:
    return number(one.mean, decimals=decimals)


def _run(run: Run, metric: str | None, settings: Settings, path: str) -> dict[str, Markdown]:
    value = run.metrics.get(metric) if metric else None
    return {
        "name": link(run.name, links.candidate(settings, path, run.iid)),
        "value": Markdown("–" if value is None else number(value)),
        "job": link(run.job_name, run.job_url),
        "state": Markdown(run.state.value),
    }


def _footer(report: Report) -> Markdown:
    guessed = any(one.goal.guessed for model in report.models for one in model.comparison.metrics)
    told = "Updated in place for every pipeline of this merge request."
    if guessed:
        told += " Whether higher (↑) or lower (↓) is better is guessed from the names."
    return Markdown(f"<sub>{told} By mltrail.</sub>")


def _arrow(goal: Goal) -> str:
    arrow = _ARROWS[goal.direction]
    return f" {arrow}" if arrow else ""


def _value(text: str | None) -> Markdown:
    return Markdown("*not set*") if text is None else code(text)


def _pipeline(pipeline_id: int, url: str) -> Markdown:
    return link(Markdown(f"pipeline {pipeline_id}"), url)


def _count(number_of: int, noun: str) -> str:
    return f"{number_of} {noun}" if number_of == 1 else f"{number_of} {noun}s"
