"""Make what we know and what we show equal to what GitLab says. Level-triggered: doing it again changes nothing."""

import logging
from dataclasses import dataclass

from mltrail_server.domain import ci
from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.gitlab.client import GitLab
from mltrail_server.store import due, jobs, merge_requests, pipelines, posts, report_jobs
from mltrail_server.store.posts import Post

from . import completing, contracts, faces, families, note, notes, regressions, reports, states, sweep, trees
from .deps import Deps
from .job_states import GRACE_MS
from .notes import End
from .report_jobs import is_broken, still_runs
from .reports import Report
from .states import State, gitlab_of

_MOST_BASELINES = 3
_BUSY_MS = 15_000
_REPORT_ENDS_MS = 60_000
"""So long after a report job was told that the gate fails it is looked whether it has failed, too."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """`settled`: there is nothing more to wait for. `wait_ms` is how long to wait at least, where that is known."""

    settled: bool
    wait_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    report: Report
    text: str  # the note's body
    settled: bool  # every job of every candidate has ended
    project: ci.Project


def pipeline(
    deps: Deps, project_id: ProjectId, pipeline_id: int, *, asked: bool = False, by_job: int | None = None
) -> Outcome:
    """Ask GitLab about a pipeline, close what its jobs have left open, and make the merge request's note say it.

    A child pipeline's root speaks for it. `asked` tells that somebody wants the note now, also where it was deleted;
    `by_job` which job of the pipeline it was. Raises what GitLab's refusal means.
    """
    pipeline_id = families.root_of(deps, gitlab_of(deps), project_id, pipeline_id)
    state = states.refresh(deps, project_id, pipeline_id, fresh=True)
    if by_job is not None:
        with deps.db.write() as connection:
            report_jobs.keep(connection, project_id, pipeline_id, by_job)
    _prepare(deps, state, project_id, pipeline_id)
    outcome = _computed(deps, state, project_id, pipeline_id)
    if by_job is not None and is_broken(outcome.report):
        _come_again(deps, project_id, pipeline_id, in_ms=_REPORT_ENDS_MS)
    done = False
    try:
        done = _post(deps, state, project_id, pipeline_id, outcome, asked=asked) is not End.BUSY
        done = _faces(deps, state, project_id, outcome.report) and done
    finally:
        if not done:
            # The worker does what could not be done while somebody waited.
            _come_again(deps, project_id, pipeline_id, in_ms=_BUSY_MS)
    return outcome


def _faces(deps: Deps, state: State, project_id: ProjectId, report: Report) -> bool:
    """Show the gate beside the note. What GitLab does not take is no error of who asks for the report."""
    try:
        return faces.show(deps, gitlab_of(deps), project_id, report, path=state.project.path)
    except MltrailError as error:
        _log.warning("the gate of pipeline %s of project %s: %s", report.pipeline.id, project_id, error.message)
        return False


def _come_again(deps: Deps, project_id: ProjectId, pipeline_id: int, *, in_ms: int) -> None:
    """Have the worker look at a pipeline."""
    with deps.db.write() as connection:
        now = deps.clock()
        due.mark(connection, project_id, kind=due.PIPELINE, key=pipeline_id, at=now + in_ms, now=now)


def refresh(deps: Deps, project_id: ProjectId, pipeline_id: int) -> Outcome:
    """The same without the note."""
    pipeline_id = families.root_of(deps, gitlab_of(deps), project_id, pipeline_id)
    state = states.refresh(deps, project_id, pipeline_id, fresh=True)
    _prepare(deps, state, project_id, pipeline_id)
    return _computed(deps, state, project_id, pipeline_id)


def look(deps: Deps, project_id: ProjectId, pipeline_id: int) -> Look:
    """Look at a pipeline as the worker does, with as few calls as will do.

    No note is begun while it trains (its e-mail would tell nothing), but one that tells of an older pipeline is brought
    up to date. Of a child pipeline only the root is found, which then is due itself.
    """
    root_id = families.root_of(deps, gitlab_of(deps), project_id, pipeline_id)
    if root_id != pipeline_id:
        _come_again(deps, project_id, root_id, in_ms=0)
        return Look(settled=True)
    state = states.refresh(deps, project_id, pipeline_id, fresh=False)
    post = _post_of(deps, state, project_id)
    tells_of_older = post is not None and post.note_id is not None and (post.pipeline_id or 0) < pipeline_id
    if not state.settled and not tells_of_older:
        return Look(settled=False)
    _prepare(deps, state, project_id, pipeline_id)
    outcome = _computed(deps, state, project_id, pipeline_id)
    end = _post(deps, state, project_id, pipeline_id, outcome, asked=False)
    if end is End.BUSY:
        return Look(settled=False, wait_ms=_BUSY_MS)
    if end is End.LATER:
        post = _post_of(deps, state, project_id)
        return Look(settled=False, wait_ms=max(_BUSY_MS, ((post.next_ms if post else None) or 0) - deps.clock()))
    shown = faces.show(deps, gitlab_of(deps), project_id, outcome.report, path=state.project.path)
    if state.settled and state.pipeline is not None and not state.has_or_may_get_a_request:
        regressions.show_where_wanted(deps, gitlab_of(deps), project_id, outcome.report, path=state.project.path)
    if not shown:
        return Look(settled=False, wait_ms=_BUSY_MS)
    if state.settled and state.has_or_may_get_a_request:
        sweep.begin(deps, project_id)
    done = state.settled and (outcome.report.contract_read or state.pipeline is None)
    return Look(settled=done and not _report_job_runs(deps, state, project_id, outcome.report))


def _report_job_runs(deps: Deps, state: State, project_id: ProjectId, report: Report) -> bool:
    """Tell whether a report job still has to fail with the gate."""
    if not is_broken(report) or state.pipeline is None or state.pipeline.status in ci.ENDED:
        return False
    with deps.db.read() as connection:
        return still_runs(connection, project_id, report)


def _post_of(deps: Deps, state: State, project_id: ProjectId) -> Post | None:
    if state.merge_request_iid is None:
        return None
    with deps.db.read() as connection:
        return posts.get(connection, project_id, state.merge_request_iid)


def _prepare(deps: Deps, state: State, project_id: ProjectId, pipeline_id: int) -> None:
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
        _refresh_baselines(deps, gitlab, project_id, target, but=pipeline_id)


def _computed(deps: Deps, state: State, project_id: ProjectId, pipeline_id: int) -> Outcome:
    ancestors = _ancestors(deps, project_id, state.merge_request_iid)
    with deps.db.read() as connection:
        report = reports.compute(
            connection,
            project_id,
            pipeline_id,
            default_branch=state.project.default_branch,
            ancestors=ancestors,
            if_invalid=deps.settings.if_invalid_contract,
        )
    report = completing.completed(deps, project_id, report, default_branch=state.project.default_branch)
    text = note.body(report, settings=deps.settings, project_path=state.project.path)
    return Outcome(report, text, state.settled, state.project)


def _ancestors(deps: Deps, project_id: ProjectId, iid: int | None) -> list[str]:
    with deps.db.read() as connection:
        request = None if iid is None else merge_requests.get(connection, project_id, iid)
    base = request.base_sha if request else None
    return gitlab_of(deps).ancestors(project_id, base) if base else []


def _post(deps: Deps, state: State, project_id: ProjectId, pipeline_id: int, outcome: Outcome, *, asked: bool) -> End:
    request = outcome.report.merge_request
    # Who has logged nothing gets no note, but a note that stands must not go on telling of an older pipeline.
    if request is None or not (outcome.report.models or (asked and request.note_id is not None)):
        return End.NOTHING
    if request.note_id is None and state.of_train and not asked:
        return End.NOTHING  # what is about to be merged needs no new e-mail
    with deps.db.read() as connection:
        if pipelines.has_one_of_request_beside(connection, project_id, outcome.report.pipeline):
            return End.NOTHING
    return notes.write(
        deps,
        gitlab_of(deps),
        project_id,
        request.iid,
        pipeline_id=pipeline_id,
        # Computed anew in turn: meanwhile another process may have told of what came later.
        body=lambda: _computed(deps, state, project_id, pipeline_id).text,
        asked=asked,
    )


def _refresh_baselines(deps: Deps, gitlab: GitLab, project_id: ProjectId, target: str, *, but: int) -> None:
    """Ask about jobs of the target branch that had not ended when we looked last: they may be the baseline."""
    with deps.db.read() as connection:
        open_ones = pipelines.unsettled(connection, project_id, target, ended=ci.ENDED, limit=_MOST_BASELINES)
    told = [
        job
        for number in open_ones
        if number != but
        for job in (
            *gitlab.pipeline_jobs(project_id, number),
            *families.jobs_of_children(deps, gitlab, project_id, number, fresh=False),
        )
    ]
    if told:
        with deps.db.write() as connection:
            jobs.refresh(connection, project_id, told, now=deps.clock())
            jobs.settle_flags(connection, project_id, told, grace_ms=GRACE_MS)


def known(deps: Deps, project_id: ProjectId, pipeline_id: int, *, trial: str | None = None) -> Report:
    """Compute a pipeline's report from what is stored. GitLab is asked only where the branches part, and when it does
    not answer, the target branch's newest pipeline is the baseline. `trial` is a contract to try beside the one that
    binds.

    Raises NOT_FOUND for a pipeline that has never logged.
    """
    pipeline_id = families.known_root(deps, project_id, pipeline_id)
    if_invalid = deps.settings.if_invalid_contract
    with deps.db.read() as connection:
        report = reports.compute(
            connection, project_id, pipeline_id, default_branch=None, if_invalid=if_invalid, trial=trial
        )
    if report.state != "ready" or deps.gitlab is None:
        return report
    base = report.merge_request.base_sha if report.merge_request else None
    try:
        default_branch = deps.gitlab.project(project_id, max_age_ms=states.PROJECT_AGE_MS).default_branch
        ancestors = deps.gitlab.ancestors(project_id, base) if base else []
    except MltrailError:
        return report
    with deps.db.read() as connection:
        report = reports.compute(
            connection,
            project_id,
            pipeline_id,
            default_branch=default_branch,
            ancestors=ancestors,
            if_invalid=if_invalid,
            trial=trial,
        )
    return completing.completed(deps, project_id, report, default_branch=default_branch)
