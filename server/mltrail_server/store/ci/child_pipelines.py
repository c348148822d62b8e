"""Child pipelines: what their jobs make counts towards the root pipeline, with which GitLab shows them as one."""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain import gitlab_ci
from mltrail_server.store import schema
from mltrail_server.store.db.planner import as_range
from mltrail_server.store.db.transaction import Transaction

_T = schema.pipeline
_LINK = schema.candidate_job
_JOB = schema.job


@dataclass(frozen=True, slots=True)
class Parentage:
    """`root_id` is None until it was looked up, and the pipeline's own number if it has no parent."""

    source: str
    root_id: int | None


def parentage(tx: Transaction, pipeline_id: int) -> Parentage | None:
    """Return a pipeline's source and root; None for a pipeline that is not known here."""
    query = sa.select(_T.c.source, _T.c.root_id).where(_T.c.project_id == tx.project_id, _T.c.id == pipeline_id)
    row = tx.execute(query).one_or_none()
    return None if row is None else Parentage(*row)


def root_of(tx: Transaction, pipeline_id: int) -> int:
    """Return the pipeline that a pipeline's runs count towards, as far as is known: usually itself."""
    found = parentage(tx, pipeline_id)
    return pipeline_id if found is None or found.root_id is None else found.root_id


def adopt(tx: Transaction, child: gitlab_ci.GitLabPipeline, root: gitlab_ci.GitLabPipeline) -> None:
    """Count what a child pipeline has made, and will make, towards the root. Adopting again changes nothing."""
    rows = [
        {
            "project_id": tx.project_id,
            "id": one.id,
            "sha": one.sha,
            "ref": one.ref,
            "source": one.source,
            "web_url": one.web_url,
            "created_ms": tx.now,
        }
        for one in (child, root)
    ]
    tx.upsert(_T, rows)
    # Only the root represents the merge request.
    of_child = {"root_id": root.id, "merge_request_iid": None, "on_default_branch": False, "status": child.status}
    tx.execute(sa.update(_T).where(_T.c.project_id == tx.project_id, _T.c.id == child.id).values(of_child))
    where = (_LINK.c.project_id == tx.project_id, _LINK.c.pipeline_id.between(child.id, child.id))  # see `children`
    tx.execute(sa.update(_LINK).where(*where).values(pipeline_id=root.id))


def keep_alone(tx: Transaction, pipeline_id: int) -> None:
    """Note that GitLab names no root for a child pipeline."""
    where = (_T.c.project_id == tx.project_id, _T.c.id == pipeline_id)
    tx.execute(sa.update(_T).where(*where).values(root_id=pipeline_id))


def children(tx: Transaction, root_id: int) -> list[int]:
    """List the child pipelines that have made something, children of children included."""
    query = sa.select(_T.c.id).where(_T.c.project_id == tx.project_id, as_range(_T.c.root_id, root_id))
    return sorted(one for one in tx.execute(query).scalars() if one != root_id)


def unsettled(tx: Transaction, pipeline_ids: Iterable[int], *, ended: Iterable[str]) -> list[int]:
    """Select the child pipelines in which a candidate's job has not ended, as far as we know."""
    query = (
        sa.select(_JOB.c.pipeline_id)
        .distinct()
        .join(_LINK, (_LINK.c.project_id == _JOB.c.project_id) & (_LINK.c.job_id == _JOB.c.id))
        .where(
            _JOB.c.project_id == tx.project_id,
            _LINK.c.project_id == tx.project_id,
            _JOB.c.pipeline_id.in_(list(pipeline_ids)),
            sa.func.coalesce(_JOB.c.status, "").not_in(list(ended)),
        )
    )
    return sorted(tx.execute(query).scalars())
