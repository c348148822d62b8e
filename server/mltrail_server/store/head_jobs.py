"""The jobs of a merge request's commit: which still run, and which wait for a person."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId

from . import schema

_T = schema.pipeline
_JOB = schema.job

BUSY = frozenset({"pending", "running", "preparing", "waiting_for_resource", "waiting_for_callback", "canceling"})
"""A job that is `created` waits for others, perhaps for the report's own."""

WAITING = frozenset({"manual", "scheduled"})


@dataclass(frozen=True, slots=True)
class HeadJobs:
    """`busy` are the jobs that run, apart from those that ask for reports, with their pipelines by name; `waiting` the
    names of jobs that wait to be started.
    """

    busy: Mapping[str, AbstractSet[int]] = field(default_factory=dict)
    waiting: frozenset[str] = frozenset()


def of(connection: sa.Connection, project_id: ProjectId, roots: Sequence[int]) -> HeadJobs:
    """Look at the newest attempts of all jobs of pipelines and of their children. One statement."""
    if not roots:
        return HeadJobs()
    of_pipeline = (_T.c.project_id == _JOB.c.project_id) & (_T.c.id == _JOB.c.pipeline_id)
    columns = (_JOB.c.name, _JOB.c.status, _JOB.c.asked_ms, sa.func.coalesce(_T.c.root_id, _T.c.id).label("root"))
    query = (
        sa.select(*columns)
        .join_from(_T, _JOB, of_pipeline)
        .where(
            _T.c.project_id == project_id,
            _JOB.c.project_id == project_id,
            sa.or_(_T.c.id.in_(roots), _T.c.root_id.in_(roots)),
            _JOB.c.status.in_(sorted(BUSY | WAITING)),
            _JOB.c.name.is_not(None),
            ~_JOB.c.retried,
        )
    )
    busy: dict[str, set[int]] = {}
    waiting = set()
    for row in connection.execute(query):
        if row.status in WAITING:
            waiting.add(row.name)
        elif row.asked_ms is None:
            busy.setdefault(row.name, set()).add(row.root)
    return HeadJobs(busy, frozenset(waiting))
