"""Examine a pipeline: ask GitLab for all that its report rests on."""

from dataclasses import dataclass, replace

from mltrail_server.domain import gitlab_ci
from mltrail_server.services.context.deps import Ci
from mltrail_server.services.context.job_states import GRACE_MS
from mltrail_server.services.contract import contracts
from mltrail_server.services.pipelines import child_pipelines, states, trees
from mltrail_server.services.pipelines.states import PipelineState
from mltrail_server.store.ci import jobs, merge_requests, pipelines

from . import reports
from .cases import results
from .reports import Question, Report

_MOST_BASELINES = 3


@dataclass(frozen=True, slots=True)
class Examined:
    """A pipeline's report, and its project as GitLab describes it now."""

    report: Report
    project: gitlab_ci.GitLabProject


def refresh(ci: Ci, pipeline_id: int) -> Examined:
    """Examine one pipeline alone, for a promotion: what others have made of its commit does not count.

    A child pipeline's root speaks for it. Raises what GitLab's refusal means.
    """
    pipeline_id = child_pipelines.root_of(ci, pipeline_id)
    state = states.refresh(ci, pipeline_id, fresh=True)
    prepare(ci, state, pipeline_id)
    default_branch = state.project.default_branch
    found = ancestors(ci, state.merge_request_iid)
    asked = Question(default_branch, found, ci.deps.settings.if_invalid_contract, alone=True)
    report = results.judged(ci, lambda tx, cases: reports.answer(tx, pipeline_id, replace(asked, cases=cases)))
    return Examined(report, state.project)


def prepare(ci: Ci, state: PipelineState, pipeline_id: int) -> None:
    """Fetch what the comparison needs beside the pipeline itself."""
    with ci.project.read() as tx:
        request = None if state.merge_request_iid is None else merge_requests.get(tx, state.merge_request_iid)
    if state.pipeline is not None:
        default_branch = state.project.default_branch
        contracts.refresh(ci, state.pipeline, request, default_branch=default_branch)
        if request is not None and state.pipeline.sha != request.head_sha:
            # A merged results pipeline's commit is on no branch; what it holds decides whether its candidate ships.
            trees.remember(ci, pipeline_id, state.pipeline.sha)
        if request is not None:
            trees.remember_of_request(ci, request)
    target = request.target_branch if request else state.project.default_branch
    if target is not None:
        refresh_baselines(ci, target, but=pipeline_id)


def ancestors(ci: Ci, iid: int | None) -> list[str]:
    with ci.project.read() as tx:
        request = None if iid is None else merge_requests.get(tx, iid)
    base = request.base_sha if request else None
    return ci.gitlab.ancestors(ci.project_id, base) if base else []


def refresh_baselines(ci: Ci, target: str, *, but: int) -> None:
    """Ask about jobs of the target branch that had not ended when we looked last: they may be the baseline."""
    with ci.project.read() as tx:
        open_ones = pipelines.unsettled(tx, target, ended=gitlab_ci.ENDED, limit=_MOST_BASELINES)
    open_jobs = [
        job
        for number in open_ones
        if number != but
        for job in (
            *ci.gitlab.pipeline_jobs(ci.project_id, number),
            *child_pipelines.jobs_of_children(ci, number, fresh=False),
        )
    ]
    if open_jobs:
        with ci.project.write() as tx:
            jobs.refresh(tx, open_jobs)
            jobs.settle_flags(tx, open_jobs, grace_ms=GRACE_MS)
