"""What the worker has to look at, and when."""

from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import schema
from mltrail_server.store.db.statements import Statement, insert_into
from mltrail_server.store.db.transaction import Transaction

_T = schema.due

PIPELINE = "pipeline"
REQUEST = "merge_request"  # its newest commit may have no pipeline that has logged; the key is its number
PROJECT = "project"  # its open merge requests; the key is 0
PROMOTION = "promotion"  # the comment on its merge request; the key is the version's number in the project

KINDS = (PIPELINE, REQUEST, PROJECT, PROMOTION)


@dataclass(frozen=True, slots=True)
class Due:
    project_id: ProjectId
    kind: str
    key: int
    attempts: int  # looks since it was last marked
    news_ms: int  # when it was last marked


def _marked(dialect: str) -> sa.Executable:
    insert = insert_into(dialect, _T)
    new = insert.excluded
    earlier = sa.case((_T.c.due_ms < new.due_ms, _T.c.due_ms), else_=new.due_ms)
    return insert.on_conflict_do_update(
        index_elements=[_T.c.project_id, _T.c.kind, _T.c.key],
        set_={"due_ms": earlier, "attempts": new.attempts, "news_ms": new.news_ms},
    )


_MARK = Statement(_marked, columns=("project_id", "kind", "key", "due_ms", "attempts", "news_ms"))


def mark(tx: Transaction, *, kind: str, key: int, at: int) -> None:
    """Have something looked at, at the time `at`, or earlier if that is planned already.

    News restarts the wait: the looks at a long training, which became rare, are frequent again once it ends.
    """
    tx.run(_MARK, kind=kind, key=key, due_ms=at, attempts=0, news_ms=tx.now)


def keep(tx: Transaction, *, kind: str, key: int, at: int) -> None:
    """Have something looked at from time to time. Does nothing if that is planned already."""
    insert = tx.insert(_T).values(project_id=tx.project_id, kind=kind, key=key, due_ms=at, attempts=0, news_ms=tx.now)
    tx.execute(insert.on_conflict_do_nothing(index_elements=[_T.c.project_id, _T.c.kind, _T.c.key]))


def postpone(tx: Transaction, *, kind: str, key: int, to: int) -> None:
    """Postpone a look that nobody has begun; one that is planned for even later is left alone."""
    where = (_T.c.project_id == tx.project_id, _T.c.kind == kind, _T.c.key == key, _T.c.due_ms < to)
    tx.execute(sa.update(_T).where(*where, _T.c.claimed_until_ms.is_(None)).values(due_ms=to))


def claim(connection: sa.Connection, *, now: int, lease_ms: int) -> Due | None:
    """Take the row that has been due longest; nobody else gets it until the lease ends. It is postponed by the lease,
    so that nothing is lost if the worker dies, and a `mark` in the meantime brings it forward again.

    Looks at all projects, since the worker serves them all.
    """
    free = sa.or_(_T.c.claimed_until_ms.is_(None), _T.c.claimed_until_ms <= now)
    columns = (_T.c.project_id, _T.c.kind, _T.c.key, _T.c.attempts, _T.c.news_ms)
    query = sa.select(*columns).where(_T.c.due_ms <= now, free)
    row = connection.execute(query.order_by(_T.c.due_ms).limit(1).with_for_update(skip_locked=True)).one_or_none()
    if row is None:
        return None
    due = Due(ProjectId(row.project_id), row.kind, row.key, row.attempts, row.news_ms)
    until = now + lease_ms
    _change(connection, due, due_ms=until, claimed_until_ms=until, attempts=due.attempts + 1)
    return due


def settle(connection: sa.Connection, due: Due, *, lease_until: int, again_at: int | None) -> None:
    """End a look: delete the row, or look again at `again_at`. A row that was marked in the meantime stays due."""
    where = _where(due)
    if again_at is None:
        connection.execute(sa.delete(_T).where(*where, _T.c.due_ms == lease_until))
    else:
        connection.execute(sa.update(_T).where(*where, _T.c.due_ms == lease_until).values(due_ms=again_at))
    connection.execute(sa.update(_T).where(*where).values(claimed_until_ms=None))


def _change(connection: sa.Connection, due: Due, **values: object) -> None:
    connection.execute(sa.update(_T).where(*_where(due)).values(**values))


def _where(due: Due) -> tuple[sa.ColumnElement[bool], ...]:
    return _T.c.project_id == due.project_id, _T.c.kind == due.kind, _T.c.key == due.key
