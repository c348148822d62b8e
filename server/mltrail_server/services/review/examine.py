"""Examine a pipeline: ask GitLab for all that its report rests on."""

from dataclasses import dataclass

from mltrail_server.domain import gitlab_ci
from mltrail_server.domain.ids import ProjectId
from mltrail_server.gitlab.client import GitLab
from mltrail_server.services.context.deps import Deps, gitlab_of
from mltrail_server.services.context.job_states import GRACE_MS
from mltrail_server.services.contract import contracts
from mltrail_server.services.pipelines import child_pipelines, states, trees
from mltrail_server.services.pipelines.states import PipelineState
from mltrail_server.store.ci import jobs, merge_requests, pipelines

from . import reports
from .reports import Question, Report

_MOST_BASELINES = 3


@dataclass(frozen=True, slots=True)
class Examined:
    """A pipeline's report, and its project as GitLab describes it now."""

    report: Report
    project: gitlab_ci.Project


def refresh(deps: Deps, project_id: ProjectId, pipeline_id: int) -> Examined:
    """Examine one pipeline alone, for a promotion: what others have made of its commit does not count.

    A child pipeline's root speaks for it. Raises what GitLab's refusal means.
    """
    pipeline_id = child_pipelines.root_of(deps, gitlab_of(deps), project_id, pipeline_id)
    state = states.refresh(deps, project_id, pipeline_id, fresh=True)
    prepare(deps, state, project_id, pipeline_id)
    default_branch = state.project.default_branch
    found = ancestors(deps, project_id, state.merge_request_iid)
    asked = Question(default_branch, found, deps.settings.if_invalid_contract, alone=True)
    with deps.db.read() as connection:
        return Examined(reports.answer(connection, project_id, pipeline_id, asked), state.project)


def prepare(deps: Deps, state: PipelineState, project_id: ProjectId, pipeline_id: int) -> None:
    """Fetch what the comparison needs beside the pipeline itself."""
    gitlab = gitlab_of(deps)
    with deps.db.read() as connection:
        request = (
            None
            if state.merge_request_iid is None
            else merge_requests.get(connection, project_id, state.merge_request_iid)
        )
    if state.pipeline is not None:
        default_branch = state.project.default_branch
        contracts.refresh(deps, gitlab, project_id, state.pipeline, request, default_branch=default_branch)
        if request is not None and state.pipeline.sha != request.head_sha:
            # A merged results pipeline's commit is on no branch; what it holds decides whether its candidate ships.
            trees.remember(deps, gitlab, project_id, pipeline_id, state.pipeline.sha)
    target = request.target_branch if request else state.project.default_branch
    if target is not None:
        refresh_baselines(deps, gitlab, project_id, target, but=pipeline_id)


def ancestors(deps: Deps, project_id: ProjectId, iid: int | None) -> list[str]:
    with deps.db.read() as connection:
        request = None if iid is None else merge_requests.get(connection, project_id, iid)
    base = request.base_sha if request else None
    return gitlab_of(deps).ancestors(project_id, base) if base else []


def refresh_baselines(deps: Deps, gitlab: GitLab, project_id: ProjectId, target: str, *, but: int) -> None:
    """Ask about jobs of the target branch that had not ended when we looked last: they may be the baseline."""
    with deps.db.read() as connection:
        open_ones = pipelines.unsettled(connection, project_id, target, ended=gitlab_ci.ENDED, limit=_MOST_BASELINES)
    told = [
        job
        for number in open_ones
        if number != but
        for job in (
            *gitlab.pipeline_jobs(project_id, number),
            *child_pipelines.jobs_of_children(deps, gitlab, project_id, number, fresh=False),
        )
    ]
    if told:
        with deps.db.write() as connection:
            jobs.refresh(connection, project_id, told, now=deps.clock())
            jobs.settle_flags(connection, project_id, told, grace_ms=GRACE_MS)
