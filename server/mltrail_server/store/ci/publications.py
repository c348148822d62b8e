"""What is published in GitLab, as far as we know: notes, threads, statuses, issues, and what GitLab refused. And who
may publish for a merge request at the moment.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

_REQUEST = schema.merge_request
_THREAD = schema.gate_thread
_STATUS = schema.commit_status
_ISSUE = schema.regression_issue
_REFUSAL = schema.gate_refusal

THREAD, STATUS, ISSUE = "thread", "status", "issue"


@dataclass(frozen=True, slots=True)
class KnownNote:
    """`pipeline_id` is the pipeline that the note is about; `next_ms` is when a failed attempt may be repeated."""

    note_id: int | None
    pipeline_id: int | None
    sha256: str | None
    problem: str | None
    failures: int
    next_ms: int | None


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


@dataclass(frozen=True, slots=True)
class Refusal:
    """`subject` is the merge request's number, or the model's name where an issue was refused."""

    kind: str
    subject: str
    problem: str
    at_ms: int


def claim(tx: Transaction, iid: int, *, lease: str, until: int) -> bool:
    """Take the right to publish for a merge request, which nobody else then has until it is released or expires.

    One UPDATE, so that exactly one of several processes that try at once succeeds, on every database.
    """
    free = sa.or_(_REQUEST.c.note_lease.is_(None), _REQUEST.c.note_lease_until_ms <= tx.now)
    where = (_REQUEST.c.project_id == tx.project_id, _REQUEST.c.iid == iid, free)
    taken = tx.execute(sa.update(_REQUEST).where(*where).values(note_lease=lease, note_lease_until_ms=until))
    return taken.rowcount == 1


def renew(tx: Transaction, iid: int, *, lease: str, until: int) -> bool:
    """Extend the right. False if somebody else has taken it in the meantime, even if it is free again."""
    taken = tx.execute(sa.update(_REQUEST).where(*_leased(tx, iid, lease)).values(note_lease_until_ms=until))
    return taken.rowcount == 1


def release(tx: Transaction, iid: int, *, lease: str) -> None:
    nobody = {"note_lease": None, "note_lease_until_ms": None}
    tx.execute(sa.update(_REQUEST).where(*_leased(tx, iid, lease)).values(**nobody))


def _leased(tx: Transaction, iid: int, lease: str) -> tuple[sa.ColumnElement[bool], ...]:
    return _REQUEST.c.project_id == tx.project_id, _REQUEST.c.iid == iid, _REQUEST.c.note_lease == lease


def note(tx: Transaction, iid: int) -> KnownNote | None:
    """Fetch what is known about a merge request's note; None for an unknown merge request."""
    columns = [_REQUEST.c[f"note_{name}"] for name in ("id", "pipeline_id", "sha256", "problem", "failures", "next_ms")]
    query = sa.select(*columns).where(_REQUEST.c.project_id == tx.project_id, _REQUEST.c.iid == iid)
    row = tx.execute(query).one_or_none()
    return None if row is None else KnownNote(*row)


def keep_note(tx: Transaction, iid: int, **values: object) -> None:
    """Store what became of a note, by column names without their prefix `note_`."""
    columns = {f"note_{name}": value for name, value in values.items()}
    where = (_REQUEST.c.project_id == tx.project_id, _REQUEST.c.iid == iid)
    tx.execute(sa.update(_REQUEST).where(*where).values(**columns))


def want_note(tx: Transaction, iid: int, *, problem: str) -> None:
    """Have a note that somebody has deleted written again: forget it, and that it was deleted (`problem`)."""
    where = (_REQUEST.c.project_id == tx.project_id, _REQUEST.c.iid == iid, _REQUEST.c.note_problem == problem)
    blank = {"note_id": None, "note_problem": None, "note_sha256": None}
    tx.execute(sa.update(_REQUEST).where(*where).values(**blank))


def thread(tx: Transaction, iid: int) -> KnownThread | None:
    query = sa.select(_THREAD.c.discussion_id, _THREAD.c.sha256, _THREAD.c.resolved).where(
        _THREAD.c.project_id == tx.project_id, _THREAD.c.merge_request_iid == iid
    )
    row = tx.execute(query).one_or_none()
    return None if row is None else KnownThread(row.discussion_id, row.sha256, bool(row.resolved))


def open_threads(tx: Transaction) -> dict[int, str]:
    """List the merge requests whose thread is open, as far as we know, with the thread's id."""
    query = sa.select(_THREAD.c.merge_request_iid, _THREAD.c.discussion_id).where(
        _THREAD.c.project_id == tx.project_id, _THREAD.c.resolved.is_(False)
    )
    return {row.merge_request_iid: row.discussion_id for row in tx.execute(query)}


def keep_thread(tx: Transaction, iid: int, **values: object) -> None:
    row = {"project_id": tx.project_id, "merge_request_iid": iid, "seen_ms": tx.now, **values}
    tx.upsert(_THREAD, [row], update=[*values, "seen_ms"])


def forget_thread(tx: Transaction, iid: int) -> None:
    where = (_THREAD.c.project_id == tx.project_id, _THREAD.c.merge_request_iid == iid)
    tx.execute(sa.delete(_THREAD).where(*where))


def status(tx: Transaction, pipeline_id: int) -> str | None:
    """Return what a pipeline's commit status says: `failed: 1 rule broken`."""
    query = sa.select(_STATUS.c.description).where(
        _STATUS.c.project_id == tx.project_id, _STATUS.c.pipeline_id == pipeline_id
    )
    return tx.execute(query).scalar()


def keep_status(tx: Transaction, pipeline_id: int, description: str) -> None:
    row = {"project_id": tx.project_id, "pipeline_id": pipeline_id, "description": description}
    tx.upsert(_STATUS, [row], update=["description"])


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


def refusal(tx: Transaction, kind: str, subject: str) -> Refusal | None:
    found = _refusals(tx, _REFUSAL.c.kind == kind, _REFUSAL.c.subject == subject)
    return found[0] if found else None


def refusals_of_request(tx: Transaction, iid: int) -> list[Refusal]:
    """List what GitLab refused to publish for a merge request, apart from its note."""
    return _refusals(tx, _REFUSAL.c.kind.in_([THREAD, STATUS]), _REFUSAL.c.subject == str(iid))


def refused_issues(tx: Transaction) -> list[Refusal]:
    """List the models whose issue GitLab refused."""
    return _refusals(tx, _REFUSAL.c.kind == ISSUE)


def keep_refusal(tx: Transaction, kind: str, subject: str, *, problem: str) -> None:
    row = {"project_id": tx.project_id, "kind": kind, "subject": subject, "problem": problem, "at_ms": tx.now}
    tx.upsert(_REFUSAL, [row], update=["problem", "at_ms"])


def forget_refusal(tx: Transaction, kind: str, subject: str) -> None:
    where = (_REFUSAL.c.project_id == tx.project_id, _REFUSAL.c.kind == kind, _REFUSAL.c.subject == subject)
    tx.execute(sa.delete(_REFUSAL).where(*where))


def _refusals(tx: Transaction, *which: sa.ColumnElement[bool]) -> list[Refusal]:
    query = sa.select(_REFUSAL.c.kind, _REFUSAL.c.subject, _REFUSAL.c.problem, _REFUSAL.c.at_ms)
    query = query.where(_REFUSAL.c.project_id == tx.project_id, *which)
    query = query.order_by(_REFUSAL.c.kind, _REFUSAL.c.subject).limit(100)
    return [Refusal(*row) for row in tx.execute(query)]
