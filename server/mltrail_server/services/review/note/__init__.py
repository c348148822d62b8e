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
from mltrail_server.domain.direction import Better
from mltrail_server.domain.markdown import Markdown, code, name
from mltrail_server.domain.numbers import count
from mltrail_server.services.review import rows, summary
from mltrail_server.services.review.judged import ModelReport
from mltrail_server.services.review.reports import Report
from mltrail_server.services.review.rows import Row
from mltrail_server.services.review.summary import Line, capital
from mltrail_server.settings import Settings

from . import cases, cells, chart, evaluations, evidence, prompts, rulings, runs
from .baseline import changes, failed_jobs
from .cells import Page
from .chart import Course
from .evidence import interval
from .rulings import expects, same_dataset

__all__ = ["Course", "Page", "body", "contents", "expects", "interval", "marked", "page_of", "same_dataset"]

_MOST_ROWS = 8
_MOST_SEEN = 50
_MOST_GUESSES = 3
_MOST_QUESTIONS = 3
_DETAILS = (50, 10, 0)
"""How many runs a table lists: fewer in a note that would get too long."""

_WIDEST_HEAD = 6
"""How many letters fit above a column of numbers on a phone: `main` and `master` do, `production` does not."""

_MOST_CHARACTERS = 60_000
_MOST_MODELS = 20
_MOST_IN_OVERVIEW = 200
_MARKER = re.compile(r"<!-- mltrail v1 pipeline=(\d+) -->")
_DASH = Markdown("–")


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
        page = page_of(report, settings=settings, project_path=project_path, detail=detail)
        text = _rendered(page)
        if len(text) <= _MOST_CHARACTERS:
            break
    return text


def page_of(report: Report, *, settings: Settings, project_path: str, detail: int) -> Page:
    return Page(report, settings, project_path, code(report.against), detail)


def _rendered(page: Page) -> str:
    content = contents(page)
    heading = Markdown(f"{content['icon']} {content['heading']}")
    rendered = _ENVIRONMENT.get_template("note.md.j2").render(**(content | {"heading": heading}))
    return rendered.strip() + "\n"


def contents(page: Page) -> dict[str, Any]:
    """Say all that a note says, part by part: the note and the page of the merge request are both made from it. What is
    shown is `Markdown`; beside it, each model has its `report`.
    """
    report = page.report
    alone = len(report.models) == 1
    shown = _worst_first(report.models)[: page.most(_MOST_MODELS)]
    said = summary.of_report(report, page.style)
    first = report.models[0].comparison.rank_by if report.models else None
    return {
        "marker": Markdown(f"<!-- mltrail v1 pipeline={report.pipeline.id} -->"),
        "icon": said.icon,
        "heading": Markdown(capital(said.heading)),
        "lines": _lines(said.lines),
        "problems": rulings.problems(page),
        "doubts": rulings.doubts(report),
        "accepted": rulings.accepted(report),
        "questions": [Markdown(f"{one.sentence(code)}.") for one in report.gate.questions[:_MOST_QUESTIONS]],
        "overview": [] if alone else _overviews(page),
        "models": [_model(page, model, alone=alone) for model in shown],
        "proposed": rulings.proposed(page),
        "local": runs.local(page, report.local, first),
        "footer": _footer(page),
    }


def _lines(lines: Sequence[Line]) -> list[dict[str, Markdown]]:
    return [{"label": Markdown(line.label), "text": Markdown(line.text)} for line in lines]


def _worst_first(models: Sequence[ModelReport]) -> list[ModelReport]:
    outcomes = (Outcome.FAIL, Outcome.WARN)
    return sorted(models, key=lambda model: outcomes.index(model.outcome) if model.outcome in outcomes else 2)


def _overviews(page: Page) -> list[dict[str, Markdown]]:
    """One row per model, failures first: a job may train thousands, and GitLab refuses a note that is too long."""
    models = page.report.models
    shown = _worst_first(models)[:_MOST_IN_OVERVIEW]
    found = [_overview(page, model) for model in shown]
    if len(models) > len(shown):
        rest = Markdown(f"and {count(len(models) - len(shown), 'more model')}")
        found.append({"name": rest, "said": _DASH})
    return found


def _overview(page: Page, model: ModelReport) -> dict[str, Markdown]:
    icon, worst, best = summary.among_many(model, page.style)
    return {
        "name": Markdown(f"{icon} {name(model.name)}"),
        "said": Markdown("<br>".join(one for one in (worst, best) if one)) or _DASH,
    }


def _model(page: Page, model: ModelReport, *, alone: bool) -> dict[str, Any]:
    icon, heading = summary.heading(model, page.style)
    drawn = chart.drawn(model) if page.detail else None
    return {
        "report": model,
        "title": None if alone else Markdown(f"{icon} {heading}"),
        "lines": [] if alone else _lines(summary.of_model(page.report, model, page.style)),
        "failed_jobs": failed_jobs(model),
        "against": _against(page, model),
        **_tables(page, model),
        "cases": cases.folded(model) if page.detail else None,
        "evaluations": evaluations.folded(page, model),
        "prompts": prompts.folded(page, model),
        "course": chart.of(model),
        "evidence": evidence.table(page, model),
        "wanted": rulings.expected(model) if page.detail else [],
        "changes": changes(page, model),
        "chart": drawn[0] if drawn else None,
        "chart_legend": drawn[1] if drawn else None,
        "runs": runs.table(page, model),
    }


def _against(page: Page, model: ModelReport) -> Markdown:
    """Name the side that a model is compared with, in the head of a column that on a phone has room for a number."""
    name = model.against(page.report.against)
    return code(name) if len(name) <= _WIDEST_HEAD else Markdown("before")


def _tables(page: Page, model: ModelReport) -> dict[str, Any]:
    """Write the table that is always seen, and the rest, which is folded."""
    found = rows.of(model) if model.comparison.best or model.rulings else []
    if model.evaluations:
        found = [one for one in found if not one.is_aside]  # they are among what is said of the evaluation
    # What is broken, worse or better is seen; what shows nothing fills up the table.
    telling = sum(row.icon in ("❌", "⚠️") for row in found)
    seen = min(max(_MOST_ROWS, telling), _MOST_SEEN)
    shown, folded = found[:seen], found[seen:]
    return {
        "rows": [cells.row(row) for row in shown],
        "more": [cells.row(row) for row in folded[:_MOST_SEEN]] if page.detail else [],
        "more_summary": Markdown(_more(folded)) if folded else None,
    }


def _more(folded: Sequence[Row]) -> str:
    counted = f"{count(len(folded), 'more row')}"
    left = len(folded) - _MOST_SEEN
    return f"{counted}, {_MOST_SEEN} of them here" if left > 0 else counted


def _footer(page: Page) -> Markdown:
    report = page.report
    directions = [one.direction for model in report.models for one in model.comparison.metrics]
    now = page.pipeline(report.pipeline)
    text = f"Updated in place for every pipeline of this merge request, now {now}."
    if report.gate.outcome is None and report.models:
        text = f"No rule applies here, so nothing can block the merge. {text}"
    guesses = sorted({one.name for model in report.models for one in model.comparison.metrics if one.direction.guessed})
    if guesses:
        more = f" and {len(guesses) - _MOST_GUESSES} more" if len(guesses) > _MOST_GUESSES else ""
        names = ", ".join(name(one) for one in guesses[:_MOST_GUESSES])
        text += f" Whether higher or lower is better is guessed from the name of {names}{more}."
    if any(direction.better is Better.UNKNOWN for direction in directions):
        text += " “Higher or lower?” stands for an unknown direction: `better:` in the contract file says it."
    return Markdown(f"<sub>{text} By mltrail.</sub>")
