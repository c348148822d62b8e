"""Candidates of pipelines for a comparison, with datasets and metric extremes: as many statements for one pipeline as
for fifty.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.grouping import Extremes
from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import schema
from mltrail_server.store.ci.jobs import TIED, TiedJob, tied_job
from mltrail_server.store.ci.pipelines import MERGE_REQUEST_SOURCE, Pipeline
from mltrail_server.store.db.planner import as_range
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files.files import File
from mltrail_server.store.tracking.candidates import COLUMNS, Candidate, candidate_of
from mltrail_server.store.tracking.metric_keys import find

_LINK = schema.candidate_job
_PIPELINE = schema.pipeline


def pipeline_of(tx: Transaction, candidate_iid: int) -> Pipeline | None:
    """Find the pipeline of the job that created a candidate, proven by its token."""
    columns = ("id", "sha", "ref", "source", "status", "web_url", "merge_request_iid")
    query = (
        sa.select(*(_PIPELINE.c[name] for name in columns))
        .join(_LINK, (_LINK.c.project_id == _PIPELINE.c.project_id) & (_LINK.c.pipeline_id == _PIPELINE.c.id))
        .where(
            _PIPELINE.c.project_id == tx.project_id,
            _LINK.c.project_id == tx.project_id,
            _LINK.c.candidate_iid == candidate_iid,
            _LINK.c.verified,
        )
        .order_by(_LINK.c.part, _LINK.c.job_id)
        .limit(1)
    )
    row = tx.execute(query).one_or_none()
    return None if row is None else Pipeline(*row)


_JOB = schema.job

_CANDIDATE = schema.candidate
_TAG = schema.candidate_tag
_OWN_TAG = schema.own_tag
_TOMBSTONE = schema.tombstone
_COMMIT = "mlflow.source.git.commit"


@dataclass(frozen=True, slots=True)
class CountedPipeline:
    """A pipeline, and how many candidates are tied to its jobs."""

    pipeline: Pipeline
    candidates: int


def of_branch(
    tx: Transaction,
    branch: str,
    *,
    before: int,
    limit: int,
    shas: Sequence[str] | None = None,
    experiments: Mapping[int, str] | None = None,
) -> list[CountedPipeline]:
    """List the pipelines of a branch (not of merge requests) older than `before` that have candidates, newest first;
    with `shas` only those of these commits, with `experiments` only those with candidates in one of these.
    """
    count = (
        sa.select(sa.func.count())
        .where(_LINK.c.project_id == _PIPELINE.c.project_id, _LINK.c.pipeline_id == _PIPELINE.c.id)
        .correlate(_PIPELINE)
        .scalar_subquery()
    )
    has_some = (
        sa.select(sa.literal(1))
        .where(_LINK.c.project_id == _PIPELINE.c.project_id, _LINK.c.pipeline_id == _PIPELINE.c.id)
        .correlate(_PIPELINE)
        .exists()
    )
    # What was removed for good leaves a tombstone, while its links may be gone, too.
    has_had = (
        sa.select(sa.literal(1))
        .where(_TOMBSTONE.c.project_id == _PIPELINE.c.project_id, _TOMBSTONE.c.pipeline_id == _PIPELINE.c.id)
        .correlate(_PIPELINE)
        .exists()
    )
    columns = ("id", "sha", "ref", "source", "status", "web_url", "merge_request_iid")
    query = sa.select(*(_PIPELINE.c[name] for name in columns), count.label("tied")).where(
        _PIPELINE.c.project_id == tx.project_id,
        _PIPELINE.c.ref == branch,
        ~_PIPELINE.c.is_tag,
        _PIPELINE.c.source != MERGE_REQUEST_SOURCE,
        _PIPELINE.c.id < before,
        sa.or_(has_some, has_had),
    )
    if shas is not None:
        query = query.where(_PIPELINE.c.sha.in_(shas))
    if experiments is not None:
        query = query.where(_has_one_in(experiments))
    rows = tx.execute(query.order_by(_PIPELINE.c.id.desc()).limit(limit))
    return [CountedPipeline(Pipeline(*row[:-1]), row.tied) for row in rows]


def _has_one_in(experiments: Mapping[int, str]) -> sa.ColumnElement[bool]:
    """Return whether a pipeline has, or had, a candidate in one of these experiments."""
    has_one = (
        sa.select(sa.literal(1))
        .join(_CANDIDATE, (_CANDIDATE.c.project_id == _LINK.c.project_id) & (_CANDIDATE.c.iid == _LINK.c.candidate_iid))
        .where(_LINK.c.project_id == _PIPELINE.c.project_id, _LINK.c.pipeline_id == _PIPELINE.c.id)
        .where(_CANDIDATE.c.experiment_iid.in_(list(experiments)))
        .correlate(_PIPELINE)
        .exists()
    )
    has_had_one = (
        sa.select(sa.literal(1))
        .where(_TOMBSTONE.c.project_id == _PIPELINE.c.project_id, _TOMBSTONE.c.pipeline_id == _PIPELINE.c.id)
        .where(_TOMBSTONE.c.experiment.in_(list(experiments.values())))
        .correlate(_PIPELINE)
        .exists()
    )
    return sa.or_(has_one, has_had_one)


def tied_in(tx: Transaction, pipeline_ids: Sequence[int]) -> dict[int, dict[int, list[TiedJob]]]:
    """Fetch the jobs of all candidates, by pipeline and candidate: creators first, then by number."""
    query = (
        sa.select(_LINK.c.pipeline_id, *TIED)
        .join(_JOB, (_JOB.c.project_id == _LINK.c.project_id) & (_JOB.c.id == _LINK.c.job_id))
        .join(
            _PIPELINE,
            (_PIPELINE.c.project_id == _LINK.c.project_id) & as_range(_LINK.c.pipeline_id, _PIPELINE.c.id),
        )
        .where(_LINK.c.project_id == tx.project_id, _PIPELINE.c.project_id == tx.project_id)
        .where(_PIPELINE.c.id.in_(pipeline_ids))
    )
    found: dict[int, dict[int, list[TiedJob]]] = {}
    for row in sorted(tx.execute(query), key=lambda row: (row.candidate_iid, row.part, row.job_id)):
        found.setdefault(row.pipeline_id, {}).setdefault(row.candidate_iid, []).append(tied_job(row))
    return found


def candidates(tx: Transaction, pipeline_ids: Sequence[int], *, stages: Sequence[Stage]) -> list[Candidate]:
    """Fetch the candidates of these lifecycle stages, by number."""
    query = sa.select(*COLUMNS).where(
        _CANDIDATE.c.project_id == tx.project_id,
        _CANDIDATE.c.iid.in_(_iids(tx.project_id, pipeline_ids)),
        _CANDIDATE.c.stage.in_(stages),
    )
    return [candidate_of(row) for row in tx.execute(query.order_by(_CANDIDATE.c.iid))]


def own_tags(
    tx: Transaction, pipeline_ids: Sequence[int], keys: Iterable[str], *, snapshots: Sequence[int] = ()
) -> dict[int, dict[str, str]]:
    """Fetch some tags of all candidates, and of snapshots, as their own jobs set them."""
    wanted = sorted(keys)
    of_pipelines = _iids(tx.project_id, pipeline_ids)
    parts = [_tags_of(_TAG, tx.project_id, of_pipelines, wanted, kept=0)]
    if snapshots:
        # A query of its own: with an "or" SQLite would scan all tags of the project.
        parts.append(_tags_of(_TAG, tx.project_id, snapshots, wanted, kept=0))
    parts.append(_tags_of(_OWN_TAG, tx.project_id, of_pipelines, wanted, kept=1))
    found: dict[int, dict[str, str]] = {}
    for iid, key, value, _ in sorted(tx.execute(sa.union_all(*parts)), key=lambda row: row.kept):
        if value is None:
            found.setdefault(iid, {}).pop(key, None)
        else:
            found.setdefault(iid, {})[key] = value
    return found


def _tags_of(
    table: sa.Table, project_id: ProjectId, iids: sa.Select[int] | Sequence[int], keys: list[str], *, kept: int
) -> sa.Select[Any]:
    return sa.select(table.c.candidate_iid, table.c.key, table.c.value, sa.literal(kept).label("kept")).where(
        table.c.project_id == project_id, table.c.candidate_iid.in_(iids), table.c.key.in_(keys)
    )


def without_job(tx: Transaction, shas: Sequence[str], *, limit: int) -> list[Candidate]:
    """Fetch the newest candidates that claim to be of these commits and were made by no job: on somebody's machine.
    Imported ones are none of these.
    """
    if not shas:
        return []
    tied = (
        sa.select(sa.literal(1))
        .where(_LINK.c.project_id == _CANDIDATE.c.project_id, _LINK.c.candidate_iid == _CANDIDATE.c.iid)
        .correlate(_CANDIDATE)
        .exists()
    )
    # One by one, and as ranges: otherwise SQLite would scan all tags of the project. The index holds 32 characters.
    of_commits = sa.union_all(
        *(
            sa.select(_TAG.c.candidate_iid).where(
                _TAG.c.project_id == tx.project_id,
                _TAG.c.key == _COMMIT,
                schema.is_indexed(_TAG),
                _TAG.c.value_start.between(sha[:32], sha[:32]),
                _TAG.c.value == sha,
            )
            for sha in shas
        )
    )
    query = sa.select(*COLUMNS).where(
        _CANDIDATE.c.project_id == tx.project_id,
        _CANDIDATE.c.iid.in_(of_commits),
        _CANDIDATE.c.stage == Stage.ACTIVE,
        _CANDIDATE.c.origin_id.is_(None),
        ~tied,
    )
    rows = tx.execute(query.order_by(_CANDIDATE.c.iid.desc()).limit(limit))
    return [candidate_of(row) for row in rows]


def _iids(project_id: ProjectId, pipeline_ids: Sequence[int]) -> sa.Select[int]:
    return sa.select(_LINK.c.candidate_iid).where(
        _LINK.c.project_id == project_id, _LINK.c.pipeline_id.in_(pipeline_ids)
    )


_METRIC = schema.metric
_INPUT = schema.candidate_dataset
_INPUT_TAG = schema.candidate_dataset_tag
_DATASET = schema.dataset
_FILE = schema.file
_BLOB = schema.blob
_CONTEXT = "mlflow.data.context"


def datasets(tx: Transaction, candidate_iids: Iterable[int]) -> dict[int, dict[str, str]]:
    """Fetch name and digest of candidates' datasets by what they were used as, such as `test`; "" if unknown."""
    of_dataset = sa.and_(_DATASET.c.project_id == _INPUT.c.project_id, _DATASET.c.id == _INPUT.c.dataset_id)
    of_link = sa.and_(
        _INPUT_TAG.c.project_id == _INPUT.c.project_id,
        _INPUT_TAG.c.candidate_iid == _INPUT.c.candidate_iid,
        _INPUT_TAG.c.dataset_id == _INPUT.c.dataset_id,
        _INPUT_TAG.c.key == _CONTEXT,
    )
    query = (
        sa.select(_INPUT.c.candidate_iid, _INPUT_TAG.c.value, _DATASET.c.name, _DATASET.c.digest)
        .select_from(_INPUT.join(_DATASET, of_dataset).outerjoin(_INPUT_TAG, of_link))
        .where(_INPUT.c.project_id == tx.project_id, _INPUT.c.candidate_iid.in_(list(candidate_iids)))
        .order_by(_INPUT.c.candidate_iid, _DATASET.c.name, _DATASET.c.digest)
    )
    found: dict[int, dict[str, str]] = {}
    for iid, context, name, digest in tx.execute(query):
        of_run = found.setdefault(iid, {})
        dataset = f"{name} ({digest})"
        known = of_run.get(context or "")
        of_run[context or ""] = f"{known}, {dataset}" if known else dataset
    return found


def files_at(tx: Transaction, paths: Sequence[str]) -> list[File]:
    """Fetch these files, as far as they exist."""
    if not paths:
        return []
    of_blob = (_BLOB.c.project_id == _FILE.c.project_id) & (_BLOB.c.id == _FILE.c.blob_id)
    query = (
        sa.select(_FILE.c.path, _FILE.c.blob_id, _BLOB.c.size, _BLOB.c.sha256)
        .join(_BLOB, of_blob)
        .where(_FILE.c.project_id == tx.project_id, _FILE.c.path.in_(paths))
    )
    return [File(*row) for row in tx.execute(query)]


def extremes(tx: Transaction, candidate_iids: Iterable[int], names: set[str]) -> dict[int, dict[str, Extremes]]:
    """Fetch the lowest and the highest value that candidates have ever logged of some metrics, and how many values that
    are numbers. A snapshot holds only the extremes, so that its number of values means nothing. Two statements.
    """
    iids = list(candidate_iids)
    ids = find(tx, names) if names and iids else {}
    if not ids:
        return {}
    names_of = {number: name for name, number in ids.items()}
    query = (
        sa.select(
            _METRIC.c.candidate_iid,
            _METRIC.c.key_id,
            sa.func.min(_METRIC.c.value),
            sa.func.max(_METRIC.c.value),
            sa.func.count(),
        )
        .where(
            _METRIC.c.project_id == tx.project_id,
            _METRIC.c.candidate_iid.in_(iids),
            _METRIC.c.key_id.in_(list(names_of)),
            _METRIC.c.is_nan.is_(False),
        )
        .group_by(_METRIC.c.candidate_iid, _METRIC.c.key_id)
    )
    found: dict[int, dict[str, Extremes]] = {}
    for iid, key, low, high, points in tx.execute(query):
        found.setdefault(iid, {})[names_of[key]] = Extremes(low, high, points)
    return found
