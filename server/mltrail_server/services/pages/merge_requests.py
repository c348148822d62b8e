"""What the pages of merge requests show: a pipeline's report, what became of the note, and earlier pipelines."""

from dataclasses import dataclass

from mltrail_server.domain.errors import Code, MltrailError, not_found
from mltrail_server.services.ci import report as report_service
from mltrail_server.services.ci.report import PipelineReport
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.ci import merge_requests as store
from mltrail_server.store.ci import publications
from mltrail_server.store.ci.merge_requests import ListedMergeRequest, RequestPipeline
from mltrail_server.store.ci.publications import Refusal

_MOST_PIPELINES = 50


@dataclass(frozen=True, slots=True)
class MergeRequestView:
    """`shown` is the pipeline that `report` is about; None if none of its pipelines has made a run yet. `problem` says
    why there is no report, if GitLab did not give what the report needs. `refused` lists the threads and statuses that
    GitLab refused.
    """

    request: ListedMergeRequest
    pipelines: list[RequestPipeline]
    shown: int | None
    report: PipelineReport | None
    problem: str | None
    refused: list[Refusal]


def listed(scope: Scope, *, before: int | None, limit: int) -> tuple[list[ListedMergeRequest], int | None]:
    """Return a page of merge requests, and the number before which the next page starts."""
    with scope.project.read() as tx:
        requests = store.listed(tx, before=before, limit=limit)
    return requests[:limit], requests[limit - 1].iid if len(requests) > limit else None


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
    if request is None:
        raise not_found(f"No pipeline of merge request !{iid} has logged a run here.")
    if pipeline_id is not None and all(pipeline.id != pipeline_id for pipeline in pipelines):
        raise not_found(f"Pipeline {pipeline_id} is none of merge request !{iid}.")
    shown = pipeline_id or (pipelines[0].id if pipelines else None)
    report, problem = None, None
    if shown is not None:
        try:
            report = report_service.known(scope, shown)
        except MltrailError as error:
            if error.code is Code.INTERNAL:
                raise
            problem = error.message
    return MergeRequestView(request, pipelines, shown, report, problem, refused)
