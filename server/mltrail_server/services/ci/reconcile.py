"""Make what we know and what we show equal to what GitLab says. Level-triggered: doing it again changes nothing."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mltrail_server.domain import gitlab_ci
from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.grouping import RunState
from mltrail_server.domain.silence import SilenceKind
from mltrail_server.services.ci.publish.notes import End
from mltrail_server.services.context.deps import PROJECT_AGE_MS, Ci
from mltrail_server.services.contract import contracts
from mltrail_server.services.pipelines import child_pipelines, heads, states
from mltrail_server.services.pipelines.states import PipelineState
from mltrail_server.services.review import examine, note, red_verdicts, reports
from mltrail_server.services.review.report_jobs import is_broken, still_runs
from mltrail_server.services.review.reports import Question, Report
from mltrail_server.store.ci import due, merge_requests, pipelines, posts
from mltrail_server.store.ci.merge_requests import MergeRequest
from mltrail_server.store.ci.pipelines import Pipeline
from mltrail_server.store.ci.posts import Post
from mltrail_server.store.review import jobs
from mltrail_server.store.review.contracts import Kept

from . import complete, poll
from .publish import gate, gate_thread, issues, notes

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
    project: gitlab_ci.Project


@dataclass(frozen=True, slots=True)
class _Subject:
    """The merge request that a pipeline is judged for: its own where `iid` is None, or another of its branch, with what
    binds that one.
    """

    iid: int | None = None
    kept: Kept | None = None


def pipeline(ci: Ci, pipeline_id: int, *, asked: bool = False, by_job: int | None = None) -> Outcome:
    """Ask GitLab about a pipeline, close what its jobs have left open, and make the merge request's note say it.

    A child pipeline's root speaks for it. `asked` tells that somebody wants the note now, also where it was deleted;
    `by_job` which job of the pipeline it was. Of several merge requests of one branch the strictest verdict is
    answered. Raises what GitLab's refusal means.
    """
    pipeline_id = child_pipelines.root_of(ci, pipeline_id)
    state = states.refresh(ci, pipeline_id, fresh=True)
    if by_job is not None:
        with ci.project.write() as tx:
            jobs.keep(tx, pipeline_id, by_job)
    examine.prepare(ci, state, pipeline_id)
    subjects = [_Subject(), *_others(ci, state)]
    outcomes = [_judged(ci, state, pipeline_id, one) for one in subjects]
    if by_job is not None and any(is_broken(one.report) for one in outcomes):
        _come_again(ci, pipeline_id, in_ms=_REPORT_ENDS_MS)
    done = False
    try:
        ends = [
            _post(ci, state, pipeline_id, outcome, subject, asked=asked)
            for subject, outcome in zip(subjects, outcomes, strict=True)
        ]
        done = End.BUSY not in ends
        done = _faces(ci, state, [one.report for one in outcomes]) and done
    finally:
        if not done or any(one.report.busy for one in outcomes):
            # The worker does what could not be done while somebody waited.
            _come_again(ci, pipeline_id, in_ms=_BUSY_MS)
    return _strictest(outcomes)


def _strictest(outcomes: Sequence[Outcome]) -> Outcome:
    """Choose what to answer: a verdict that fails before others, else the own merge request's."""
    return next((one for one in outcomes if is_broken(one.report)), outcomes[0])


def _others(ci: Ci, state: PipelineState) -> list[_Subject]:
    """Read what binds the other merge requests of a branch. One that GitLab does not show is left to the next
    look.
    """
    found = []
    for iid in state.others:
        with ci.project.read() as tx:
            request = merge_requests.get(tx, iid)
        # A branch's pipeline speaks for merge requests of the branch as it is.
        if request is None or state.pipeline is None or request.head_sha != state.pipeline.sha:
            continue
        try:
            kept = contracts.of_request(ci, state.pipeline.sha, request, Kept())
            examine.refresh_baselines(ci, request.target_branch, but=state.pipeline.id)
        except MltrailError as error:
            _log.warning("!%s of project %s: %s", iid, ci.project_id, error.message)
            continue
        found.append(_Subject(iid, replace(kept, asked_ms=ci.now)))
    return found


def _judged(ci: Ci, state: PipelineState, pipeline_id: int, subject: _Subject) -> Outcome:
    """Compute a report with all that it rests on, and remember what it says."""
    outcome = _computed(ci, state, pipeline_id, subject)
    request = outcome.report.merge_request
    if request is None:
        return outcome
    again = False
    if _may_be_elsewhere(outcome.report):
        for other in heads.refresh(ci, request, outcome.report.head, but=pipeline_id):
            _come_again(ci, other, in_ms=_BUSY_MS)
        again = True
    contract = outcome.report.gate.contract.known
    if contract is not None and contract.gate.thread:
        try:
            again = gate_thread.observe(ci, outcome.report) or again
        except MltrailError as error:
            _log.warning("the thread of !%s of project %s: %s", request.iid, ci.project_id, error.message)
    if again:
        outcome = _computed(ci, state, pipeline_id, subject)
    red_verdicts.keep(ci, outcome.report)
    return outcome


def _may_be_elsewhere(report: Report) -> bool:
    """Tell whether another pipeline of the commit may say more: a model is missing here, or runs there are open."""
    missing = any(model.silence is not None for model in report.gate.models)
    return missing or any(
        run.state is RunState.RUNNING
        for model in report.gate.models
        if model.made_by is not None and model.made_by.id != report.pipeline.id
        for run in model.runs
    )


def _faces(ci: Ci, state: PipelineState, found: Sequence[Report]) -> bool:
    """Show the gate beside the note. What GitLab does not take is no error of who asks for the report."""
    done = True
    for report in found:
        try:
            done = _show_faces(ci, state, report, found) and done
        except MltrailError as error:
            _log.warning("the gate of pipeline %s of project %s: %s", report.pipeline.id, ci.project_id, error.message)
            done = False
    return done


def _show_faces(ci: Ci, state: PipelineState, report: Report, found: Sequence[Report]) -> bool:
    """Show one merge request's gate. The pipeline has one status, which tells the strictest verdict."""
    tells = next((one for one in found if is_broken(one)), found[0]) is report
    return gate.show(ci, report, path=state.project.path, status=tells)


def _come_again(ci: Ci, pipeline_id: int, *, in_ms: int) -> None:
    """Have the worker look at a pipeline."""
    with ci.project.write() as tx:
        now = tx.now
        due.mark(tx, kind=due.PIPELINE, key=pipeline_id, at=now + in_ms)


def look(ci: Ci, pipeline_id: int) -> Look:
    """Look at a pipeline as the worker does, with as few calls as will do.

    No note is begun while it trains (its e-mail would tell nothing), but one that tells of an older pipeline is brought
    up to date. Of a child pipeline only the root is found, which then is due itself.
    """
    root_id = child_pipelines.root_of(ci, pipeline_id)
    if root_id != pipeline_id:
        _come_again(ci, root_id, in_ms=0)
        return Look(settled=True)
    state = states.refresh(ci, pipeline_id, fresh=False)
    post = _post_of(ci, state)
    tells_of_older = post is not None and post.note_id is not None and (post.pipeline_id or 0) < pipeline_id
    if not state.settled and not tells_of_older:
        return Look(settled=False)
    examine.prepare(ci, state, pipeline_id)
    subjects = [_Subject(), *_others(ci, state)]
    outcomes = [_judged(ci, state, pipeline_id, one) for one in subjects]
    found = [one.report for one in outcomes]
    if _is_early(state, found[0]):
        return Look(settled=False)
    for subject, outcome in zip(subjects, outcomes, strict=True):
        end = _post(ci, state, pipeline_id, outcome, subject, asked=False)
        if end in (End.BUSY, End.LATER):
            return Look(settled=False, wait_ms=_wait_for_note(ci, state, subject, end))
    shown = [_show_faces(ci, state, report, found) for report in found]
    if state.settled and state.pipeline is not None and not state.has_or_may_get_a_request:
        issues.show_where_wanted(ci, found[0], path=state.project.path)
    if not all(shown):
        return Look(settled=False, wait_ms=_BUSY_MS)
    if state.settled and state.has_or_may_get_a_request:
        poll.begin(ci)
    if state.settled and _is_of_an_older_head(found[0]):
        _look_at_request(ci, found[0])
    return Look(settled=_is_done(ci, state, found))


def _wait_for_note(ci: Ci, state: PipelineState, subject: _Subject, end: End) -> int:
    """Tell how long to wait until a note may be written."""
    if end is End.BUSY:
        return _BUSY_MS
    post = _post_of(ci, state, subject.iid)
    return max(_BUSY_MS, ((post.next_ms if post else None) or 0) - ci.now)


def _is_done(ci: Ci, state: PipelineState, found: Sequence[Report]) -> bool:
    if not state.settled or found[0].busy or not (found[0].contract_read or state.pipeline is None):
        return False
    return not any(_report_job_runs(ci, state, one) for one in found)


def _is_early(state: PipelineState, report: Report) -> bool:
    """Tell whether a pipeline that has not ended may still train what is missing in it."""
    if state.pipeline is None or state.pipeline.status in gitlab_ci.ENDED | {"manual", "scheduled"}:
        return False
    return any(
        model.silence is not None and model.silence.kind is not SilenceKind.WAITING for model in report.gate.models
    )


def _is_of_an_older_head(report: Report) -> bool:
    request = report.merge_request
    return request is not None and request.state == "opened" and not report.is_of_head


def _look_at_request(ci: Ci, report: Report) -> None:
    """Have the worker look at a merge request whose newest commit nobody has asked about."""
    if report.merge_request is None:
        return
    with ci.project.write() as tx:
        now = tx.now
        due.mark(tx, kind=due.REQUEST, key=report.merge_request.iid, at=now)


def request(ci: Ci, iid: int) -> Look:
    """Look at a merge request whose newest commit has perhaps no pipeline that has logged: its pipelines are looked at
    then, and where there are none, silence is reported all the same. Raises what GitLab's refusal means.
    """
    told = ci.gitlab.merge_request(ci.project_id, iid)
    with ci.project.write() as tx:
        merge_requests.refresh(tx, told)
        known = merge_requests.get(tx, iid)
        newest = pipelines.newest_of_request(tx, iid)
    head = told.sha
    if known is None or head is None or told.state != "opened" or told.source_project_id != ci.project_id:
        return Look(settled=True)
    found = heads.newest(ci, known, head)
    if found:
        _come_again(ci, found[0].id, in_ms=0)
        return Look(settled=True)
    project = ci.gitlab.project(ci.project_id, max_age_ms=PROJECT_AGE_MS)
    kept = replace(contracts.of_request(ci, head, known, Kept()), asked_ms=ci.now)
    speaks = newest or Pipeline(0, head, told.source_branch, "", None, None, iid)
    state = PipelineState(project, None, iid, settled=True)
    examine.refresh_baselines(ci, told.target_branch, but=speaks.id)
    outcome = _computed(ci, state, speaks.id, _Subject(iid, kept), head=head, of=speaks)
    red_verdicts.keep(ci, outcome.report)
    if outcome.report.gate.outcome is None and known.note_id is None:
        return Look(settled=True)
    subject = _Subject(iid, kept)
    end = _post(ci, state, speaks.id, outcome, subject, asked=False, head=head, of=speaks)
    shown = gate.show(ci, outcome.report, path=project.path)
    return Look(settled=end not in (End.BUSY, End.LATER) and shown, wait_ms=_BUSY_MS)


def _report_job_runs(ci: Ci, state: PipelineState, report: Report) -> bool:
    """Tell whether a report job still has to fail with the gate."""
    if not is_broken(report) or state.pipeline is None or state.pipeline.status in gitlab_ci.ENDED:
        return False
    with ci.project.read() as tx:
        return still_runs(tx, report)


def _post_of(ci: Ci, state: PipelineState, iid: int | None = None) -> Post | None:
    wanted = iid or state.merge_request_iid
    if wanted is None:
        return None
    with ci.project.read() as tx:
        return posts.get(tx, wanted)


def _computed(
    ci: Ci,
    state: PipelineState,
    pipeline_id: int,
    subject: _Subject,
    *,
    head: str | None = None,
    of: Pipeline | None = None,
) -> Outcome:
    asked = Question(
        state.project.default_branch,
        examine.ancestors(ci, subject.iid or state.merge_request_iid),
        ci.deps.settings.if_invalid_contract,
        iid=subject.iid,
        kept=subject.kept,
        head=head,
    )
    with ci.project.read() as tx:
        report = reports.of(tx, of, asked) if of is not None else reports.answer(tx, pipeline_id, asked)
    report = complete.completed(ci, report, default_branch=state.project.default_branch)
    text = note.body(report, settings=ci.deps.settings, project_path=state.project.path)
    return Outcome(report, text, state.settled, state.project)


def _post(  # noqa: PLR0913 - what is posted, for whom, and what it is of
    ci: Ci,
    state: PipelineState,
    pipeline_id: int,
    outcome: Outcome,
    subject: _Subject,
    *,
    asked: bool,
    head: str | None = None,
    of: Pipeline | None = None,
) -> End:
    request = outcome.report.merge_request
    if request is None or not _is_worth_a_note(outcome.report, request, asked=asked):
        return End.NOTHING
    if request.note_id is None and state.of_train and not asked:
        return End.NOTHING  # what is about to be merged needs no new e-mail
    with ci.project.read() as tx:
        if pipelines.has_one_of_request_beside(tx, outcome.report.pipeline, iid=request.iid):
            return End.NOTHING
    return notes.write(
        ci,
        request.iid,
        pipeline_id=pipeline_id,
        # Computed anew in turn: meanwhile another process may have told of what came later.
        body=lambda: _computed(ci, state, pipeline_id, subject, head=head, of=of).text,
        asked=asked,
    )


def _is_worth_a_note(report: Report, request: MergeRequest, *, asked: bool) -> bool:
    """A merge request that has logged nothing gets no note unless that fails the gate, or somebody asks and the gate
    has a word on it; but a note that stands must not go on describing an older pipeline.
    """
    if any(model.runs for model in report.models) or is_broken(report):
        return True
    gated = any(model.outcome is not None for model in report.models)
    stands = request.note_id is not None
    return (gated and (asked or stands)) or (asked and stands)


def known(ci: Ci, pipeline_id: int, *, trial: str | None = None) -> Report:
    """Compute a pipeline's report from what is stored. GitLab is asked only where the branches part, and when it does
    not answer, the target branch's newest pipeline is the baseline. `trial` is a contract to try beside the one that
    binds.

    Raises NOT_FOUND for a pipeline that has never logged.
    """
    pipeline_id = child_pipelines.known_root(ci, pipeline_id)
    asked = Question(None, if_invalid=ci.deps.settings.if_invalid_contract, trial=trial)
    with ci.project.read() as tx:
        report = reports.answer(tx, pipeline_id, asked)
    if report.waiting or not report.models:
        return report
    base = report.merge_request.base_sha if report.merge_request else None
    try:
        default_branch = ci.gitlab.project(ci.project_id, max_age_ms=PROJECT_AGE_MS).default_branch
        ancestors = ci.gitlab.ancestors(ci.project_id, base) if base else []
    except MltrailError:
        return report
    with ci.project.read() as tx:
        asked = replace(asked, default_branch=default_branch, ancestors=ancestors)
        report = reports.answer(tx, pipeline_id, asked)
    return complete.completed(ci, report, default_branch=default_branch)
