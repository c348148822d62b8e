"""Count how many merge requests each test set has judged, because each one wears it out a little."""

from collections.abc import Iterable
from dataclasses import replace

from mltrail_server.domain.cases.result import CaseResult
from mltrail_server.domain.cases.wear import wear
from mltrail_server.domain.verdict import Verdict
from mltrail_server.services.context.deps import Ci
from mltrail_server.store.review import case_uses

from .judged import ModelReport
from .reports import Report


def keep(ci: Ci, report: Report) -> None:
    """Note which test sets have judged a merge request: those by which a verdict was reached. What is known is not
    written again.
    """
    request, test_sets = report.merge_request, _test_sets(report.models)
    if request is None or report.waiting or not test_sets:
        return
    with ci.project.read() as tx:
        new = [one for one, (_, stored) in case_uses.counts(tx, test_sets, request.iid).items() if not stored]
    if new:
        with ci.project.write() as tx:
            case_uses.keep(tx, new, request.iid)


def with_wear(ci: Ci, report: Report) -> Report:
    """Add to a report how worn its test sets are. One statement, and none without tables of cases."""
    request, test_sets = report.merge_request, _test_sets(report.models)
    if request is None or not test_sets:
        return report
    with ci.project.read() as tx:
        judged = {one: number for one, (number, _) in case_uses.counts(tx, test_sets, request.iid).items()}
    models = [
        replace(model, cases=tuple(_worn(one, judged) for one in model.cases)) if model.cases else model
        for model in report.models
    ]
    return replace(report, models=tuple(models))


def _worn(one: CaseResult, judged: dict[str, int]) -> CaseResult:
    if one.compared is None or one.test_set not in judged:
        return one
    return replace(one, wear=wear(judged[one.test_set], one.compared))


def _test_sets(models: Iterable[ModelReport]) -> set[str]:
    return {one.test_set for model in models for one in model.cases if one.test_set and _decides(model, one)}


def _decides(model: ModelReport, one: CaseResult) -> bool:
    """Whether a verdict was reached by a table: by a rule about it, or by its test."""
    ruled = any(ruling.known for ruling in model.rulings if ruling.rule.cases in (one.name, one.evaluation))
    return ruled or one.verdict is not Verdict.CANT_TELL
