"""Which broken rules a person has let pass at a merge request."""

from mltrail_contract import Outcome
from mltrail_server.domain.threads import Override
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.review import overrides

from .reports import Report


def broken(report: Report) -> frozenset[str]:
    """Name the rules that fail the gate, each in a form that stays the same from pipeline to pipeline."""
    if report.gate.outcome is not Outcome.FAIL:
        return frozenset()
    rules = {name for model in report.gate.models for name in model.failures}
    return frozenset(rules or {report.gate.sentence})


def of(tx: Transaction, report: Report) -> Override | None:
    """Return who has let all of a report's broken rules pass; None where nobody has, or nothing is broken."""
    rules = broken(report)
    if not rules or report.merge_request is None:
        return None
    found = overrides.of(tx, report.merge_request.iid)
    return next((one for one in found if one.covers(rules)), None)
