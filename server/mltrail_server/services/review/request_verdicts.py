"""Remember what a report says of its merge request, for pages that list many."""

import math
from dataclasses import replace

from mltrail_server.services.context.deps import Ci
from mltrail_server.store.review import request_verdicts
from mltrail_server.store.review.request_verdicts import ModelVerdict, RequestVerdict

from . import summary
from .judged import ModelReport
from .reports import Report


def keep(ci: Ci, report: Report) -> None:
    """Note it, unless the same is known already."""
    request = report.merge_request
    if request is None or not report.pipeline.id:
        return
    said = _said(report)
    with ci.project.read() as tx:
        known = request_verdicts.one(tx, request.iid, said.pipeline_id)
    if known is None or replace(known, at_ms=0) != said:
        with ci.project.write() as tx:
            request_verdicts.keep(tx, request.iid, said)


def _said(report: Report) -> RequestVerdict:
    sentence, models = request_verdicts.shortened(
        summary.capital(summary.of_report(report, summary.PLAIN).heading), [_of_model(one) for one in report.models]
    )
    return RequestVerdict(
        report.pipeline.id,
        report.state,
        report.conclusion.level.value,
        report.outcome.value if report.outcome is not None else None,
        report.override is not None,
        sentence,
        models,
    )


def _of_model(model: ModelReport) -> ModelVerdict:
    headline = model.comparison.headline
    if headline is None:
        return ModelVerdict(model.name)
    now = None if headline.current is None else headline.current.mean
    return ModelVerdict(model.name, headline.name, _finite(headline.before), _finite(now))


def _finite(value: float | None) -> float | None:
    """JSON has no infinity."""
    return value if value is not None and math.isfinite(value) else None
