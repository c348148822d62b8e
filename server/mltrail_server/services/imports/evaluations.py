"""Import scorers and evaluation datasets."""

import json
import uuid
from typing import Any

from mltrail_server.domain import limits
from mltrail_server.domain.batches import batches
from mltrail_server.domain.errors import conflict
from mltrail_server.domain.evaluation_datasets import EvaluationDataset, Record, digest_of, inputs_digest
from mltrail_server.domain.ids import is_eid
from mltrail_server.domain.transfer import (
    Entity,
    EvaluationDatasetRecord,
    EvaluationRowRecord,
    ExperimentRecord,
    Loss,
    ScorerRecord,
)
from mltrail_server.services.traces import scorers as scorer_service
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.imports import evaluations, imported
from mltrail_server.store.imports.evaluations import NewScorerVersion
from mltrail_server.store.imports.imported import Imported
from mltrail_server.store.traces import datasets, records

from .experiments import changes
from .fit_to_limits import Fit
from .target import USER, Target
from .written_values import WrittenValues, digests_of, fingerprint

_ROWS_AT_ONCE = 500
_MAX_ID = 64


def bring_scorers(target: Target, experiment: ExperimentRecord, iid: int | None) -> None:
    """Import the scorers of an experiment, with the numbers of their versions. `iid` is its number here, None in a dry
    run without it.
    """
    here: dict[str, str] = {}
    there: dict[str, int] = {}
    refused: set[str] = set()
    for record in target.source.scorers(experiment):
        there[record.name] = there.get(record.name, 0) + 1
        fit = target.fit(f"scorer {record.name} {record.version} of experiment {experiment.name}")
        if not target.dry_run and iid is not None and _may_come(record, fit):
            here[record.name] = _add_scorer(target, record, fit, iid)
        if fit.lost:
            refused.add(record.name)
    for name, count in there.items():
        owner = f"scorer {name} of experiment {experiment.name}"
        explained = name in refused or target.dry_run
        target.tally.note(Entity.SCORER, here.get(name), owner, {Entity.SCORER: count}, explained=explained)


def _may_come(record: ScorerRecord, fit: Fit) -> bool:
    def check() -> None:
        scorer_service.check(record.serialized)
        if not record.name.strip() or len(record.name) > limits.MAX_SCORER_NAME:
            raise conflict(f"its name is empty or has more than {limits.MAX_SCORER_NAME} characters")

    return fit.passes(Entity.SCORER, "it", check)


def _add_scorer(target: Target, record: ScorerRecord, fit: Fit, iid: int) -> str:
    with target.project.write() as tx:
        scorer_id = evaluations.scorer_id(tx, iid, record.name, new_id=_free_id(tx, record.id))
        here = evaluations.scorer_here(tx, scorer_id, record.version)
        if here is None:
            user = target.plan.user(record.user) or USER
            new = NewScorerVersion(scorer_id, record.version, record.serialized, user, record.created_ms)
            evaluations.add_scorer(tx, new)
        elif here != record.serialized:
            fit.say(
                Loss.CLASH, Entity.SCORER, "another scorer already has this name and number here, and was not changed"
            )
        return scorer_id


def _free_id(tx: Transaction, of_source: str) -> str:
    """Return the id that the scorer has at the source, or a new one if another scorer has that id here."""
    usable = 0 < len(of_source) <= _MAX_ID and not evaluations.has_scorer(tx, of_source)
    return of_source if usable else str(uuid.uuid4())


def bring_dataset(target: Target, record: EvaluationDatasetRecord) -> None:
    """Import a dataset with its rows. It belongs to those of its experiments that are imported."""
    fit = target.fit(f"evaluation dataset {record.name}")
    digest = fingerprint(record.name, record.digest, record.updated_ms, sorted(record.tags.items()))
    with target.project.read() as tx:
        known = imported.one(tx, Entity.EVALUATION_DATASET, record.id)
        here = datasets.get(tx, record.id)
    if known is not None and here is not None and known.fingerprint == digest:
        target.progress.skipped += 1
        target.tally.note(Entity.EVALUATION_DATASET, record.id, fit.owner, known.counts)
        return
    there = {Entity.EVALUATION_DATASET: 1}
    if not _has_room(record, fit, clashes=here is not None and known is None):
        target.tally.note(Entity.EVALUATION_DATASET, None, fit.owner, there)
        return
    tags = fit.pairs(
        Entity.EVALUATION_DATASET,
        "tag",
        record.tags,
        most=limits.MAX_EVALUATION_DATASET_TAG_VALUE,
        check=lambda key: limits.check_key(key, "tag"),
    )
    ours = digests_of([(f"tag:{key}", value) for key, value in tags.items()])
    if not target.dry_run:
        _begin(target, record, fit, tags, WrittenValues(known.written if known else ""), is_here=here is not None)
    there[Entity.EVALUATION_ROW] = _bring_rows(target, record, fit)
    if not target.dry_run:
        with target.project.write() as tx:
            # Rows have changed it; these are its own.
            datasets.change(tx, record.id, digest=_digest(record), updated_ms=record.updated_ms)
            made = Imported(record.id, "" if fit.lost else digest, there, ours)
            imported.put(tx, Entity.EVALUATION_DATASET, target.origin_id, [(record.id, made)])
    here_id = record.id if here is not None or not target.dry_run else None
    explained = fit.lost or target.dry_run
    target.tally.note(Entity.EVALUATION_DATASET, here_id, fit.owner, there, explained=explained)


def _has_room(record: EvaluationDatasetRecord, fit: Fit, *, clashes: bool) -> bool:
    """Return whether a dataset can have its id here."""
    if clashes:
        fit.say(
            Loss.CLASH, Entity.EVALUATION_DATASET, "a dataset with this ID already existed here and was not changed"
        )
    elif not is_eid(record.id) or len(record.id) > _MAX_ID:
        fit.say(Loss.REFUSED, Entity.EVALUATION_DATASET, "its ID is not a valid dataset ID here")
    else:
        return True
    return False


def _begin(
    target: Target,
    record: EvaluationDatasetRecord,
    fit: Fit,
    tags: dict[str, str],
    before: WrittenValues,
    *,
    is_here: bool,
) -> None:
    """Create the dataset, and remember that it is ours: its rows follow in several transactions."""
    name = fit.text(Entity.EVALUATION_DATASET, "its name", record.name, limits.MAX_EVALUATION_DATASET_NAME)
    user = target.plan.user(record.user)
    dataset = EvaluationDataset(
        record.id,
        name,
        _digest(record),
        record.created_ms,
        record.updated_ms,
        fit.optional(Entity.EVALUATION_DATASET, "its schema", record.schema),
        fit.optional(Entity.EVALUATION_DATASET, "its profile", record.profile),
        user,
        target.plan.user(record.updated_by),
        tags,
    )
    with target.project.write() as tx:
        if not is_here:
            datasets.create(tx, dataset)
        else:
            there = datasets.tags_of(tx, [record.id]).get(record.id, {})
            datasets.put_tags(tx, record.id, changes(fit, Entity.EVALUATION_DATASET, tags, there, before))
            datasets.change(tx, record.id, schema=dataset.schema, profile=dataset.profile)
        datasets.add_experiments(
            tx, record.id, [target.experiments[one] for one in record.experiment_ids if one in target.experiments]
        )
        begun = Imported(record.id, "", {}, digests_of([(f"tag:{key}", value) for key, value in tags.items()]))
        imported.put(tx, Entity.EVALUATION_DATASET, target.origin_id, [(record.id, begun)])


def _digest(record: EvaluationDatasetRecord) -> str:
    return (record.digest or digest_of(record.name, record.updated_ms))[:64]


def _bring_rows(target: Target, record: EvaluationDatasetRecord, fit: Fit) -> int:
    """Write the rows, and return how many the source has."""
    seen: dict[str, str] = {}
    count = 0
    for batch in batches(target.source.evaluation_rows(record), _ROWS_AT_ONCE):
        count += len(batch)
        found = [row for one in batch if (row := _row(target, record, one, fit, seen)) is not None]
        rows = list({row.id: row for row in found}.values())  # PostgreSQL can't write a row twice in one statement
        if rows and not target.dry_run:
            with target.project.write() as tx:
                there = records.by_inputs(tx, record.id, [inputs_digest(row.inputs) for row in rows])
                clashing = {
                    one.id for one in rows if (old := there.get(inputs_digest(one.inputs))) and old.id != one.id
                }
                for one in clashing:
                    fit.say(Loss.CLASH, Entity.EVALUATION_ROW, f"the row {one!r}: another row here has the same inputs")
                records.put(tx, [row for row in rows if row.id not in clashing])
    return count


def _row(
    target: Target, record: EvaluationDatasetRecord, one: EvaluationRowRecord, fit: Fit, seen: dict[str, str]
) -> Record | None:
    if why := _refusal(one, seen):
        fit.say(Loss.REFUSED, Entity.EVALUATION_ROW, f"the row {one.id[:80]!r}: {why}")
        return None
    source = one.source if isinstance(one.source, dict) else None
    kind, named = _source_of(source)
    return Record(
        one.id,
        record.id,
        one.inputs,
        one.created_ms,
        one.updated_ms,
        one.outputs,
        one.expectations if isinstance(one.expectations, dict) else None,
        one.tags if isinstance(one.tags, dict) else {},
        source,
        kind,
        named,
        target.plan.user(one.user),
        target.plan.user(one.updated_by),
    )


def _refusal(one: EvaluationRowRecord, seen: dict[str, str]) -> str:
    size = len(json.dumps([one.inputs, one.outputs, one.expectations, one.tags, one.source], default=str))
    if not isinstance(one.inputs, dict):
        return "its inputs are not a JSON object"
    if not one.id or len(one.id) > _MAX_ID:
        return f"its ID is empty or has more than {_MAX_ID} characters"
    if size > limits.MAX_RECORD:
        return f"it has {size:,} characters, and may have {limits.MAX_RECORD:,}"
    if len(seen) >= limits.MAX_RECORDS:
        return f"a dataset has at most {limits.MAX_RECORDS:,} rows"
    if seen.setdefault(inputs_digest(one.inputs), one.id) != one.id:
        return "another row has the same inputs"
    return ""


def _source_of(source: dict[str, Any] | None) -> tuple[str | None, str | None]:
    """Return the type and the id of what a row was made from."""
    kind = (source or {}).get("source_type")
    data = (source or {}).get("source_data")
    named = data.get("trace_id" if kind == "TRACE" else "source_id") if isinstance(data, dict) else None
    return str(kind)[:32] if kind else None, None if named is None else str(named)
