"""Who else has written to a candidate, and the tags that its own jobs had given before."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId

from . import schema
from .sql import upsert

_T = schema.amendment
_OWN = schema.own_tag
_TAG = schema.candidate_tag


@dataclass(frozen=True, slots=True)
class Amendment:
    """What one person or job has written to a candidate that is not theirs. `kinds` are words for people."""

    user_name: str
    job_id: int | None
    kinds: tuple[str, ...]
    first_ms: int
    last_ms: int


def add(
    connection: sa.Connection,
    project_id: ProjectId,
    candidate_iid: int,
    user_name: str,
    job_id: int | None,
    kinds: Iterable[str],
    *,
    now: int,
) -> None:
    """Note a write; the kinds of one writer are gathered."""
    key = {"project_id": project_id, "candidate_iid": candidate_iid, "user_name": user_name, "job_id": job_id or 0}
    where = [_T.c[name] == value for name, value in key.items()]
    before = connection.execute(sa.select(_T.c.kinds, _T.c.first_ms).where(*where)).one_or_none()
    known = set(before.kinds.split(", ")) if before else set()
    row = key | {
        "kinds": ", ".join(sorted(known | set(kinds))),
        "first_ms": before.first_ms if before else now,
        "last_ms": now,
    }
    upsert(connection, _T, [row], update=["kinds", "last_ms"])


def of(connection: sa.Connection, project_id: ProjectId, candidate_iid: int) -> list[Amendment]:
    """Fetch who has written to a candidate, in the order in which they began."""
    query = sa.select(_T.c.user_name, _T.c.job_id, _T.c.kinds, _T.c.first_ms, _T.c.last_ms).where(
        _T.c.project_id == project_id, _T.c.candidate_iid == candidate_iid
    )
    return [
        Amendment(row.user_name, row.job_id or None, tuple(row.kinds.split(", ")), row.first_ms, row.last_ms)
        for row in connection.execute(query.order_by(_T.c.first_ms, _T.c.user_name, _T.c.job_id))
    ]


def keep_tags(connection: sa.Connection, project_id: ProjectId, candidate_iid: int, keys: Iterable[str]) -> None:
    """Keep what its own jobs have given, before others set or delete these tags. What is kept already stays."""
    wanted = sorted(set(keys))
    query = sa.select(_TAG.c.key, _TAG.c.value).where(
        _TAG.c.project_id == project_id, _TAG.c.candidate_iid == candidate_iid, _TAG.c.key.in_(wanted)
    )
    given: dict[str, str] = {key: value for key, value in connection.execute(query)}  # noqa: C416 - rows are no pairs to mypy
    owner = {"project_id": project_id, "candidate_iid": candidate_iid}
    upsert(connection, _OWN, [owner | {"key": key, "value": given.get(key)} for key in wanted])


def follow_tags(
    connection: sa.Connection, project_id: ProjectId, candidate_iid: int, tags: Mapping[str, str | None]
) -> None:
    """Let what is kept follow what its own jobs set (or delete: None) later."""
    query = sa.select(_OWN.c.key).where(
        _OWN.c.project_id == project_id, _OWN.c.candidate_iid == candidate_iid, _OWN.c.key.in_(list(tags))
    )
    owner = {"project_id": project_id, "candidate_iid": candidate_iid}
    kept = connection.execute(query).scalars().all()
    upsert(connection, _OWN, [owner | {"key": key, "value": tags[key]} for key in kept], update=["value"])
