"""Merge requests, the one note that each has from us, and what their pages list."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from mltrail_server.domain import gitlab_ci
from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

_MOST_PREDECESSORS = 10
_T = schema.merge_request
_RED = schema.red_verdict
_COLUMNS = tuple(
    _T.c[name]
    for name in (
        *("iid", "source_branch", "source_project_id", "state", "target_branch", "base_sha", "head_sha", "web_url"),
        *("note_id", "note_pipeline_id", "note_sha256", "note_problem"),
    )
)


@dataclass(frozen=True, slots=True)
class MergeRequest:
    """`note_pipeline_id` is the pipeline that the note is about, `note_problem` why it could not be written, and
    `has_failed` whether the gate has ever failed for it. `has_predecessors` is set if there are others of its branch
    or newest commit into the same target that were not merged.
    """

    iid: int
    source_branch: str
    source_project_id: int | None
    state: str
    target_branch: str
    base_sha: str | None
    head_sha: str | None
    web_url: str
    note_id: int | None
    note_pipeline_id: int | None
    note_sha256: str | None
    note_problem: str | None
    has_failed: bool = False
    has_predecessors: bool = False


def refresh(tx: Transaction, request: gitlab_ci.GitLabMergeRequest) -> None:
    """Store what GitLab now says about a merge request; what we know about the note stays."""
    row = {
        "project_id": tx.project_id,
        "iid": request.iid,
        "title": request.title,
        "state": request.state,
        "source_branch": request.source_branch,
        "source_project_id": request.source_project_id,
        "target_branch": request.target_branch,
        "base_sha": request.base_sha,
        "head_sha": request.sha,
        "web_url": request.web_url,
        "refreshed_ms": tx.now,
    }
    tx.upsert(_T, [row], update=[name for name in row if name not in ("project_id", "iid")])


def get(tx: Transaction, iid: int) -> MergeRequest | None:
    has_failed = sa.exists().where(_RED.c.project_id == tx.project_id, _RED.c.merge_request_iid == iid)
    other = _T.alias()
    has_predecessors = sa.exists().where(*_is_predecessor(other, _T))
    query = sa.select(*_COLUMNS).add_columns(has_failed, has_predecessors)
    query = query.where(_T.c.project_id == tx.project_id, _T.c.iid == iid)
    row = tx.execute(query).one_or_none()
    return None if row is None else MergeRequest(*row)


def predecessors(tx: Transaction, iid: int) -> list[int]:
    """List the other merge requests of the same branch or newest commit into the same target that were not merged: the
    ten newest, the newest first. GitLab allows only one open at a time for a branch, so any that we still take for open
    has been closed.
    """
    other = _T.alias()
    query = sa.select(other.c.iid).where(_T.c.project_id == tx.project_id, _T.c.iid == iid)
    query = query.where(*_is_predecessor(other, _T)).order_by(other.c.iid.desc())
    return list(tx.execute(query.limit(_MOST_PREDECESSORS)).scalars())


def _is_predecessor(other: sa.FromClause, request: sa.FromClause) -> tuple[sa.ColumnElement[bool], ...]:
    same_branch = (other.c[name] == request.c[name] for name in ("source_project_id", "source_branch"))
    return (
        other.c.project_id == request.c.project_id,
        other.c.iid != request.c.iid,
        other.c.target_branch == request.c.target_branch,
        other.c.state != "merged",
        sa.or_(sa.and_(*same_branch), other.c.head_sha == request.c.head_sha),
    )


@dataclass(frozen=True, slots=True)
class HeadComparisons:
    """What differs between earlier commits of a merge request and its commit `head`: the paths by earlier commit, None
    where GitLab can't say.
    """

    head: str
    paths: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)


def compared(tx: Transaction, iid: int, head: str) -> HeadComparisons:
    """Fetch what is known of a merge request's commit; nothing if another commit was compared last."""
    where = (_T.c.project_id == tx.project_id, _T.c.iid == iid)
    stored: str | None = tx.execute(sa.select(_T.c.compared).where(*where)).scalar()
    known = json.loads(stored) if stored is not None else {}
    if known.get("head") != head:
        return HeadComparisons(head)
    paths = {sha: None if found is None else tuple(found) for sha, found in known["paths"].items()}
    return HeadComparisons(head, paths)


def keep_compared(tx: Transaction, iid: int, found: HeadComparisons) -> None:
    where = (_T.c.project_id == tx.project_id, _T.c.iid == iid)
    stored = json.dumps({"head": found.head, "paths": found.paths})
    tx.execute(sa.update(_T).where(*where).values(compared=stored))


def opened_of_branch(tx: Transaction, branch: str, *, limit: int) -> list[int]:
    """List the merge requests of a branch of this project that are open, as far as we know, the oldest first."""
    query = sa.select(_T.c.iid).where(
        _T.c.project_id == tx.project_id,
        _T.c.source_branch == branch,
        _T.c.state == "opened",
        _T.c.source_project_id == tx.project_id,
    )
    return list(tx.execute(query.order_by(_T.c.iid).limit(limit)).scalars())


def opened(tx: Transaction) -> dict[int, tuple[str | None, str]]:
    """List the merge requests that are open, as far as we know: head and target branch by number."""
    query = sa.select(_T.c.iid, _T.c.head_sha, _T.c.target_branch).where(
        _T.c.project_id == tx.project_id, _T.c.state == "opened"
    )
    return {row.iid: (row.head_sha, row.target_branch) for row in tx.execute(query)}


def distrust(tx: Transaction, iids: Iterable[int]) -> None:
    """Have GitLab asked about merge requests again, however recently it was."""
    where = (_T.c.project_id == tx.project_id, _T.c.iid.in_(list(iids)))
    tx.execute(sa.update(_T).where(*where).values(refreshed_ms=0))


def urls(tx: Transaction, iids: Iterable[int]) -> dict[int, str]:
    query = sa.select(_T.c.iid, _T.c.web_url).where(_T.c.project_id == tx.project_id, _T.c.iid.in_(list(iids)))
    return {row.iid: row.web_url for row in tx.execute(query)}


_PIPELINE = schema.pipeline
_LINK = schema.candidate_job


@dataclass(frozen=True, slots=True)
class ListedMergeRequest:
    """`note_problem` says why there is no note if it could not be written or was deleted, and `note_next_ms` when it is
    tried again.
    """

    iid: int
    title: str
    state: str
    source_branch: str
    target_branch: str
    web_url: str
    note_id: int | None
    note_pipeline_id: int | None
    note_problem: str | None
    note_next_ms: int | None


@dataclass(frozen=True, slots=True)
class RequestPipeline:
    """A pipeline of a merge request, and how many runs it has made."""

    id: int
    sha: str
    status: str | None
    web_url: str | None
    created_ms: int
    runs: int


@dataclass(frozen=True, slots=True)
class LastPipeline:
    id: int
    status: str | None
    web_url: str | None
    created_ms: int


_PAGE_COLUMNS = (
    _T.c.iid,
    _T.c.title,
    _T.c.state,
    _T.c.source_branch,
    _T.c.target_branch,
    _T.c.web_url,
    _T.c.note_id,
    _T.c.note_pipeline_id,
    _T.c.note_problem,
    _T.c.note_next_ms,
)


def listed(tx: Transaction, *, before: int | None, limit: int, state: str | None = None) -> list[ListedMergeRequest]:
    """List merge requests that have runs, the newest first, and one more than `limit` if there are more."""
    query = sa.select(*_PAGE_COLUMNS).where(_T.c.project_id == tx.project_id)
    if state is not None:
        query = query.where(_T.c.state == state)
    if before is not None:
        query = query.where(_T.c.iid < before)
    return [ListedMergeRequest(*tuple(row)) for row in tx.execute(query.order_by(_T.c.iid.desc()).limit(limit + 1))]


def count_by_state(tx: Transaction) -> dict[str, int]:
    query = sa.select(_T.c.state, sa.func.count()).where(_T.c.project_id == tx.project_id).group_by(_T.c.state)
    return {row[0]: row[1] for row in tx.execute(query)}


def last_pipelines(tx: Transaction, iids: Collection[int]) -> dict[int, LastPipeline]:
    """Fetch the newest pipeline of each merge request."""
    last = (
        sa.select(sa.func.max(_PIPELINE.c.id).label("id"))
        .where(_PIPELINE.c.project_id == tx.project_id, _PIPELINE.c.merge_request_iid.in_(sorted(iids)))
        .group_by(_PIPELINE.c.merge_request_iid)
        .subquery()
    )
    query = sa.select(
        _PIPELINE.c.merge_request_iid, _PIPELINE.c.id, _PIPELINE.c.status, _PIPELINE.c.web_url, _PIPELINE.c.created_ms
    ).where(_PIPELINE.c.project_id == tx.project_id)
    return {row[0]: LastPipeline(*row[1:]) for row in tx.execute(query.join(last, _PIPELINE.c.id == last.c.id))}


def get_for_page(tx: Transaction, iid: int) -> ListedMergeRequest | None:
    row = tx.execute(sa.select(*_PAGE_COLUMNS).where(_T.c.project_id == tx.project_id, _T.c.iid == iid)).one_or_none()
    return None if row is None else ListedMergeRequest(*tuple(row))


def pipelines_of(tx: Transaction, iid: int, *, limit: int) -> list[RequestPipeline]:
    """List the pipelines of a merge request that have made runs, the newest first."""
    runs = (
        sa.select(sa.func.count(sa.distinct(_LINK.c.candidate_iid)))
        .where(_LINK.c.project_id == tx.project_id, _LINK.c.pipeline_id == _PIPELINE.c.id)
        .correlate(_PIPELINE)
        .scalar_subquery()
    )
    columns = (
        _PIPELINE.c.id,
        _PIPELINE.c.sha,
        _PIPELINE.c.status,
        _PIPELINE.c.web_url,
        _PIPELINE.c.created_ms,
        runs,
    )
    query = sa.select(*columns).where(_PIPELINE.c.project_id == tx.project_id, _PIPELINE.c.merge_request_iid == iid)
    return [RequestPipeline(*row) for row in tx.execute(query.order_by(_PIPELINE.c.id.desc()).limit(limit))]
