"""Which objects a report is published in: the note always, others where the contract that binds wants them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mltrail_server.services.context.deps import Ci
from mltrail_server.services.pipelines.states import PipelineState
from mltrail_server.services.review.report_jobs import is_broken
from mltrail_server.services.review.reports import Report

from .issue import SCHEDULE, RegressionIssue
from .merge_request_note import MergeRequestNote
from .publisher import BUSY_MS, Lease, Publication, Published, publish_all
from .status import CommitStatus
from .thread import GateThread


@dataclass(frozen=True, slots=True)
class CompleteReport:
    """A complete report with the note's text, from which all is published. `thread_resolved` tells that the thread was
    resolved when the report was computed.
    """

    report: Report
    text: str
    state: PipelineState
    thread_resolved: bool = False


def strictest(reports: Sequence[CompleteReport]) -> CompleteReport:
    """Choose one of a branch's merge requests: a verdict that fails before others, else the pipeline's own."""
    return next((one for one in reports if is_broken(one.report)), reports[0])


def publish_reports(
    ci: Ci, reports: Sequence[CompleteReport], leases: Mapping[int, Lease], *, asked: bool = False
) -> Published:
    """Publish what a pipeline means for its merge requests, where we have their leases. The pipeline has one status,
    which says the strictest verdict.
    """
    result, with_status = Published(), strictest(reports)
    for one in reports:
        request = one.report.merge_request
        lease = leases.get(request.iid) if request is not None else None
        if request is not None and lease is None:
            result = result.merged(Published(BUSY_MS))
            continue
        found = _publications(ci, one, asked=asked, status=one is with_status)
        result = result.merged(publish_all(found, lease, asked=asked))
    return result


def publish_issues(ci: Ci, complete: CompleteReport) -> Published:
    """Open, update or close the issues of a scheduled pipeline's models, where the contract wants them."""
    report, state = complete.report, complete.state
    if not state.settled or state.pipeline is None or state.has_or_may_get_a_request or report.running:
        return Published()
    contract = report.gate.contract.contract
    if contract is None or not contract.gate.issue or report.pipeline.source != SCHEDULE:
        return Published()
    path = state.project.path
    return publish_all((RegressionIssue(ci, report, model, path=path) for model in report.gate.models), None)


def _publications(ci: Ci, complete: CompleteReport, *, asked: bool, status: bool) -> Iterator[Publication]:
    report, request = complete.report, complete.report.merge_request
    if request is not None:
        yield MergeRequestNote(ci, report, request, complete.text, asked=asked, of_train=complete.state.of_train)
    # When a file can't be read, the last one that could be read says what to publish: breaking it must hide nothing.
    contract = report.gate.contract.known
    if contract is None:
        return
    if contract.gate.thread and request is not None:
        yield GateThread(ci, report, request, seen_resolved=complete.thread_resolved)
    if status and contract.gate.status:
        yield CommitStatus(ci, report, path=complete.state.project.path)
