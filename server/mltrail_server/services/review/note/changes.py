"""What differs from the baseline beside the metrics: parameters, data, packages and code."""

from typing import Any

from mltrail_server.domain.comparison import ParameterChange
from mltrail_server.domain.markdown import Markdown, code, link
from mltrail_server.services.review.judge import ModelReport

from .cells import Page, count

_MOST = 40


def changes(page: Page, model: ModelReport) -> dict[str, Any] | None:
    """List them; None where nothing differs or nothing is known of a baseline."""
    compared = model.comparison
    if not page.detail or compared.best is None or compared.baseline is None:
        return None
    rows = [_row(code(one.name), one) for one in compared.parameters[:_MOST]]
    rows += [_row(Markdown(f"data, {code(one.name or 'unnamed use')}"), one) for one in compared.datasets[:_MOST]]
    rows += [_row(Markdown(f"package {code(one.name)}"), one) for one in model.environment[:_MOST]]
    left = len(compared.parameters) + len(compared.datasets) + len(model.environment) - len(rows)
    told = [count(len(compared.parameters), "changed parameter") + f" (of {len(compared.best.params)})"]
    if compared.datasets:
        told.append("other data")
    if model.environment:
        told.append(count(len(model.environment), "other package"))
    return {
        "summary": Markdown(", ".join(told)),
        "rows": rows,
        "more": Markdown(f"and {left} more" if left else ""),
        "code": _code(page, model),
    }


def _row(name: Markdown, one: ParameterChange) -> dict[str, Markdown]:
    return {"name": name, "before": _value(one.before), "after": _value(one.after)}


def _code(page: Page, model: ModelReport) -> Markdown:
    """Link what was changed in the code between the two pipelines' commits."""
    theirs, mine = model.baseline, page.report.pipeline
    if theirs is None or theirs.sha == mine.sha:
        return Markdown("Code: the same commit." if theirs else "")
    url = (mine.web_url or "").partition("/-/pipelines/")[0]
    span = code(f"{theirs.sha[:8]}...{mine.sha[:8]}")
    return Markdown(f"Code: {link(span, f'{url}/-/compare/{theirs.sha}...{mine.sha}' if url else None)}.")


def _value(text: str | None) -> Markdown:
    return Markdown("*not set*") if text is None else code(text)
