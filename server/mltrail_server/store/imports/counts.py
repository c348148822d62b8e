"""Count what there is of things that were imported, in their tables."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.model import PROMPT_TAG
from mltrail_server.domain.origins import IMPORTED_TAG
from mltrail_server.domain.transfer import Entity
from mltrail_server.store import schema
from mltrail_server.store.db.statements import Statement, is_in
from mltrail_server.store.db.transaction import Transaction

Of = dict[str, dict[Entity, int]]
"""How much there is of each thing, by its number, id or name here."""

_CANDIDATE = schema.candidate
_FILE, _BLOB = schema.file, schema.blob
_OF_RUN: Mapping[Entity, sa.Table] = {
    Entity.PARAM: schema.param,
    Entity.TAG: schema.candidate_tag,
    Entity.POINT: schema.metric,
    Entity.DATASET: schema.candidate_dataset,
}


def _per_run(table: sa.Table) -> Statement:
    return Statement(
        lambda dialect: (
            sa.select(table.c.candidate_iid, sa.func.count())
            .where(
                table.c.project_id == sa.bindparam("project_id"),
                is_in(table.c.candidate_iid, "iids", dialect),
                # The server's own mark is not the source's.
                table.c.key != IMPORTED_TAG if table is schema.candidate_tag else sa.true(),
            )
            .group_by(table.c.candidate_iid)
        )
    )


_COUNT_OF_RUNS = {entity: _per_run(table) for entity, table in _OF_RUN.items()}
_STAGES = Statement(
    lambda dialect: sa.select(_CANDIDATE.c.iid, _CANDIDATE.c.stage).where(
        _CANDIDATE.c.project_id == sa.bindparam("project_id"), is_in(_CANDIDATE.c.iid, "iids", dialect)
    )
)
_FILES = Statement(
    sa.select(sa.func.count(), sa.cast(sa.func.coalesce(sa.func.sum(_BLOB.c.size), 0), sa.BigInteger))
    .select_from(_FILE.join(_BLOB, (_BLOB.c.project_id == _FILE.c.project_id) & (_BLOB.c.id == _FILE.c.blob_id)))
    .where(
        _FILE.c.project_id == sa.bindparam("project_id"),
        _FILE.c.path > sa.bindparam("start"),
        _FILE.c.path < sa.bindparam("stop"),
    )
)


def of_runs(tx: Transaction, iids: Sequence[int]) -> Of:
    """Count runs, active and deleted, and what was logged to them, without files."""
    given = tx.listed(iids)
    found: Of = {}
    for iid, stage in tx.all(_STAGES, iids=given):
        found[str(iid)] = {Entity.RUN if stage == Stage.ACTIVE else Entity.DELETED_RUN: 1}
    for entity, statement in _COUNT_OF_RUNS.items():
        for iid, count in tx.all(statement, iids=given):
            found.setdefault(str(iid), {})[entity] = count
    return found


def of_folder(tx: Transaction, folder: str) -> dict[Entity, int]:
    """Count the files in a folder and its subfolders, and their bytes. ("0" is the character after "/".)"""
    row = tx.one(_FILES, start=f"{folder}/", stop=f"{folder}0")
    count, size = row or (0, 0)
    return {Entity.FILE: int(count), Entity.BYTES: int(size)}


def of_experiments(tx: Transaction, iids: Sequence[str]) -> Of:
    """Count experiments, by their numbers as text."""
    table = schema.experiment
    query = sa.select(table.c.iid).where(table.c.project_id == tx.project_id, table.c.iid.in_(list(map(int, iids))))
    return {str(row.iid): {Entity.EXPERIMENT: 1} for row in tx.execute(query)}


def of_logged_models(tx: Transaction, ids: Sequence[str]) -> Of:
    """Count logged models and their metrics, by ID."""
    table, metric = schema.logged_model, schema.logged_model_metric
    return _merged(
        _grouped(tx, Entity.LOGGED_MODEL, table, table.c.model_id, ids),
        _grouped(tx, Entity.MODEL_METRIC, metric, metric.c.model_id, ids),
    )


def of_traces(tx: Transaction, ids: Sequence[str]) -> Of:
    """Count traces and their assessments, by ID."""
    table, assessment = schema.trace, schema.assessment
    return _merged(
        _grouped(tx, Entity.TRACE, table, table.c.id, ids),
        _grouped(tx, Entity.ASSESSMENT, assessment, assessment.c.trace_id, ids),
    )


def of_evaluation_datasets(tx: Transaction, ids: Sequence[str]) -> Of:
    """Count evaluation datasets and their rows, by ID."""
    table, record = schema.evaluation_dataset, schema.evaluation_record
    return _merged(
        _grouped(tx, Entity.EVALUATION_DATASET, table, table.c.id, ids),
        _grouped(tx, Entity.EVALUATION_ROW, record, record.c.dataset_id, ids),
    )


def of_scorers(tx: Transaction, ids: Sequence[str]) -> Of:
    """Count the versions of scorers by the scorers' ids."""
    table = schema.scorer_version
    return _grouped(tx, Entity.SCORER, table, table.c.scorer_id, ids)


def of_models(tx: Transaction, ids: Sequence[str]) -> Of:
    """Count models or prompts, their versions and aliases, by the models' numbers."""
    numbers = list(map(int, ids))
    table, tag = schema.model, schema.model_tag
    version, alias = schema.model_version, schema.model_alias
    prompts = sa.select(tag.c.model_id).where(
        tag.c.project_id == tx.project_id, tag.c.key == PROMPT_TAG, tag.c.value == "true"
    )
    query = sa.select(table.c.id, table.c.id.in_(prompts).label("prompt")).where(
        table.c.project_id == tx.project_id, table.c.id.in_(numbers)
    )
    found: Of = {str(row.id): {Entity.PROMPT if row.prompt else Entity.MODEL: 1} for row in tx.execute(query)}
    live = version.c.deleted_ms.is_(None)
    return _merged(
        found,
        _grouped(tx, Entity.VERSION, version, version.c.model_id, numbers, live),
        _grouped(tx, Entity.ALIAS, alias, alias.c.model_id, numbers),
    )


def _grouped(
    tx: Transaction,
    entity: Entity,
    table: sa.Table,
    owner: sa.Column[int] | sa.Column[str],
    ids: Sequence[str] | Sequence[int],
    *where: sa.ColumnElement[bool],
) -> Of:
    query = (
        sa.select(owner, sa.func.count())
        .where(table.c.project_id == tx.project_id, owner.in_(ids), *where)
        .group_by(owner)
    )
    return {str(one): {entity: count} for one, count in tx.execute(query)}


def _merged(*parts: Of) -> Of:
    found: Of = {}
    for part in parts:
        for one, counts in part.items():
            found.setdefault(one, {}).update(counts)
    return found
