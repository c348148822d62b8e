"""What the pages of merge requests show: a pipeline's report, what became of the note, and earlier pipelines."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from mltrail_server.domain import former, gitlab_ci
from mltrail_server.domain.errors import Code, MltrailError, not_found
from mltrail_server.services.ci import report as report_service
from mltrail_server.services.ci.report import PipelineReport
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.ci import merge_requests as store
from mltrail_server.store.ci import publications
from mltrail_server.store.ci.merge_requests import LastPipeline, ListedMergeRequest, RequestPipeline
from mltrail_server.store.ci.publications import Refusal
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.review import request_verdicts
from mltrail_server.store.review.request_verdicts import RequestVerdict

_MOST_PIPELINES = 50
_AT_REST = gitlab_ci.ENDED | {"manual", "scheduled"}
"""Nothing happens in a pipeline with these statuses until a person or a timer acts."""


@dataclass(frozen=True, slots=True)
class KnownRequest:
    """What is stored of a merge request. `verdicts` are what each pipeline's report said when it was last published, by
    pipeline. `refused` lists the threads and statuses that GitLab refused.
    """

    request: ListedMergeRequest
    pipelines: list[RequestPipeline]
    verdicts: Mapping[int, RequestVerdict]
    refused: list[Refusal]

    @property
    def moves(self) -> bool:
        """Whether the verdict may soon change: the newest pipeline has not ended, or is not judged yet."""
        if self.request.state != "opened" or not self.pipelines:
            return False
        newest = self.pipelines[0]
        verdict = self.verdicts.get(newest.id)
        if verdict is not None and verdict.state == "waiting":
            return True
        return newest.status not in _AT_REST and not former.is_former(newest.id)

    @property
    def mark(self) -> str:
        """A hash of all this, which changes when any of it does."""
        known = (self.request, self.pipelines, sorted(self.verdicts.items()), self.refused)
        return hashlib.sha256(repr(known).encode()).hexdigest()[:20]


@dataclass(frozen=True, slots=True)
class MergeRequestView:
    """`shown` is the pipeline that `report` is about; None if none of its pipelines has made a run yet. `problem` says
    why there is no report, if GitLab did not give what the report needs.
    """

    known: KnownRequest
    shown: int | None
    report: PipelineReport | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class MergeRequestInBrief:
    iid: int
    title: str
    state: str  # GitLab's word, "" if GitLab was not asked yet


@dataclass(frozen=True, slots=True)
class ListedRequest:
    """A merge request with its newest pipeline, and what was last said of it; None where that is not known."""

    request: ListedMergeRequest
    pipeline: LastPipeline | None
    verdict: RequestVerdict | None


@dataclass(frozen=True, slots=True)
class RequestList:
    """A page of merge requests, how many there are in each state, and the number before which the next page starts."""

    requests: list[ListedRequest]
    counts: Mapping[str, int]
    more: int | None


def listed(scope: Scope, *, state: str | None, before: int | None, limit: int) -> RequestList:
    """List merge requests from what is stored of them, so that no report has to be computed. Four statements."""
    with scope.project.read() as tx:
        counts = store.count_by_state(tx)
        requests = store.listed(tx, before=before, limit=limit, state=state)
        iids = [one.iid for one in requests[:limit]]
        pipelines = store.last_pipelines(tx, iids)
        verdicts = request_verdicts.newest(tx, iids)
    rows = [ListedRequest(one, pipelines.get(one.iid), verdicts.get(one.iid)) for one in requests[:limit]]
    return RequestList(rows, counts, requests[limit - 1].iid if len(requests) > limit else None)


def in_brief(tx: Transaction, scope: Scope, iid: int | None) -> MergeRequestInBrief | None:
    """Return the merge request of a run or a version, if it has one that the caller may see."""
    if iid is None or not scope.actor.sees_merge_requests:
        return None
    row = store.get_for_page(tx, iid)
    return MergeRequestInBrief(iid, row.title, row.state) if row else MergeRequestInBrief(iid, "", "")


def refused_issues(scope: Scope) -> list[Refusal]:
    """List the models whose scheduled training got worse and whose issue GitLab refused."""
    with scope.project.read() as tx:
        return publications.refused_issues(tx)


def known(scope: Scope, iid: int) -> KnownRequest:
    """Return what is stored of a merge request, without its report. Four statements. Raises NOT_FOUND."""
    with scope.project.read() as tx:
        request = store.get_for_page(tx, iid)
        pipelines = store.pipelines_of(tx, iid, limit=_MOST_PIPELINES)
        refused = publications.refusals_of_request(tx, iid)
        verdicts = request_verdicts.of_request(tx, iid, limit=_MOST_PIPELINES)
    if request is None:
        raise not_found(f"No pipeline of merge request !{iid} has logged a run here.")
    return KnownRequest(request, pipelines, verdicts, refused)


def get(scope: Scope, iid: int, pipeline_id: int | None) -> MergeRequestView:
    """Return a merge request with the report of one of its pipelines, by default the newest. Raises NOT_FOUND."""
    stored = known(scope, iid)
    pipelines = stored.pipelines
    if pipeline_id is not None and all(pipeline.id != pipeline_id for pipeline in pipelines):
        raise not_found(f"Pipeline {pipeline_id} does not belong to merge request !{iid}.")
    shown = pipeline_id or (pipelines[0].id if pipelines else None)
    report, problem = None, None
    if shown is not None:
        try:
            report = report_service.known(scope, shown)
        except MltrailError as error:
            if error.code is Code.INTERNAL:
                raise
            problem = error.message
    return MergeRequestView(stored, shown, report, problem)
