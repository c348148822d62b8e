"""Which broken rules a person has let pass at a merge request."""

import sqlalchemy as sa

from mltrail_contract import Outcome
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.threads import Override
from mltrail_server.store.ci import gate

from .reports import Report


def broken(report: Report) -> frozenset[str]:
    """Name the rules that fail the gate, each in a form that stays the same from pipeline to pipeline."""
    if report.gate.outcome is not Outcome.FAIL:
        return frozenset()
    rules = {name for model in report.gate.models for name in model.failures}
    return frozenset(rules or {report.gate.sentence})


def of(connection: sa.Connection, project_id: ProjectId, report: Report) -> Override | None:
    """Answer who has let all of a report's broken rules pass; None where nobody has, or nothing is broken."""
    rules = broken(report)
    if not rules or report.merge_request is None:
        return None
    found = gate.overrides(connection, project_id, report.merge_request.iid)
    return next((one for one in found if one.covers(rules)), None)
