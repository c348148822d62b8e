"""Compute the one complete report of a merge request that everything is published from: the verdict, and with it
packages, prompts, what a merge would promote, who has overridden the gate, and what has changed about the report job.
"""

import logging
from dataclasses import dataclass, replace

from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.grouping import RunState
from mltrail_server.services.context.deps import PROJECT_AGE_MS, Ci
from mltrail_server.services.pipelines import child_pipelines, heads
from mltrail_server.services.pipelines.states import PipelineState
from mltrail_server.services.promotion import preview
from mltrail_server.services.review import (
    case_uses,
    examine,
    note,
    overrides,
    packages,
    prompts,
    red_verdicts,
    report_jobs,
    reports,
    request_verdicts,
)
from mltrail_server.services.review.cases import results as case_results
from mltrail_server.services.review.reports import Question, Report
from mltrail_server.store.ci import due
from mltrail_server.store.ci.pipelines import Pipeline
from mltrail_server.store.review.contracts import StoredContract

from .publish import thread
from .publish.publishers import CompleteReport

OTHERS_MS = 15_000
"""How soon the worker looks at other pipelines of the same commit that still train."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReportSubject:
    """A pipeline that is judged for a merge request: for its own if `iid` is None, else for `iid`, which the contract
    `kept` binds. If that one's newest commit, `head`, has no pipeline here, `pipeline` stands in for it.
    """

    state: PipelineState
    pipeline_id: int
    iid: int | None = None
    kept: StoredContract | None = None
    head: str | None = None
    pipeline: Pipeline | None = None

    @property
    def merge_request_iid(self) -> int | None:
        return self.iid or self.state.merge_request_iid


def complete(ci: Ci, subject: ReportSubject) -> CompleteReport:
    """Compute a report with all that it rests on, and remember which models have failed. It is judged again only if
    GitLab said something new about the commit's other pipelines, or about what has changed since earlier commits.
    """
    default_branch = subject.state.project.default_branch
    question = Question(
        default_branch,
        examine.ancestors(ci, subject.merge_request_iid),
        ci.deps.settings.if_invalid_contract,
        iid=subject.iid,
        kept=subject.kept,
        head=subject.head,
    )
    report = _judged(ci, subject, question)
    if subject.pipeline is None and _refresh_heads(ci, report):
        report = _judged(ci, subject, question)
    if _compare_heads(ci, report):
        report = _judged(ci, subject, question)
    report = _with_override(ci, report)
    resolved = _is_thread_resolved(ci, report)
    if resolved and report.override is None:
        report = _with_override(ci, report)
    red_verdicts.keep(ci, report)
    case_uses.keep(ci, report)
    request_verdicts.keep(ci, report)
    report = _completed(ci, report, default_branch=default_branch)
    text = note.body(report, settings=ci.deps.settings, project_path=subject.state.project.path)
    return CompleteReport(report, text, subject.state, resolved)


def known(ci: Ci, pipeline_id: int, *, trial: str | None = None) -> Report:
    """Compute a pipeline's report from what is stored. GitLab is asked only where the branches part, and when it does
    not respond, the target branch's newest pipeline is the baseline. `trial` is a contract to try beside the one that
    binds.

    Raises NOT_FOUND for a pipeline that has never logged.
    """
    pipeline_id = child_pipelines.known_root(ci, pipeline_id)
    question = Question(None, if_invalid=ci.deps.settings.if_invalid_contract, trial=trial)
    report = _answered(ci, pipeline_id, question)
    if report.waiting or not report.models:
        return report
    base = report.merge_request.base_sha if report.merge_request else None
    try:
        default_branch = ci.gitlab.project(ci.project_id, max_age_ms=PROJECT_AGE_MS).default_branch
        ancestors = ci.gitlab.ancestors(ci.project_id, base) if base else []
    except MltrailError:
        return report
    question = replace(question, default_branch=default_branch, ancestors=ancestors)
    report = _answered(ci, pipeline_id, question)
    return _completed(ci, _with_override(ci, report), default_branch=default_branch)


def _judged(ci: Ci, subject: ReportSubject, question: Question) -> Report:
    pipeline = subject.pipeline
    if pipeline is None:
        return _answered(ci, subject.pipeline_id, question)
    return case_results.judged(ci, lambda tx, cases: reports.of(tx, pipeline, replace(question, cases=cases)))


def _answered(ci: Ci, pipeline_id: int, question: Question) -> Report:
    return case_results.judged(ci, lambda tx, cases: reports.answer(tx, pipeline_id, replace(question, cases=cases)))


def _refresh_heads(ci: Ci, report: Report) -> bool:
    """Ask GitLab about the commit's other pipelines where they may say more. Returns whether anything was new."""
    if report.merge_request is None or not _may_be_elsewhere(report):
        return False
    found = heads.refresh(ci, report.merge_request, report.head, but=report.pipeline.id)
    if found.unfinished:
        with ci.project.write() as tx:
            for other in found.unfinished:
                due.mark(tx, kind=due.PIPELINE, key=other, at=tx.now + OTHERS_MS)
    return found.changed


def _compare_heads(ci: Ci, report: Report) -> bool:
    """Ask GitLab whether anything has changed since an earlier commit, where a model was not trained. Returns whether
    anything was new.
    """
    quiet = any(model.silence is not None and not model.silence.busy for model in report.gate.models)
    return report.merge_request is not None and quiet and heads.compare(ci, report.merge_request, report.head)


def _may_be_elsewhere(report: Report) -> bool:
    """Return whether another pipeline of the commit may say more: a model is missing here, or runs there are open."""
    missing = any(model.silence is not None or model.carried for model in report.gate.models)
    return missing or any(
        run.state is RunState.RUNNING
        for model in report.gate.models
        if model.made_by is not None and model.made_by.id != report.pipeline.id
        for run in model.runs
    )


def _is_thread_resolved(ci: Ci, report: Report) -> bool:
    """Return whether a person has resolved the thread; if that is an override, keep it first."""
    contract = report.gate.contract.known
    if contract is None or not contract.gate.thread or report.merge_request is None:
        return False
    try:
        return thread.observe(ci, report)
    except MltrailError as error:
        _log.warning("the thread of !%s of project %s: %s", report.merge_request.iid, ci.project_id, error.message)
        return False


def _with_override(ci: Ci, report: Report) -> Report:
    with ci.project.read() as tx:
        return replace(report, override=overrides.of(tx, report))


def _completed(ci: Ci, report: Report, *, default_branch: str | None) -> Report:
    """Add to a report that is ready what is shown beside its verdict."""
    if report.state != "ready":
        return report
    report = packages.with_packages(ci, report)
    report = prompts.with_prompts(ci, report)
    report = case_uses.with_wear(ci, report)
    report = preview.with_previews(ci, report, default_branch=default_branch)
    with ci.project.read() as tx:
        return replace(report, doubts=report_jobs.doubts(tx, report))
