"""Whose runs are compared with whose, in sentences."""

from mltrail_contract import BaselineKind
from mltrail_server.domain.comparison import NO_CONTRACT
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


def provenance(page: Page, model: ModelReport) -> Markdown:
    if not model.runs:
        told = f"No run of it was logged for this commit{_touched(model)}."
        return Markdown(f"{told} {_silent(model)}".rstrip())
    done = sum(run.state is RunState.SUCCEEDED for run in model.runs)
    told = (
        f"{count(done, 'run')} of {count(model.comparison.groups, 'candidate')} in "
        f"{page.pipeline(model.made_by or page.report.pipeline)}, {_against(page, model)}."
    )
    best = model.comparison.best_run
    if best is not None:
        told += f" Best: {link(best.name, page.candidate(best.iid))}, from job {link(best.job_name, best.job_url)}."
    if model.comparison.confirmed and model.comparison.best is not None:
        told += (
            f" It was trained again on fresh seeds: only these {count(len(model.comparison.best.runs), 'run')} count."
        )
    if model.comparison.luck:
        told += " Its lead is no more than what luck gives the best of so many: train it again on fresh seeds to tell."
    if not model.touched:
        told += " This merge request changes nothing under the model's paths, so its rules are not held against it."
    return Markdown(f"{told}{_unfinished(model)} {_silent(model)}".rstrip())


def _silent(model: ModelReport) -> str:
    """Say what it means that no run of it counts."""
    found = model.silence
    return "" if found is None else f"{found.sentence[0].upper()}{found.sentence[1:]}."


def _touched(model: ModelReport) -> str:
    return ", though the merge request changes it" if model.model and model.model.paths and model.touched else ""


def _against(page: Page, model: ModelReport) -> str:  # noqa: PLR0911 - one way out for each reason
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
    told = [
        f"{count(number, 'run')} {word}"
        for state, word in _NOT_COUNTED.items()
        if (number := sum(run.state is state for run in model.runs))
    ]
    if not told:
        return ""
    jobs = {run.job_id: run for run in model.runs if run.state is RunState.FAILED}
    links = [link(run.job_name, run.job_url) for run in list(jobs.values())[:_MOST_JOBS]]
    failed = f" See {', '.join(links)}." if links else ""
    return f" Not counted: {', '.join(told)}.{failed}"
