"""Runs of an MLflow database, with all but their histories."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from mltrail_server.domain.batches import batches
from mltrail_server.domain.transfer import DatasetRecord, ExperimentRecord, ModelLink, Point, RunRecord

from .opening import Reading, Rows
from .tables import Tables

_WINDOW = 50_000
_PAGE = 200
_NAME = "mlflow.runName"
_COLUMNS = (
    "run_uuid",
    "name",
    "user_id",
    "status",
    "start_time",
    "end_time",
    "lifecycle_stage",
    "artifact_uri",
    "deleted_time",
)

Pairs = dict[str, dict[str, str]]


class Runs:
    """Reads runs, the oldest first, a page at a time with a few statements for all of them."""

    def __init__(self, reading: Reading, tables: Tables) -> None:
        self._reading = reading
        self._tables = tables

    def of(self, experiment: ExperimentRecord) -> Iterator[RunRecord]:
        for ids in self._ids(int(experiment.id)):
            for page in batches(ids, _PAGE):
                yield from self._page(experiment.id, page)

    def _ids(self, number: int) -> Iterator[list[str]]:
        """Return the experiment's run ids in windows. `runs` has no index for this, so each window costs a scan of all
        runs.
        """
        run = self._tables.table("runs").c
        began = sa.func.coalesce(run.start_time, 0)
        statement = (
            sa.select(run.run_uuid, began.label("began"))
            .where(run.experiment_id == number)
            .order_by(began, run.run_uuid)
            .limit(_WINDOW)
        )
        window = self._reading.rows(statement)
        while window:
            yield [one.run_uuid for one in window]
            if len(window) < _WINDOW:
                return
            last = window[-1]
            after = sa.or_(began > last.began, sa.and_(began == last.began, run.run_uuid > last.run_uuid))
            window = self._reading.rows(statement.where(after))

    def _page(self, experiment_id: str, ids: list[str]) -> Iterator[RunRecord]:
        found = {one.run_uuid: one for one in self._where("runs", _COLUMNS, ids)}
        params, tags = self._pairs("params", ids), self._pairs("tags", ids)
        latest, points = self._latest(ids), self._points(ids)
        datasets = self._datasets(ids)
        inputs, outputs = self._models("RUN_INPUT", ids), self._models("RUN_OUTPUT", ids)
        for one in (found[run_id] for run_id in ids if run_id in found):
            run_id = one.run_uuid
            yield RunRecord(
                id=run_id,
                experiment_id=experiment_id,
                name=one.name or tags[run_id].get(_NAME, ""),
                user=one.user_id or "",
                status=one.status or "",
                started_ms=one.start_time,
                ended_ms=one.end_time,
                deleted=one.lifecycle_stage == "deleted",
                artifact_uri=one.artifact_uri or "",
                deleted_ms=one.deleted_time,
                params=params[run_id],
                tags=tags[run_id],
                latest=tuple(latest[run_id]),
                points=points.get(run_id, 0),
                datasets=tuple(datasets[run_id]),
                model_inputs=tuple(inputs[run_id]),
                model_outputs=tuple(outputs[run_id]),
            )

    def _where(self, name: str, columns: Sequence[str], ids: list[str]) -> Rows:
        wanted = self._tables.columns(name, *columns)
        return self._reading.rows(sa.select(*wanted).where(self._tables.column(name, "run_uuid").in_(ids)))

    def _pairs(self, name: str, ids: list[str]) -> Pairs:
        found: Pairs = defaultdict(dict)
        for run_id, key, value in sorted(self._where(name, ("run_uuid", "key", "value"), ids), key=lambda one: one[1]):
            found[run_id][key] = value or ""
        return found

    def _latest(self, ids: list[str]) -> dict[str, list[Point]]:
        found: dict[str, list[Point]] = defaultdict(list)
        rows = self._where("latest_metrics", ("run_uuid", "key", "step", "timestamp", "value", "is_nan"), ids)
        for run_id, key, step, timestamp, value, is_nan in sorted(rows, key=lambda one: one[1]):
            found[run_id].append((run_id, key, step, timestamp or 0, float("nan") if is_nan else value))
        return found

    def _points(self, ids: list[str]) -> dict[str, int]:
        metric = self._tables.table("metrics").c
        statement = (
            sa.select(metric.run_uuid, sa.func.count()).where(metric.run_uuid.in_(ids)).group_by(metric.run_uuid)
        )
        return dict(self._reading.rows(statement))

    def _datasets(self, ids: list[str]) -> dict[str, list[DatasetRecord]]:
        found: dict[str, list[DatasetRecord]] = defaultdict(list)
        if not self._tables.has("inputs"):
            return found
        of, data = self._tables.table("inputs").c, self._tables.table("datasets").c
        statement = (
            sa.select(
                of.destination_id,
                of.input_uuid,
                data.name,
                data.digest,
                data.dataset_source_type,
                data.dataset_source,
                data.dataset_schema,
                data.dataset_profile,
            )
            .join_from(self._tables.table("inputs"), self._tables.table("datasets"), of.source_id == data.dataset_uuid)
            .where(of.source_type == "DATASET", of.destination_type == "RUN", of.destination_id.in_(ids))
            .order_by(data.name, data.digest)
        )
        rows = self._reading.rows(statement)
        tags = self._input_tags([one.input_uuid for one in rows])
        for one in rows:
            record = DatasetRecord(
                name=one.name,
                digest=one.digest,
                source_type=one.dataset_source_type,
                source=one.dataset_source,
                schema=one.dataset_schema,
                profile=one.dataset_profile,
                tags=tags[one.input_uuid],
            )
            found[one.destination_id].append(record)
        return found

    def _input_tags(self, inputs: list[str]) -> Pairs:
        found: Pairs = defaultdict(dict)
        tag = self._tables.table("input_tags").c
        for start in range(0, len(inputs), _PAGE):
            wanted = tag.input_uuid.in_(inputs[start : start + _PAGE])
            for one in self._reading.rows(
                sa.select(tag.input_uuid, tag.name, tag.value).where(wanted).order_by(tag.name)
            ):
                found[one.input_uuid][one.name] = one.value
        return found

    def _models(self, kind: str, ids: list[str]) -> dict[str, list[ModelLink]]:
        """Return the logged models that runs have read or made."""
        found: dict[str, list[ModelLink]] = defaultdict(list)
        if not self._tables.has("inputs", "step"):
            return found
        of = self._tables.table("inputs").c
        statement = (
            sa.select(of.source_id, of.destination_id, of.step)
            .where(of.source_type == kind, of.source_id.in_(ids))
            .order_by(of.destination_id)
        )
        for run_id, model_id, step in self._reading.rows(statement):
            found[run_id].append(ModelLink(model_id, step or 0))
        return found
