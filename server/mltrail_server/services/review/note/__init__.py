"""The body of a merge request's note.

Everything that goes into the template is `Markdown`, which only `domain.markdown` makes from a user's text. The
environment refuses anything else, so a parameter's text can't become a quick action. A `<summary>` is HTML, where a
code span does not work: nothing that a user wrote may go there.
"""

import re
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from mltrail_contract import Outcome
from mltrail_server.domain.conclusion import Level
from mltrail_server.domain.direction import Better
from mltrail_server.domain.markdown import Markdown, code
from mltrail_server.services.review.judge import ModelReport
from mltrail_server.services.review.reports import Report
from mltrail_server.settings import Settings

from . import cases, metrics, rulings, runs
from .baseline import changes, compared_with
from .cells import Page, count

_MOST_ROWS = 8
_MOST_GUESSES = 3
_MOST_QUESTIONS = 3
_DETAILS = (50, 10, 0)
"""How many runs a table lists: fewer in a note that would get too long."""

_CELLS = ("metric", "means", "sentence")
_MOST_CHARACTERS = 60_000
_MOST_MODELS = 20
_MOST_IN_OVERVIEW = 200
_MARKER = re.compile(r"<!-- mltrail v1 pipeline=(\d+) -->")
_LEVEL_ICONS = {Level.GOOD: "✅", Level.BAD: "❌", Level.NEUTRAL: "➖", Level.UNKNOWN: "❔"}


def _only_markdown(value: object) -> str:
    if not isinstance(value, Markdown):
        raise TypeError(f"{value!r} is not made safe for a note")
    return value


_ENVIRONMENT = Environment(
    loader=PackageLoader("mltrail_server.services.review.note"),
    autoescape=False,  # noqa: S701 - Markdown, and `finalize` lets nothing else pass
    finalize=_only_markdown,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def marked(body: str) -> int | None:
    """Return the pipeline that a note of ours is about; None for a note that is not ours."""
    match = _MARKER.match(body)
    return int(match[1]) if match else None


def body(report: Report, *, settings: Settings, project_path: str) -> str:
    """Write the note for a report, with as much detail as fits."""
    text = ""
    for detail in _DETAILS:
        page = Page(report, settings, project_path, code(report.target or report.pipeline.ref), detail)
        text = _rendered(page)
        if len(text) <= _MOST_CHARACTERS:
            break
    return text


def _rendered(page: Page) -> str:
    report = page.report
    alone = len(report.models) == 1
    shown = report.models[:_MOST_MODELS]
    first = report.models[0].comparison.rank_by if report.models else None
    rendered = _ENVIRONMENT.get_template("note.md.j2").render(
        marker=Markdown(f"<!-- mltrail v1 pipeline={report.pipeline.id} -->"),
        icon=_icon(report),
        heading=_heading(report, alone=alone),
        problems=rulings.problems(page),
        doubts=rulings.doubts(report),
        accepted=rulings.accepted(report),
        questions=[Markdown(f"❔ {one.sentence(code)}.") for one in report.gate.questions[:_MOST_QUESTIONS]],
        target=page.target,
        overview=[] if alone else _overviews(report.models),
        models=[_model(page, model, alone=alone) for model in shown],
        proposed=rulings.proposed(page),
        local=runs.local(page, report.local, first),
        footer=_footer(report),
    )
    return rendered.strip() + "\n"


def _icon(report: Report) -> Markdown:
    if report.waiting:
        return Markdown("⏳")
    if report.override is not None:
        return Markdown("☑️")
    if report.outcome is not None:
        return Markdown(rulings.ICONS[report.outcome])
    return Markdown(_LEVEL_ICONS[report.conclusion.level])


def _heading(report: Report, *, alone: bool) -> Markdown:
    gate = rulings.heading(report.gate)
    if not report.runs and not report.carries:
        of_older = report.head not in ("", report.pipeline.head)
        none = "No runs: the newest commit has none" if of_older else "No runs: this pipeline has logged none"
        return Markdown(f"{gate} · {none}" if gate else none)
    if report.waiting:
        return Markdown(f"Still training: {report.reason}")
    sentence = _model_sentence(report.models[0]) if alone else Markdown(report.conclusion.named(code))
    return Markdown(f"{gate} · {sentence}") if gate else sentence


def _model_sentence(model: ModelReport) -> Markdown:
    return Markdown(f"{code(model.name)}: {model.conclusion.named(code)}")


def _overviews(models: Sequence[ModelReport]) -> list[dict[str, Markdown]]:
    """One row per model, failures first: a job may train thousands, and GitLab refuses a note that is too long."""
    shown = sorted(models, key=lambda model: model.outcome is not Outcome.FAIL)[:_MOST_IN_OVERVIEW]
    rows = [_overview(model) for model in shown]
    if len(models) > len(shown):
        rest = Markdown(f"and {len(models) - len(shown)} more models")
        rows.append({"icon": Markdown(""), "name": rest, **dict.fromkeys(_CELLS, Markdown("–"))})
    return rows


def _overview(model: ModelReport) -> dict[str, Markdown]:
    """Show one model in a row: its worst rule, else the metric that ranks."""
    headline = model.comparison.headline
    icon = rulings.ICONS[model.outcome] if model.outcome else _LEVEL_ICONS[model.conclusion.level]
    broken = next(iter(rulings.rows(model)), None) if model.outcome and model.outcome != "pass" else None
    if broken is not None:
        return {"icon": Markdown(icon), "name": code(model.name), **{key: broken[key] for key in _CELLS}}
    if headline is not None:
        row = metrics.row(headline, gated=False)
        return {"icon": Markdown(icon), "name": code(model.name), **{key: row[key] for key in _CELLS}}
    dash = Markdown("–")
    sentence = Markdown(model.conclusion.sentence)
    return {"icon": Markdown(icon), "name": code(model.name), "metric": dash, "means": dash, "sentence": sentence}


def _model(page: Page, model: ModelReport, *, alone: bool) -> dict[str, Any]:
    preview = page.report.previews.get(model.name)
    return {
        "title": None if alone else _model_sentence(model),
        "against": code(model.version.semver) if model.version else page.target,
        "provenance": compared_with(page, model),
        "preview": preview.sentence if preview else None,
        **_tables(page, model),
        "evidence": _evidence(model) if page.detail else [],
        "cases": cases.folded(model) if page.detail else None,
        "wanted": rulings.expected(model) if page.detail else [],
        "changes": changes(page, model),
        "chart": metrics.chart(model) if page.detail else None,
        "chart_legend": _legend(model),
        "runs": runs.table(page, model),
    }


def _legend(model: ModelReport) -> Markdown:
    """Explain the chart, and say which of the target branch's pipelines count."""
    compared = model.comparison
    counted = compared.counted.sentence(len(compared.history))
    text = f"Blue: {code(compared.rank_by or '')}. Orange: what this is compared with."
    return Markdown(f"{text} {counted}." if counted else text)


def _tables(page: Page, model: ModelReport) -> dict[str, Any]:
    """Write the table of rules and metrics that is always seen, and the rest, which is folded."""
    compared = model.comparison
    ruled = rulings.rows(model)
    # Broken rules and warnings are always seen; rules that pass fill up the table.
    seen = max(_MOST_ROWS, sum(ruling.outcome is not Outcome.PASS for ruling in model.rulings))
    shown, folded = ruled[:seen], ruled[seen:]
    named = {ruling.metric for ruling in model.rulings}
    others = [metrics.row(change, gated=bool(shown)) for change in compared.metrics if change.name not in named]
    room = max(0, _MOST_ROWS - len(shown))
    # The metric that ranks comes first, and is seen whatever the rules are about.
    room = max(room, 1) if compared.rank_by not in named else room
    return {
        "rows": shown + (others[:room] if compared.best else []),
        "more": folded + others[room:] if page.detail and compared.best else [],
        "more_summary": Markdown(_more(len(folded), len(others) - room)),
    }


def _evidence(model: ModelReport) -> list[dict[str, Markdown]]:
    weighed = [row for change in model.comparison.metrics if (row := metrics.evidence(change)) is not None]
    return weighed[:_MOST_ROWS]


def _more(rules: int, others: int) -> str:
    parts = [count(rules, "more rule")] if rules else []
    parts += [count(others, "more metric")] if others > 0 else []
    return " and ".join(parts)


def _footer(report: Report) -> Markdown:
    directions = [one.direction for model in report.models for one in model.comparison.metrics]
    text = "Updated in place for every pipeline of this merge request."
    guesses = sorted({one.name for model in report.models for one in model.comparison.metrics if one.direction.guessed})
    if guesses:
        more = f" and {len(guesses) - _MOST_GUESSES} more" if len(guesses) > _MOST_GUESSES else ""
        names = ", ".join(code(name) for name in guesses[:_MOST_GUESSES])
        text += f" Whether higher (↑) or lower (↓) is better is guessed from the name of {names}{more}."
    if any(direction.better is Better.UNKNOWN for direction in directions):
        text += " A ? stands for an unknown direction: `better:` in the contract file says it."
    return Markdown(f"<sub>{text} By mltrail.</sub>")
