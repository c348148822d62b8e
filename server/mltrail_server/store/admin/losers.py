"""Candidates that lost against one that was promoted, and whose files nothing needs."""

from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.candidate import Status
from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

_CANDIDATE = schema.candidate
_LINK = schema.candidate_job
_PIPELINE = schema.pipeline
_PROMOTION = schema.promotion
_REQUEST = schema.merge_request
_VERSION = schema.model_version
_FILE = schema.file
_LOGGED = schema.logged_model


@dataclass(frozen=True, slots=True)
class NewestPromotion:
    """A model's newest promotion: its candidate's experiment, the pipeline that it was for, and when it was."""

    model_name: str
    experiment_iid: int
    pipeline_id: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Loser:
    iid: int
    eid: str
    name: str
    experiment_iid: int


def newest_promotions(tx: Transaction) -> list[NewestPromotion]:
    """Fetch the newest promotion of each experiment that ever had one, except for pre-releases."""
    of_candidate = sa.and_(
        _CANDIDATE.c.project_id == _PROMOTION.c.project_id, _CANDIDATE.c.iid == _PROMOTION.c.candidate_iid
    )
    columns = (_PROMOTION.c.model_name, _CANDIDATE.c.experiment_iid, _PROMOTION.c.pipeline_id, _PROMOTION.c.at_ms)
    query = (
        sa.select(*columns)
        .select_from(_PROMOTION.join(_CANDIDATE, of_candidate))
        .where(_PROMOTION.c.project_id == tx.project_id, _PROMOTION.c.pre_release.is_(sa.false()))
        .order_by(_PROMOTION.c.at_ms)
    )
    return list({row.experiment_iid: NewestPromotion(*row) for row in tx.execute(query)}.values())


def of_experiment(tx: Transaction, won: NewestPromotion, *, before: int, limit: int) -> list[Loser]:
    """List candidates of jobs that ended before the experiment's newest promotion and before a time, that still have
    files, and that are no version, promoted, imported, of an open merge request, or of the default branch's newest
    pipeline.
    """
    links = (_LINK.c.project_id == tx.project_id, _LINK.c.candidate_iid == _CANDIDATE.c.iid)
    of_pipeline = sa.and_(_PIPELINE.c.project_id == _LINK.c.project_id, _PIPELINE.c.id == _LINK.c.pipeline_id)
    of_request = sa.and_(
        _REQUEST.c.project_id == _PIPELINE.c.project_id, _REQUEST.c.iid == _PIPELINE.c.merge_request_iid
    )
    verified = _exists(_LINK, *links, _LINK.c.verified.is_(sa.true()))
    in_review = _exists(
        _LINK.join(_PIPELINE, of_pipeline).join(_REQUEST, of_request), *links, _REQUEST.c.state == "opened"
    )
    newest = (
        sa.select(sa.func.max(_PIPELINE.c.id))
        .where(_PIPELINE.c.project_id == tx.project_id, _PIPELINE.c.on_default_branch.is_(sa.true()))
        .scalar_subquery()
    )
    is_version = _exists(_VERSION, _VERSION.c.project_id == tx.project_id, _VERSION.c.candidate_iid == _CANDIDATE.c.iid)
    query = (
        sa.select(_CANDIDATE.c.iid, _CANDIDATE.c.eid, _CANDIDATE.c.name, _CANDIDATE.c.experiment_iid)
        .where(
            _CANDIDATE.c.project_id == tx.project_id,
            _CANDIDATE.c.experiment_iid == won.experiment_iid,
            _CANDIDATE.c.promoted.is_(sa.false()),
            _CANDIDATE.c.origin_id.is_(None),
            _CANDIDATE.c.status >= Status.FINISHED,
            # A client may say that a run has ended, but not when.
            sa.func.coalesce(_CANDIDATE.c.ended_ms, _CANDIDATE.c.created_ms) < min(before, won.at_ms),
            _has_files(tx.project_id),
            verified,
            ~in_review,
            ~_exists(_LINK, *links, _LINK.c.pipeline_id == newest),
            ~is_version,
        )
        .order_by(_CANDIDATE.c.iid)
        .limit(limit)
    )
    return [Loser(*row) for row in tx.execute(query)]


def logged_models(tx: Transaction, eid: str) -> list[tuple[str, int]]:
    """List the logged models that a candidate made and that became no version, with their experiments."""
    taken = _exists(_VERSION, _VERSION.c.project_id == tx.project_id, _VERSION.c.logged_model_id == _LOGGED.c.model_id)
    query = sa.select(_LOGGED.c.model_id, _LOGGED.c.experiment_iid).where(
        _LOGGED.c.project_id == tx.project_id, _LOGGED.c.source_eid == eid, ~taken
    )
    return [(row.model_id, row.experiment_iid) for row in tx.execute(query)]


def _has_files(project_id: ProjectId) -> sa.ColumnElement[bool]:
    """Look in the candidate's folder, and in those of the models that it logged."""
    own = _below(project_id, sa.cast(_CANDIDATE.c.experiment_iid, sa.Text) + "/" + _CANDIDATE.c.eid + "/artifacts")
    folder = sa.cast(_LOGGED.c.experiment_iid, sa.Text) + "/models/" + _LOGGED.c.model_id + "/artifacts"
    logged = _exists(
        _LOGGED,
        _LOGGED.c.project_id == project_id,
        _LOGGED.c.source_eid == _CANDIDATE.c.eid,
        _below(project_id, folder),
    )
    return sa.or_(own, logged)


def _below(project_id: ProjectId, folder: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    # A range of the key: "0" is the character after "/".
    return _exists(_FILE, _FILE.c.project_id == project_id, _FILE.c.path > folder + "/", _FILE.c.path < folder + "0")


def _exists(source: sa.FromClause, *where: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    return sa.select(sa.literal(1)).select_from(source).where(*where).correlate(_CANDIDATE, _LOGGED).exists()
