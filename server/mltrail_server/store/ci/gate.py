"""What the gate has shown in GitLab beside the note, and who has let failures pass."""

import json
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.threads import Override
from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

_THREAD = schema.gate_thread
_OVERRIDE = schema.gate_override
_STATUS = schema.commit_status
_ISSUE = schema.regression_issue


@dataclass(frozen=True, slots=True)
class KnownThread:
    discussion_id: str
    sha256: str
    resolved: bool


@dataclass(frozen=True, slots=True)
class KnownIssue:
    issue_iid: int
    pipeline_id: int
    sha256: str


def thread(tx: Transaction, iid: int) -> KnownThread | None:
    query = sa.select(_THREAD.c.discussion_id, _THREAD.c.sha256, _THREAD.c.resolved).where(
        _THREAD.c.project_id == tx.project_id, _THREAD.c.merge_request_iid == iid
    )
    row = tx.execute(query).one_or_none()
    return None if row is None else KnownThread(row.discussion_id, row.sha256, bool(row.resolved))


def open_threads(tx: Transaction) -> list[int]:
    """List the merge requests whose thread is open as far as we know."""
    query = sa.select(_THREAD.c.merge_request_iid).where(
        _THREAD.c.project_id == tx.project_id, _THREAD.c.resolved.is_(False)
    )
    return list(tx.execute(query).scalars())


def keep_thread(tx: Transaction, iid: int, **values: object) -> None:
    row = {"project_id": tx.project_id, "merge_request_iid": iid, **values}
    tx.upsert(_THREAD, [row], update=list(values))


def overrides(tx: Transaction, iid: int) -> list[Override]:
    """List who has let what pass at a merge request, the newest first."""
    query = (
        sa.select(_OVERRIDE.c.user_name, _OVERRIDE.c.reason, _OVERRIDE.c.rules)
        .where(_OVERRIDE.c.project_id == tx.project_id, _OVERRIDE.c.merge_request_iid == iid)
        .order_by(_OVERRIDE.c.pipeline_id.desc())
    )
    return [Override(row.user_name, row.reason, frozenset(json.loads(row.rules))) for row in tx.execute(query)]


def keep_override(tx: Transaction, iid: int, pipeline_id: int, override: Override) -> None:
    """Note an override; what is noted for a pipeline stays."""
    row = {
        "project_id": tx.project_id,
        "merge_request_iid": iid,
        "pipeline_id": pipeline_id,
        "rules": json.dumps(sorted(override.rules)),
        "user_name": override.user_name,
        "reason": override.reason.replace("\0", "�"),
        "at_ms": tx.now,
    }
    tx.upsert(_OVERRIDE, [row])


def status(tx: Transaction, pipeline_id: int) -> str | None:
    """Answer what was told as a pipeline's commit status last."""
    query = sa.select(_STATUS.c.told).where(_STATUS.c.project_id == tx.project_id, _STATUS.c.pipeline_id == pipeline_id)
    return tx.execute(query).scalar()


def keep_status(tx: Transaction, pipeline_id: int, told: str) -> None:
    tx.upsert(
        _STATUS,
        [{"project_id": tx.project_id, "pipeline_id": pipeline_id, "told": told}],
        update=["told"],
    )


def issue(tx: Transaction, model: str) -> KnownIssue | None:
    query = sa.select(_ISSUE.c.issue_iid, _ISSUE.c.pipeline_id, _ISSUE.c.sha256).where(
        _ISSUE.c.project_id == tx.project_id, _ISSUE.c.model_name == model
    )
    row = tx.execute(query).one_or_none()
    return None if row is None else KnownIssue(*row)


def keep_issue(tx: Transaction, model: str, **values: object) -> None:
    tx.upsert(_ISSUE, [{"project_id": tx.project_id, "model_name": model, **values}], update=list(values))


def forget_issue(tx: Transaction, model: str) -> None:
    where = (_ISSUE.c.project_id == tx.project_id, _ISSUE.c.model_name == model)
    tx.execute(sa.delete(_ISSUE).where(*where))
