"""The contract file of a pipeline, as it was read from GitLab."""

import json
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId

from . import schema

_T = schema.pipeline


@dataclass(frozen=True, slots=True)
class Kept:
    """`text` is the file that binds the pipeline, None where there is none. `proposed` is the merge request's own where
    it differs, "" where it is removed. `changed_paths` is None where nobody knows what the merge request changes.
    `asked_ms` is when GitLab answered last, None while it has not.
    """

    text: str | None = None
    proposed: str | None = None
    changed_paths: tuple[str, ...] | None = None
    asked_ms: int | None = None


def get(connection: sa.Connection, project_id: ProjectId, pipeline_id: int) -> Kept:
    query = sa.select(_T.c.contract, _T.c.proposed_contract, _T.c.changed_paths, _T.c.contract_ms)
    row = connection.execute(query.where(_T.c.project_id == project_id, _T.c.id == pipeline_id)).one_or_none()
    if row is None:
        return Kept()
    paths = None if row.changed_paths is None else tuple(json.loads(row.changed_paths))
    return Kept(row.contract, row.proposed_contract, paths, row.contract_ms)


def newest(connection: sa.Connection, project_id: ProjectId, *, among: int) -> str | None:
    """Fetch the file that binds the newest pipeline whose file was read, one of the default branch before others; None
    where none of the newest pipelines `among` has one. A tag's counts for the tag only.
    """
    recent = (
        sa.select(_T.c.id, _T.c.on_default_branch, _T.c.is_tag, _T.c.contract_ms)
        .where(_T.c.project_id == project_id)
        .order_by(_T.c.id.desc())
        .limit(among)
        .subquery()
    )
    query = (
        sa.select(_T.c.contract)
        .join_from(_T, recent, _T.c.id == recent.c.id)
        .where(_T.c.project_id == project_id, recent.c.contract_ms.is_not(None), recent.c.is_tag.is_(sa.false()))
        .order_by(recent.c.on_default_branch.desc(), recent.c.id.desc())
    )
    found: str | None = connection.execute(query.limit(1)).scalar()
    return found


def keep(connection: sa.Connection, project_id: ProjectId, pipeline_id: int, kept: Kept) -> None:
    """Store what was read for a pipeline that is known."""
    paths = None if kept.changed_paths is None else json.dumps(kept.changed_paths)
    where = (_T.c.project_id == project_id, _T.c.id == pipeline_id)
    connection.execute(
        sa.update(_T)
        .where(*where)
        .values(contract=kept.text, proposed_contract=kept.proposed, changed_paths=paths, contract_ms=kept.asked_ms)
    )
