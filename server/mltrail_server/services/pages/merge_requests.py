"""What the pages of merge requests show: a pipeline's report, what became of the note, and earlier pipelines."""

from collections.abc import Mapping
from dataclasses import dataclass

from mltrail_server.domain.errors import Code, MltrailError, not_found
from mltrail_server.services.ci import report as report_service
from mltrail_server.services.ci.report import PipelineReport
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.ci import merge_requests as store
from mltrail_server.store.ci import publications
from mltrail_server.store.ci.merge_requests import LastPipeline, ListedMergeRequest, RequestPipeline
from mltrail_server.store.ci.publications import Refusal
from mltrail_server.store.review import request_verdicts
from mltrail_server.store.review.request_verdicts import RequestVerdict

_MOST_PIPELINES = 50


@dataclass(frozen=True, slots=True)
class MergeRequestView:
    """`verdicts` are what each pipeline's report said when it was last published, by pipeline. `shown` is the pipeline
    that `report` is about; None if none of its pipelines has made a run yet. `problem` says why there is no report, if
    GitLab did not give what the report needs. `refused` lists the threads and statuses that GitLab refused.
    """

    request: ListedMergeRequest
    pipelines: list[RequestPipeline]
    verdicts: Mapping[int, RequestVerdict]
    shown: int | None
    report: PipelineReport | None
    problem: str | None
    refused: list[Refusal]


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


def refused_issues(scope: Scope) -> list[Refusal]:
    """List the models whose scheduled training got worse and whose issue GitLab refused."""
    with scope.project.read() as tx:
        return publications.refused_issues(tx)


def get(scope: Scope, iid: int, pipeline_id: int | None) -> MergeRequestView:
    """Return a merge request with the report of one of its pipelines, by default the newest. Raises NOT_FOUND."""
    with scope.project.read() as tx:
        request = store.get_for_page(tx, iid)
        pipelines = store.pipelines_of(tx, iid, limit=_MOST_PIPELINES)
        refused = publications.refusals_of_request(tx, iid)
        verdicts = request_verdicts.of_request(tx, iid, limit=_MOST_PIPELINES)
    if request is None:
        raise not_found(f"No pipeline of merge request !{iid} has logged a run here.")
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
    return MergeRequestView(request, pipelines, verdicts, shown, report, problem, refused)
