"""What GitLab did not take of the gate's threads, statuses and issues, and why."""

from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

_T = schema.gate_refusal

THREAD, STATUS, ISSUE = "thread", "status", "issue"


@dataclass(frozen=True, slots=True)
class Refusal:
    """`subject` is the merge request's number, or the model's name where an issue was refused."""

    face: str
    subject: str
    told: str
    at_ms: int


def keep(tx: Transaction, face: str, subject: str, *, told: str) -> None:
    row = {"project_id": tx.project_id, "face": face, "subject": subject, "told": told, "at_ms": tx.now}
    tx.upsert(_T, [row], update=["told", "at_ms"])


def forget(tx: Transaction, face: str, subject: str) -> None:
    where = (_T.c.project_id == tx.project_id, _T.c.face == face, _T.c.subject == subject)
    tx.execute(sa.delete(_T).where(*where))


def of_request(tx: Transaction, iid: int) -> list[Refusal]:
    """List what was refused at a merge request."""
    return _list(tx, _T.c.face.in_([THREAD, STATUS]), _T.c.subject == str(iid))


def of_issues(tx: Transaction) -> list[Refusal]:
    """List the models whose issue was refused."""
    return _list(tx, _T.c.face == ISSUE)


def _list(tx: Transaction, *which: sa.ColumnElement[bool]) -> list[Refusal]:
    query = sa.select(_T.c.face, _T.c.subject, _T.c.told, _T.c.at_ms).where(_T.c.project_id == tx.project_id, *which)
    return [Refusal(*row) for row in tx.execute(query.order_by(_T.c.face, _T.c.subject).limit(100))]
