"""Scorers and evaluation datasets (MLflow 3) of an MLflow database."""

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.transfer import (
    Entity,
    EvaluationDatasetRecord,
    EvaluationRowRecord,
    ExperimentRecord,
    Findings,
    Loss,
    ScorerRecord,
)

from .experiments import within_workspace
from .opening import Reading, Row
from .tables import Tables

_PAGE = 200
_WRAPPED = "mlflow_wrapped"  # MLflow keeps outputs of any type in an object under this key


def scorers(reading: Reading, tables: Tables, experiment: ExperimentRecord) -> Iterator[ScorerRecord]:
    if not tables.has("scorers"):
        return
    scorer, version = tables.table("scorers").c, tables.table("scorer_versions").c
    statement = (
        sa.select(
            scorer.scorer_id,
            scorer.scorer_name,
            version.scorer_version,
            version.serialized_scorer,
            version.creation_time,
        )
        .join_from(tables.table("scorers"), tables.table("scorer_versions"), scorer.scorer_id == version.scorer_id)
        .where(scorer.experiment_id == int(experiment.id))
        .order_by(scorer.scorer_name, version.scorer_version)
    )
    for one in reading.rows(statement):
        yield ScorerRecord(
            id=one.scorer_id,
            experiment_id=experiment.id,
            name=one.scorer_name,
            version=one.scorer_version,
            serialized=one.serialized_scorer,
            created_ms=one.creation_time or 0,
        )


def datasets(reading: Reading, tables: Tables, workspace: str) -> Iterator[EvaluationDatasetRecord]:
    """Return evaluation datasets by id."""
    if not tables.has("evaluation_datasets"):
        return
    data = tables.table("evaluation_datasets").c
    statement = within_workspace(
        sa.select(*data).where(data.dataset_id > sa.bindparam("after")).order_by(data.dataset_id).limit(_PAGE),
        tables,
        "evaluation_datasets",
        workspace,
    )
    after = ""
    while page := reading.rows(statement, {"after": after}):
        after = page[-1].dataset_id
        ids = [one.dataset_id for one in page]
        tags, experiments = _tags(reading, tables, ids), _experiments(reading, tables, ids)
        for one in page:
            yield EvaluationDatasetRecord(
                id=one.dataset_id,
                name=one.name,
                digest=one.digest,
                created_ms=one.created_time or 0,
                updated_ms=one.last_update_time or 0,
                user=one.created_by or "",
                updated_by=one.last_updated_by or "",
                schema=one.schema,
                profile=one.profile,
                tags=tags[one.dataset_id],
                experiment_ids=tuple(experiments[one.dataset_id]),
            )


def rows(
    reading: Reading, tables: Tables, dataset: EvaluationDatasetRecord, findings: Findings
) -> Iterator[EvaluationRowRecord]:
    """Return a dataset's rows by id."""
    row = tables.table("evaluation_dataset_records").c
    plain = ("dataset_record_id", "created_time", "last_update_time", "created_by", "last_updated_by")
    values = ("inputs", "outputs", "expectations", "tags", "source")
    columns = [
        *(row[one] for one in plain),
        # As text, because only some drivers decode JSON.
        *(sa.cast(tables.column("evaluation_dataset_records", one), sa.Text).label(one) for one in values),
    ]
    statement = (
        sa.select(*columns)
        .where(row.dataset_id == dataset.id, row.dataset_record_id > sa.bindparam("after"))
        .order_by(row.dataset_record_id)
        .limit(_PAGE)
    )
    after = ""
    while page := reading.rows(statement, {"after": after}):
        after = page[-1].dataset_record_id
        for one in page:
            try:
                record = _row(one)
            except ValueError:
                text = f"row {one.dataset_record_id} is not JSON, so it is left out"
                findings.add(Loss.MISSING, Entity.EVALUATION_ROW, f"evaluation dataset {dataset.name!r}", text)
            else:
                yield record


def _row(row: Row) -> EvaluationRowRecord:
    return EvaluationRowRecord(
        id=row.dataset_record_id,
        inputs=_json(row.inputs),
        outputs=_unwrapped(_json(row.outputs)),
        expectations=_json(row.expectations),
        tags=_json(row.tags),
        source=_json(row.source),
        user=row.created_by or "",
        updated_by=row.last_updated_by or "",
        created_ms=row.created_time or 0,
        updated_ms=row.last_update_time or 0,
    )


def _tags(reading: Reading, tables: Tables, ids: list[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = defaultdict(dict)
    tag = tables.table("evaluation_dataset_tags").c
    statement = sa.select(tag.dataset_id, tag.key, tag.value).where(tag.dataset_id.in_(ids)).order_by(tag.key)
    for dataset_id, key, value in reading.rows(statement):
        found[dataset_id][key] = value or ""
    return found


def _experiments(reading: Reading, tables: Tables, ids: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    link = tables.table("entity_associations").c
    kinds = (link.source_type == "evaluation_dataset", link.destination_type == "experiment")
    statement = sa.select(link.source_id, link.destination_id).where(*kinds, link.source_id.in_(ids))
    for dataset_id, experiment_id in reading.rows(statement.order_by(link.destination_id)):
        found[dataset_id].append(experiment_id)
    return found


def _json(text: str | None) -> Any:  # noqa: ANN401 - any JSON value
    return None if text is None else json.loads(text)


def _unwrapped(outputs: Any) -> Any:  # noqa: ANN401 - any JSON value
    return outputs.get(_WRAPPED) if isinstance(outputs, dict) and set(outputs) == {_WRAPPED} else outputs
