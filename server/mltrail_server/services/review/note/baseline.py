"""A model and its baseline in a note: which runs are compared with which, and what differs besides the metrics."""

from typing import Any

from mltrail_contract import BaselineKind
from mltrail_server.domain.comparison import NO_CONTRACT, ParameterChange
from mltrail_server.domain.grouping import RunState
from mltrail_server.domain.markdown import Markdown, code, link
from mltrail_server.services.review.judge import ModelReport, gone_sentence

from .cells import Page, count

_NOT_COUNTED = {
    RunState.FAILED: "failed",
    RunState.CANCELED: "canceled",
    RunState.RUNNING: "still running",
    RunState.SUPERSEDED: "of a job that was retried",
    RunState.UNVERIFIED: "without a verified job",
    RunState.DELETED: "deleted by their own job",
    RunState.GONE: "removed for good",
}
_MOST_JOBS = 3
_MOST_ROWS = 40


def compared_with(page: Page, model: ModelReport) -> Markdown:
    """Say which runs of a model count, and which they are compared with."""
    if not model.runs:
        none = f"No run of it was logged for this commit{_touched(model)}."
        return Markdown(f"{none} {_silent(model)}".rstrip())
    done = sum(run.state is RunState.SUCCEEDED for run in model.runs)
    text = (
        f"{count(done, 'run')} of {count(model.comparison.groups, 'candidate')} in "
        f"{page.pipeline(model.made_by or page.report.pipeline)}, {_against(page, model)}."
    )
    best = model.comparison.best_run
    if best is not None:
        text += f" Best: {link(best.name, page.candidate(best.iid))}, from job {link(best.job_name, best.job_url)}."
    if model.comparison.confirmed and model.comparison.best is not None:
        text += (
            f" It was trained again on fresh seeds: only these {count(len(model.comparison.best.runs), 'run')} count."
        )
    if model.comparison.luck:
        text += " Its lead is no more than what luck gives the best of so many: train it again on fresh seeds to tell."
    text += "".join(f" {remark}." for remark in model.remarks)
    if not model.touched:
        text += " This merge request changes nothing under the model's paths, so its rules are not held against it."
    return Markdown(f"{text}{_unfinished(model)} {_silent(model)}".rstrip())


def _silent(model: ModelReport) -> str:
    """Say what it means that no run of a model counts."""
    silence = model.silence
    return "" if silence is None else f"{silence.sentence[0].upper()}{silence.sentence[1:]}."


def _touched(model: ModelReport) -> str:
    return ", though the merge request changes it" if model.model and model.model.paths and model.touched else ""


def _against(page: Page, model: ModelReport) -> str:  # noqa: PLR0911 - one sentence for each case
    compared, theirs, version = model.comparison.baseline, model.baseline, model.version
    if theirs is not None and compared is not None:
        n = count(len(compared.runs), "run")
        if version is not None:
            return f"against version {page.pipeline(theirs, code(version.semver))} ({n})"
        return f"against {page.target} at {page.pipeline(theirs, code(theirs.sha[:8]))} ({n})"
    wanted = (model.model or NO_CONTRACT).baseline
    if model.gone is not None:
        return f"but {gone_sentence(model.gone)}, so there is nothing to compare with"
    if version is not None:
        return f"and no verified run of version {code(version.semver)} is left, so there is nothing to compare with"
    if wanted.kind is BaselineKind.VERSION:
        return f"but there is no version {code(wanted.name)}, so there is nothing to compare with"
    if wanted.kind is BaselineKind.ALIAS:
        return f"but no version is {code(wanted.name)} yet, so there is nothing to compare with"
    return f"no pipeline of {page.target} has trained this model yet, so there is nothing to compare with"


def _unfinished(model: ModelReport) -> str:
    """Say how many runs don't count and why, and which jobs failed."""
    uncounted = [
        f"{count(number, 'run')} {word}"
        for state, word in _NOT_COUNTED.items()
        if (number := sum(run.state is state for run in model.runs))
    ]
    if not uncounted:
        return ""
    jobs = {run.job_id: run for run in model.runs if run.state is RunState.FAILED}
    links = [link(run.job_name, run.job_url) for run in list(jobs.values())[:_MOST_JOBS]]
    failed = f" See {', '.join(links)}." if links else ""
    return f" Not counted: {', '.join(uncounted)}.{failed}"


def changes(page: Page, model: ModelReport) -> dict[str, Any] | None:
    """List what differs from the baseline besides the metrics: parameters, data, packages and code. None if there is
    nothing to compare.
    """
    compared = model.comparison
    if not page.detail or compared.best is None or compared.baseline is None:
        return None
    rows = [_row(code(one.name), one) for one in compared.parameters[:_MOST_ROWS]]
    rows += [_row(Markdown(f"data, {code(one.name or 'unnamed use')}"), one) for one in compared.datasets[:_MOST_ROWS]]
    rows += [_row(Markdown(f"package {code(one.name)}"), one) for one in model.environment[:_MOST_ROWS]]
    left = len(compared.parameters) + len(compared.datasets) + len(model.environment) - len(rows)
    parts = [count(len(compared.parameters), "changed parameter") + f" (of {len(compared.best.params)})"]
    if compared.datasets:
        parts.append("other data")
    if model.environment:
        parts.append(count(len(model.environment), "other package"))
    return {
        "summary": Markdown(", ".join(parts)),
        "rows": rows,
        "more": Markdown(f"and {left} more" if left else ""),
        "code": _code(page, model),
    }


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
