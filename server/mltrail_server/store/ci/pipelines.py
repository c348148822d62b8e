"""GitLab's pipelines, the files that they ran on, and their siblings on a commit or merge request."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain import gitlab_ci
from mltrail_server.domain.identity import VerifiedClaims
from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

_T = schema.pipeline
_LINK = schema.candidate_job

MERGE_REQUEST_SOURCE = "merge_request_event"

_COLUMNS = tuple(
    _T.c[name] for name in ("id", "sha", "ref", "source", "status", "web_url", "merge_request_iid", "head_sha")
)


@dataclass(frozen=True, slots=True)
class Pipeline:
    id: int
    sha: str
    ref: str
    source: str
    status: str | None  # GitLab's word; None until GitLab was asked
    web_url: str | None
    merge_request_iid: int | None
    head_sha: str | None = None

    @property
    def head(self) -> str:
        """The commit that it is for: the merge request's if it runs on a merged commit."""
        return self.head_sha or self.sha


def ensure(tx: Transaction, claims: VerifiedClaims) -> None:
    """Add a pipeline with what a job's token says about it; GitLab is asked for the rest later."""
    row = {
        "project_id": tx.project_id,
        "id": claims.pipeline_id,
        "sha": claims.sha,
        "ref": claims.ref,
        "is_tag": claims.ref_type == "tag",
        "source": claims.pipeline_source,
        "created_ms": tx.now,
    }
    tx.upsert(_T, [row])


def get(tx: Transaction, pipeline_id: int) -> Pipeline | None:
    query = sa.select(*_COLUMNS).where(_T.c.project_id == tx.project_id, _T.c.id == pipeline_id)
    row = tx.execute(query).one_or_none()
    return None if row is None else Pipeline(*row)


@dataclass(frozen=True, slots=True)
class PipelineRef:
    """What a pipeline ran on; `root_id` is the pipeline that speaks for it, itself unless it is a child pipeline."""

    ref: str
    is_tag: bool
    root_id: int


def ref_of(tx: Transaction, pipeline_id: int) -> PipelineRef | None:
    query = sa.select(_T.c.ref, _T.c.is_tag, sa.func.coalesce(_T.c.root_id, _T.c.id))
    row = tx.execute(query.where(_T.c.project_id == tx.project_id, _T.c.id == pipeline_id)).one_or_none()
    return None if row is None else PipelineRef(row[0], bool(row[1]), row[2])


def of_head(tx: Transaction, head: str, *, iid: int, branch: str | None, limit: int) -> list[Pipeline]:
    """List the pipelines of a merge request's commit, its own and its branch's, the newest first. Child pipelines count
    towards their roots. `branch` is None if it is a fork's.
    """
    ours = [_T.c.merge_request_iid == iid]
    if branch is not None:
        ours.append(sa.and_(_T.c.ref == branch, ~_T.c.is_tag, _T.c.source != MERGE_REQUEST_SOURCE))
    found: dict[int, Pipeline] = {}
    # One query each, so that each uses its index.
    for where in ours:
        query = sa.select(*_COLUMNS).where(
            _T.c.project_id == tx.project_id,
            where,
            sa.func.coalesce(_T.c.head_sha, _T.c.sha) == head,
            sa.func.coalesce(_T.c.root_id, _T.c.id) == _T.c.id,
        )
        rows = tx.execute(query.order_by(_T.c.id.desc()).limit(limit))
        found |= {row.id: Pipeline(*row) for row in rows}
    return sorted(found.values(), key=lambda one: -one.id)


def newest_of_request(tx: Transaction, iid: int) -> Pipeline | None:
    """Fetch the newest known pipeline of a merge request, whether or not it has logged anything."""
    query = sa.select(*_COLUMNS).where(_T.c.project_id == tx.project_id, _T.c.merge_request_iid == iid)
    row = tx.execute(query.order_by(_T.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else Pipeline(*row)


@dataclass(frozen=True, slots=True)
class MergeRequestLink:
    """What we know about a pipeline's merge request: `resolved` once GitLab was asked which one it is."""

    merge_request_iid: int | None
    resolved: bool
    refreshed_ms: int | None  # when GitLab was last asked about the merge request
    head_sha: str | None = None


def link_of(tx: Transaction, pipeline_id: int) -> MergeRequestLink:
    request = schema.merge_request
    of_request = sa.and_(request.c.project_id == _T.c.project_id, request.c.iid == _T.c.merge_request_iid)
    query = (
        sa.select(_T.c.merge_request_iid, _T.c.resolved, request.c.refreshed_ms, _T.c.head_sha)
        .join_from(_T, request, of_request, isouter=True)
        .where(_T.c.project_id == tx.project_id, _T.c.id == pipeline_id)
    )
    row = tx.execute(query).one_or_none()
    return MergeRequestLink(None, resolved=False, refreshed_ms=None) if row is None else MergeRequestLink(*row)


def newest_of_requests(tx: Transaction, iids: Iterable[int]) -> dict[int, int]:
    """Find the newest pipeline with candidates of each merge request: pipeline by merge request."""
    query = sa.select(_T.c.merge_request_iid, sa.func.max(_T.c.id)).where(
        _T.c.project_id == tx.project_id, _T.c.merge_request_iid.in_(list(iids)), _has_candidates()
    )
    return {row[0]: row[1] for row in tx.execute(query.group_by(_T.c.merge_request_iid))}


def newest_of_branches(tx: Transaction, branches: Iterable[str]) -> dict[str, int]:
    """Find the newest pipeline with candidates of each branch. Another merge request of the branch may be known."""
    query = sa.select(_T.c.ref, sa.func.max(_T.c.id)).where(
        _T.c.project_id == tx.project_id,
        _T.c.ref.in_(list(branches)),
        _T.c.resolved.is_(True),
        ~_T.c.is_tag,
        _T.c.on_default_branch.is_(False),
        _has_candidates(),
    )
    return {row[0]: row[1] for row in tx.execute(query.group_by(_T.c.ref))}


def has_one_of_request_beside(tx: Transaction, pipeline: Pipeline, *, iid: int) -> bool:
    """Return whether a push has started two pipelines that train and this is the branch's: then the merge request's own
    pipeline represents it.
    """
    if pipeline.source == MERGE_REQUEST_SOURCE:
        return False
    query = sa.select(sa.literal(1)).where(
        _T.c.project_id == tx.project_id,
        _T.c.merge_request_iid == iid,
        _T.c.sha == pipeline.sha,
        _T.c.source == MERGE_REQUEST_SOURCE,
        _has_candidates(),
    )
    return tx.execute(query.limit(1)).first() is not None


def without_request_since(tx: Transaction, since: int) -> bool:
    """Return whether a branch that may still get a merge request has trained since then."""
    query = sa.select(sa.literal(1)).where(
        _T.c.project_id == tx.project_id,
        _T.c.created_ms >= since,
        _T.c.merge_request_iid.is_(None),
        _T.c.on_default_branch.is_(False),
    )
    return tx.execute(query.limit(1)).first() is not None


def unresolve(tx: Transaction, pipeline_ids: Iterable[int]) -> None:
    """Have the merge requests of pipelines looked up again."""
    where = (_T.c.project_id == tx.project_id, _T.c.id.in_(list(pipeline_ids)))
    tx.execute(sa.update(_T).where(*where).values(resolved=False))


def _has_candidates() -> sa.ColumnElement[bool]:
    return (
        sa.select(sa.literal(1))
        .where(_LINK.c.project_id == _T.c.project_id, _LINK.c.pipeline_id == _T.c.id)
        .correlate(_T)
        .exists()
    )


def vanish(tx: Transaction, pipeline_id: int) -> None:
    """Note that GitLab no longer has this pipeline."""
    where = (_T.c.project_id == tx.project_id, _T.c.id == pipeline_id)
    tx.execute(sa.update(_T).where(*where).values(status=gitlab_ci.DELETED, refreshed_ms=tx.now))


def refresh(
    tx: Transaction,
    pipeline: gitlab_ci.GitLabPipeline,
    *,
    merge_request_iid: int | None,
    on_default_branch: bool,
    head_sha: str | None = None,
) -> None:
    """Store what GitLab now says about a pipeline. `head_sha` is the merge request's commit if it runs on another."""
    row = {
        "project_id": tx.project_id,
        "id": pipeline.id,
        "iid": pipeline.iid,
        "sha": pipeline.sha,
        "head_sha": head_sha,
        "ref": pipeline.ref,
        "is_tag": pipeline.tag,
        "source": pipeline.source,
        "status": pipeline.status,
        "web_url": pipeline.web_url,
        "merge_request_iid": merge_request_iid,
        "resolved": True,
        "on_default_branch": on_default_branch,
        "created_ms": tx.now,
        "refreshed_ms": tx.now,
    }
    tx.upsert(_T, [row], update=[name for name in row if name not in ("project_id", "id", "created_ms")])


def made_baseline(tx: Transaction, candidate_iid: int) -> bool:
    """Return whether a job of the default branch has made a candidate."""
    of_pipeline = sa.and_(_T.c.project_id == _LINK.c.project_id, _T.c.id == _LINK.c.pipeline_id)
    query = (
        sa.select(sa.literal(1))
        .select_from(_LINK.join(_T, of_pipeline))
        .where(
            _LINK.c.project_id == tx.project_id,
            _LINK.c.candidate_iid == candidate_iid,
            _LINK.c.verified.is_(sa.true()),
            _T.c.on_default_branch.is_(sa.true()),
        )
    )
    return tx.execute(query.limit(1)).scalar() is not None


def unsettled(tx: Transaction, branch: str, *, ended: Iterable[str], limit: int) -> list[int]:
    """List the newest pipelines of a branch with a candidate whose job has not ended, as far as we know."""
    job = schema.job
    of_job = sa.and_(job.c.project_id == _LINK.c.project_id, job.c.id == _LINK.c.job_id)
    open_job = (
        sa.select(sa.literal(1))
        .select_from(_LINK.join(job, of_job))
        .where(
            _LINK.c.project_id == _T.c.project_id,
            _LINK.c.pipeline_id == _T.c.id,
            sa.func.coalesce(job.c.status, "").not_in(list(ended)),
        )
        .correlate(_T)
        .exists()
    )
    query = sa.select(_T.c.id).where(
        _T.c.project_id == tx.project_id,
        _T.c.ref == branch,
        ~_T.c.is_tag,
        _T.c.source != MERGE_REQUEST_SOURCE,
        open_job,
    )
    return list(tx.execute(query.order_by(_T.c.id.desc()).limit(limit)).scalars())


@dataclass(frozen=True, slots=True)
class TrainedPipeline:
    """A pipeline with candidates. `tree` is the digest of its commit's files, None if nobody has looked yet."""

    pipeline: Pipeline
    tree: str | None

    def has_files_of(self, other: "TrainedPipeline") -> bool:
        """Whether both ran on the same files, as far as is known."""
        same_commit = self.pipeline.sha == other.pipeline.sha
        return same_commit or (self.tree is not None and self.tree == other.tree)


def trained_for(
    tx: Transaction, iid: int, *, branch: str, limit: int, predecessors: Sequence[int] = ()
) -> list[TrainedPipeline]:
    """List a merge request's pipelines that have candidates, the newest first; also those of its source branch if
    GitLab was not yet asked which merge request they belong to. Child pipelines count as part of their roots. Includes
    those of its `predecessors`, as `merge_requests.predecessors` lists them.
    """
    whose = _of_request(iid, branch)
    if predecessors:
        whose = sa.or_(whose, _T.c.merge_request_iid.in_(predecessors))
    query = sa.select(*_COLUMNS, _T.c.tree).where(_T.c.project_id == tx.project_id, whose, _has_candidates())
    rows = tx.execute(query.order_by(_T.c.id.desc()).limit(limit))
    return [TrainedPipeline(Pipeline(*row[:-1]), row.tree) for row in rows]


def _of_request(iid: int, branch: str) -> sa.ColumnElement[bool]:
    unasked = sa.and_(_T.c.resolved.is_(sa.false()), _T.c.ref == branch, _T.c.source == MERGE_REQUEST_SOURCE)
    return sa.or_(_T.c.merge_request_iid == iid, unasked)


_TRAINED_COLUMNS = (_T.c.id, _T.c.sha, _T.c.ref, _T.c.source, _T.c.status, _T.c.web_url, _T.c.merge_request_iid)


def tree_of(tx: Transaction, pipeline_id: int) -> str | None:
    """Return the digest of the files of a pipeline's commit; None if nobody has looked yet."""
    found: str | None = tx.execute(
        sa.select(_T.c.tree).where(_T.c.project_id == tx.project_id, _T.c.id == pipeline_id)
    ).scalar()
    return found


def keep_tree(tx: Transaction, pipeline_id: int, tree: str) -> None:
    where = (_T.c.project_id == tx.project_id, _T.c.id == pipeline_id)
    tx.execute(sa.update(_T).where(*where).values(tree=tree))


def trained_at(tx: Transaction, sha: str, *, limit: int) -> list[Pipeline]:
    """List the default branch's pipelines of a commit that have candidates, the newest first."""
    return _list(tx, _T.c.sha == sha, _T.c.on_default_branch.is_(sa.true()), limit=limit)


def of_merge_request(tx: Transaction, iid: int, *, branch: str, before: int, limit: int) -> list[Pipeline]:
    """List a merge request's pipelines older than `before` that have candidates, the newest first; also those of its
    source branch if GitLab was not yet asked which merge request they belong to.
    """
    return _list(tx, _of_request(iid, branch), _T.c.id < before, limit=limit)


def _list(tx: Transaction, *which: sa.ColumnElement[bool], limit: int) -> list[Pipeline]:
    has_candidates = (
        sa.select(sa.literal(1))
        .where(_LINK.c.project_id == _T.c.project_id, _LINK.c.pipeline_id == _T.c.id)
        .correlate(_T)
        .exists()
    )
    query = sa.select(*_TRAINED_COLUMNS).where(_T.c.project_id == tx.project_id, has_candidates, *which)
    return [Pipeline(*row) for row in tx.execute(query.order_by(_T.c.id.desc()).limit(limit))]
