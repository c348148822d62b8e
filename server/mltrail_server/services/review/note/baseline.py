"""What differs between a model and its baseline besides the metrics: parameters, data, packages and code."""

from typing import Any

from mltrail_server.domain.comparison import ParameterChange
from mltrail_server.domain.grouping import RunState
from mltrail_server.domain.markdown import Markdown, code, link
from mltrail_server.domain.numbers import count
from mltrail_server.domain.preview import Preview
from mltrail_server.services.review.judged import ModelReport

from .cells import Page

_MOST_ROWS = 40
_MOST_JOBS = 3


def changes(page: Page, model: ModelReport) -> dict[str, Any] | None:
    """List what differs; None if there is nothing to compare."""
    compared = model.comparison
    if not page.detail or compared.best is None or compared.baseline is None:
        return None
    most = page.most(_MOST_ROWS)
    rows = [_row(code(one.name), one) for one in compared.parameters[:most]]
    rows += [_row(Markdown(f"data, {code(one.name or 'unnamed use')}"), one) for one in compared.datasets[:most]]
    rows += [_row(Markdown(f"package {code(one.name)}"), one) for one in model.environment[:most]]
    left = len(compared.parameters) + len(compared.datasets) + len(model.environment) - len(rows)
    besides = " besides prompts" if any(not one.is_same for one in model.prompts) else ""
    preview = page.report.previews.get(model.name)
    version = f" The next version is a {preview.bump} one{_reason(model, preview)}." if preview else ""
    return {
        "summary": Markdown(f"What changed{besides}: {_counted(model)}"),
        "rows": rows,
        "more": Markdown(f"and {left} more" if left else ""),
        "code": Markdown(f"{_code(page, model)}{version}".strip()),
    }


def _counted(model: ModelReport) -> str:
    """Count what the table lists."""
    compared = model.comparison
    parts = [count(len(compared.parameters), "parameter")] if compared.parameters else []
    parts += ["the data"] if compared.datasets else []
    parts += [count(len(model.environment), "package")] if model.environment else []
    nothing = "no parameter, data or package" if model.logs_data else "no parameter or package"
    return ", ".join(parts) or nothing


def _reason(model: ModelReport, preview: Preview) -> str:
    """Say why it has this number; where many parameters changed, the table names them all."""
    named = sum(f"{one.name} " in preview.reason for one in model.comparison.parameters)
    if 0 < named < len(model.comparison.parameters):
        return ": the parameters changed"
    return f": {code(preview.reason, most=120)}"


def failed_jobs(model: ModelReport) -> Markdown | None:
    """Link to the jobs whose runs don't count because they failed."""
    jobs = {run.job_id: run for run in model.runs if run.state is RunState.FAILED}
    links = [link(run.job_name, run.job_url) for run in list(jobs.values())[:_MOST_JOBS]]
    return Markdown(f"See {', '.join(links)}.") if links else None


def _row(name: Markdown, change: ParameterChange) -> dict[str, Markdown]:
    return {"name": name, "before": _value(change.before), "after": _value(change.after)}


def _code(page: Page, model: ModelReport) -> Markdown:
    """Link to what has changed in the code between the two pipelines' commits."""
    theirs, mine = model.baseline, page.report.pipeline
    if theirs is None or theirs.sha == mine.sha:
        return Markdown("Code: the same commit." if theirs else "")
    url = (mine.web_url or "").partition("/-/pipelines/")[0]
    span = code(f"{theirs.sha[:8]}...{mine.sha[:8]}")
    return Markdown(f"Code: {link(span, f'{url}/-/compare/{theirs.sha}...{mine.sha}' if url else None)}.")


def _value(text: str | None) -> Markdown:
    return Markdown("*not set*") if text is None else code(text)
