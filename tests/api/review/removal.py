"""Runs that somebody removes for good."""

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.admin import purge as purge_service
from mltrail_server.store import schema
from tests.api.trail import Trail


def purge(trail: Trail, iids: list[int], by: str = "maintainer", *, links: bool) -> None:
    """Remove runs as a purge does."""
    with trail.deps.project(ProjectId(42)).write() as tx:
        purge_service.leave_tombstone(tx, iids, by=by)
        tables = [schema.latest_metric, schema.metric, schema.param, schema.candidate_tag]
        tables += [schema.candidate_job] if links else []
        for table in tables:
            tx.execute(sa.delete(table).where(table.c.project_id == 42, table.c.candidate_iid.in_(iids)))
        runs = schema.candidate
        tx.execute(sa.delete(runs).where(runs.c.project_id == 42, runs.c.iid.in_(iids)))
