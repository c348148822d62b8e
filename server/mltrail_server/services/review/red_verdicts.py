"""Remember which models have failed the gate of a merge request, until a run of theirs passes."""

from mltrail_contract import Outcome
from mltrail_server.services.context.deps import Ci
from mltrail_server.store.ci import merge_requests
from mltrail_server.store.review import red_verdicts
from mltrail_server.store.review.red_verdicts import RedVerdict

from .judged import ModelReport
from .reports import Report


def keep(ci: Ci, report: Report) -> None:
    """Note what a report says of each model, once it is no longer too early. An older pipeline's takes nothing back."""
    request = report.merge_request
    if request is None or report.waiting:
        return
    with ci.project.read() as tx:
        closed = merge_requests.predecessors(tx, request.iid) if request.has_predecessors else []
        every = [one for one in red_verdicts.of(tx, request.iid, *closed) if one.target_branch == report.target]
    failing = _failing(report, {one.model: one for one in every if one.merge_request_iid == request.iid})
    passing = [(model, one.merge_request_iid or request.iid) for model, one in _passing(report, every)]
    if not failing and not passing:
        return
    with ci.project.write() as tx:
        now = tx.now
        for model in failing:
            verdict = RedVerdict(
                report.target, model.name, model.failures, report.head, _pipeline(report, model), at_ms=now
            )
            red_verdicts.keep(tx, request.iid, verdict)
        for model, iid in passing:
            red_verdicts.passed(tx, iid, target=report.target, model=model.name, pipeline_id=_pipeline(report, model))


def _failing(report: Report, known: dict[str, RedVerdict]) -> list[ModelReport]:
    return [one for one in report.gate.models if _fails_anew(report, one, known.get(one.name))]


def _passing(report: Report, every: list[RedVerdict]) -> list[tuple[ModelReport, RedVerdict]]:
    by_name = {one.name: one for one in report.gate.models}
    pairs = [(by_name[one.model], one) for one in every if one.model in by_name]
    return [(model, one) for model, one in pairs if _passes_anew(report, model, one)]


def _fails_anew(report: Report, model: ModelReport, known: RedVerdict | None) -> bool:
    if model.outcome is not Outcome.FAIL:
        return False
    if known is None:
        return True
    if model.silence is not None and known.stands:
        return False  # what was broken is still what is said about it
    number = _pipeline(report, model)
    if (known.passed_pipeline_id or 0) > number or known.pipeline_id > number:
        return False
    return not known.stands or known.rules != model.failures or known.pipeline_id != number


def _passes_anew(report: Report, model: ModelReport, known: RedVerdict) -> bool:
    return _passes(report, model) and (known.passed_pipeline_id or 0) < _pipeline(report, model)


def _passes(report: Report, model: ModelReport) -> bool:
    """Tell whether the newest commit has a successful run that was checked against the rules and broke none that makes
    the gate fail. A model for which the target branch has no rules any more passes, too.
    """
    read = report.contract_read and report.gate.contract.contract is not None
    held = read and model.touched and model.comparison.best is not None
    return report.is_of_head and held and model.outcome is not Outcome.FAIL


def _pipeline(report: Report, model: ModelReport) -> int:
    return model.made_by.id if model.made_by is not None and model.runs else report.pipeline.id
