"""This server's own project as a source of records, as its REST API shows it."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from mltrail_server.artifacts.hashing import HashingReader
from mltrail_server.domain.assessments import Assessment
from mltrail_server.domain.batches import batches
from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.gitlab_ci import JOB_TAG
from mltrail_server.domain.identity import Access, Actor, TokenKind
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.paths import Owner, TraceFile
from mltrail_server.domain.traces import Trace
from mltrail_server.domain.transfer import (
    AssessmentRecord,
    Counts,
    DatasetRecord,
    Entity,
    EvaluationDatasetRecord,
    EvaluationRowRecord,
    ExperimentRecord,
    FileOwner,
    FileRecord,
    Findings,
    LoggedModelRecord,
    Loss,
    ModelLink,
    ModelMetricRecord,
    ModelRecord,
    Point,
    RunRecord,
    ScorerRecord,
    TraceRecord,
    VersionRecord,
)
from mltrail_server.services.context.deps import Deps, Scope
from mltrail_server.services.traces import spans
from mltrail_server.services.tracking import evidence
from mltrail_server.sources.streams import checked
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.exports import history as store
from mltrail_server.store.files import files
from mltrail_server.store.registry import aliases, models
from mltrail_server.store.registry.versions import Version
from mltrail_server.store.traces import assessments, datasets, links, records, scorers, traces
from mltrail_server.store.tracking import contents, experiments, logged_models, metric_keys
from mltrail_server.store.tracking.candidates import Candidate
from mltrail_server.store.tracking.contents import Contents
from mltrail_server.store.tracking.inputs import Dataset, Direction
from mltrail_server.store.tracking.metrics import NAN

_RUNS = 200
_POINTS = 10_000
_TRACES = 100
_VERSIONS = 500
_ROWS = 1_000
_BLOB = "blob:"


class ProjectHistory:
    """Reads page by page, each in a transaction of its own, so that nobody has to wait for it."""

    kind = "mltrail"

    def __init__(self, deps: Deps, project_id: ProjectId, project_path: str, findings: Findings) -> None:
        self.address = project_path
        self._deps = deps
        self._project = deps.project(project_id)
        operator = Actor(TokenKind.LOCAL, project_id, project_path, "mltrail-server", Access.READ)
        self._scope = Scope(deps, operator)
        self._findings = findings
        self._numbers: dict[str, tuple[int, int | None, dict[int, int], dict[int, int]]] = {}
        self._amendments: dict[str, int] = {}
        self._models: dict[str, int] = {}
        self._locations: dict[tuple[str, int], str] = {}

    def describe(self) -> str:
        return f"project {self.address} of mltrail"

    def experiments(self) -> Iterator[ExperimentRecord]:
        with self._project.read() as tx:
            found = [experiments.get(tx, iid) for iid in store.experiment_iids(tx)]
        for one in found:
            if one is not None:
                yield ExperimentRecord(
                    id=str(one.iid),
                    name=one.name,
                    deleted=one.stage is Stage.DELETED,
                    created_ms=one.created_ms,
                    updated_ms=one.updated_ms,
                    artifact_location=one.artifact_location or f"mlflow-artifacts:/{one.iid}",
                    tags=dict(one.tags),
                )

    def live_runs(self, experiment: ExperimentRecord) -> list[str]:
        """Return the ids of the experiment's runs that are not deleted."""
        with self._project.read() as tx:
            return store.live_eids(tx, int(experiment.id))

    def runs(self, experiment: ExperimentRecord) -> Iterator[RunRecord]:
        after = -1
        while True:
            with self._project.read() as tx:
                rows = store.candidates(tx, int(experiment.id), after=after, limit=_RUNS)
                if not rows:
                    return
                numbers = [iid for row, _ in rows for iid in (row.iid, row.amendment_iid) if iid is not None]
                logged = contents.of(tx, numbers)
                points = store.count_points(tx, numbers)
            for candidate, deleted_ms in rows:
                after = candidate.iid
                yield self._run(candidate, deleted_ms, logged, points)

    def _run(
        self,
        candidate: Candidate,
        deleted_ms: int | None,
        logged: dict[int, Contents],
        points: dict[int, dict[int, int]],
    ) -> RunRecord:
        own, amended = logged[candidate.iid], candidate.amendment_iid
        counts, others = points.get(candidate.iid, {}), points.get(-1 if amended is None else amended, {})
        others = {key: count for key, count in others.items() if key not in counts}
        self._numbers[candidate.eid] = (candidate.iid, amended, counts, others)
        if amended is not None:
            own = own.with_amendments(logged[amended])
            self._amendments[candidate.eid] = amended
        tags = dict(own.tags)
        job = tags.get(JOB_TAG, "")
        return RunRecord(
            id=candidate.eid,
            experiment_id=str(candidate.experiment_iid),
            name=candidate.name,
            user=candidate.user_name,
            status=candidate.status.name,
            started_ms=candidate.started_ms,
            ended_ms=candidate.ended_ms,
            deleted=candidate.stage is Stage.DELETED,
            deleted_ms=deleted_ms,
            artifact_uri=candidate.elsewhere
            or f"mlflow-artifacts:/{candidate.experiment_iid}/{candidate.eid}/artifacts",
            params=dict(own.params),
            tags=tags,
            latest=tuple((candidate.eid, one.key, one.step, one.timestamp_ms, one.value) for one in own.metrics),
            points=sum(counts.values()) + sum(others.values()),
            datasets=tuple(_dataset(one) for one in own.datasets),
            model_inputs=tuple(ModelLink(one.model_id) for one in own.models if one.direction is Direction.INPUT),
            model_outputs=tuple(
                ModelLink(one.model_id, one.step) for one in own.models if one.direction is Direction.OUTPUT
            ),
            job_id=int(job) if job.isascii() and job.isdigit() else None,
        )

    def points(self, runs: Sequence[RunRecord]) -> Iterator[list[Point]]:
        for run in runs:
            iid, amended, own, others = self._numbers[run.id]
            with self._project.read() as tx:
                names = metric_keys.names_of(tx, {*own, *others})
            for number, key_id in [(iid, key) for key in own] + [(amended or 0, key) for key in others]:
                yield from self._readings(run.id, number, key_id, names[key_id])

    def _readings(self, eid: str, number: int, key_id: int, key: str) -> Iterator[list[Point]]:
        after = None
        while True:
            with self._project.read() as tx:
                page = store.points(tx, number, key_id, after=after, limit=_POINTS)
            if page:
                yield [(eid, key, step, moment, NAN if is_nan else value) for step, moment, value, is_nan in page]
            if len(page) < _POINTS:
                return
            after = page[-1]

    def logged_models(self, experiment: ExperimentRecord) -> Iterator[LoggedModelRecord]:
        with self._project.read() as tx:
            ids = store.logged_model_ids(tx, int(experiment.id))
        for part in batches(ids, _RUNS):
            with self._project.read() as tx:
                found = [logged_models.get(tx, one) for one in part]
                tags, params = logged_models.tags_of(tx, part), logged_models.params_of(tx, part)
                metrics = store.model_metrics(tx, part)
            for one in found:
                if one is not None:
                    yield LoggedModelRecord(
                        id=one.model_id,
                        experiment_id=experiment.id,
                        name=one.name,
                        model_type=one.model_type,
                        source_run_id=one.source_eid,
                        status=one.status.name,
                        created_ms=one.created_ms,
                        updated_ms=one.updated_ms,
                        artifact_uri=one.elsewhere
                        or f"mlflow-artifacts:/{experiment.id}/models/{one.model_id}/artifacts",
                        status_message=one.status_message,
                        deleted=one.stage is Stage.DELETED,
                        tags=dict(tags.get(one.model_id, ())),
                        params=dict(params.get(one.model_id, ())),
                        metrics=tuple(ModelMetricRecord(*row) for row in metrics.get(one.model_id, ())),
                    )

    def traces(self, experiment: ExperimentRecord) -> Iterator[TraceRecord]:
        after = ""
        while True:
            with self._project.read() as tx:
                ids = store.trace_ids(tx, int(experiment.id), after=after, limit=_TRACES)
                found = traces.of_ids(tx, ids)
                said = assessments.of_traces(tx, ids) if ids else {}
                runs = links.runs_of(tx, ids) if ids else {}
            if not ids:
                return
            after = ids[-1]
            for trace in found:
                yield _trace(trace, [_assessment(one) for one in said.get(trace.id, ())], runs.get(trace.id, ()))

    def spans(self, trace: TraceRecord) -> bytes | None:
        try:
            return spans.traces_json(self._scope, trace.id)
        except MltrailError as error:
            self._findings.add(Loss.MISSING, Entity.TRACE, f"trace {trace.id}", error.message)
            return None

    def scorers(self, experiment: ExperimentRecord) -> Iterator[ScorerRecord]:
        with self._project.read() as tx:
            names = store.scorer_names(tx, int(experiment.id))
            found = [one for name in names for one in scorers.versions(tx, int(experiment.id), name)]
        for one in found:
            yield ScorerRecord(
                one.scorer_id, experiment.id, one.name, one.version, one.serialized, one.created_ms, one.user_name
            )

    def evaluation_datasets(self) -> Iterator[EvaluationDatasetRecord]:
        with self._project.read() as tx:
            ids = store.evaluation_dataset_ids(tx)
        for one in ids:
            with self._project.read() as tx:
                dataset = datasets.get(tx, one)
                used_in = datasets.experiments_of(tx, one)
            if dataset is not None:
                yield EvaluationDatasetRecord(
                    id=dataset.id,
                    name=dataset.name,
                    digest=dataset.digest,
                    created_ms=dataset.created_ms,
                    updated_ms=dataset.updated_ms,
                    user=dataset.user_name,
                    updated_by=dataset.updated_by,
                    schema=dataset.schema,
                    profile=dataset.profile,
                    tags=dict(dataset.tags),
                    experiment_ids=tuple(str(iid) for iid in used_in),
                )

    def evaluation_rows(self, dataset: EvaluationDatasetRecord) -> Iterator[EvaluationRowRecord]:
        token = None
        while True:
            with self._project.read() as tx:
                page, token = records.listed(tx, dataset.id, limit=_ROWS, token=token)
            for row in page:
                yield EvaluationRowRecord(
                    id=row.id,
                    inputs=row.inputs,
                    outputs=row.outputs,
                    expectations=row.expectations,
                    tags=row.tags,
                    source=row.source,
                    user=row.user_name,
                    updated_by=row.updated_by,
                    created_ms=row.created_ms,
                    updated_ms=row.updated_ms,
                )
            if token is None:
                return

    def models(self) -> Iterator[ModelRecord]:
        with self._project.read() as tx:
            found = store.models(tx)
            tags = models.tags_of(tx, [one.id for one in found])
            names = aliases.of_models(tx, [one.id for one in found])
        for one in found:
            self._models[one.name] = one.id
            yield ModelRecord(
                name=one.name,
                created_ms=one.created_ms,
                updated_ms=one.updated_ms,
                description=one.description,
                user=one.user_name,
                tags=dict(tags.get(one.id, ())),
                aliases=dict(names.get(one.id, ())),
                last_number=one.last_number or None,
            )

    def versions(self, model: ModelRecord) -> Iterator[VersionRecord]:
        after = 0
        while True:
            with self._project.read() as tx:
                page = store.versions(tx, self._models[model.name], after=after, limit=_VERSIONS)
            for one in page:
                after = one.number
                self._locations[model.name, one.number] = one.location
                yield _version(one)
            if len(page) < _VERSIONS:
                return

    def files(self, owner: FileOwner) -> Iterator[FileRecord]:
        match owner:
            case RunRecord():
                folders = [Owner(int(owner.experiment_id), eid=owner.id).folder]
                if owner.id in self._amendments:
                    folders.append(evidence.folder(self._amendments[owner.id]))
            case LoggedModelRecord():
                folders = [Owner(int(owner.experiment_id), logged_model_id=owner.id).folder]
            case VersionRecord():
                folders = [one for one in [self._locations[owner.model, owner.number]] if one]
            case TraceRecord():
                folders = [TraceFile(int(owner.experiment_id), owner.id, "").folder]
        seen = set()
        for folder in folders:
            with self._project.read() as tx:
                found = list(self._below(tx, folder))
            for file in found:
                if file.path not in seen:
                    seen.add(file.path)
                    yield file

    def own_files(self, version: VersionRecord) -> Iterator[FileRecord]:
        """List the files that a promotion has kept for the version; others have those of a run or logged model."""
        promoted = self._locations[version.model, version.number].startswith("promotions/")
        return self.files(version) if promoted else iter(())

    def _below(self, tx: Transaction, folder: str) -> Iterator[FileRecord]:
        for file in files.below(tx, folder):
            yield FileRecord(file.path.removeprefix(f"{folder}/"), _BLOB + file.blob_id, file.size, file.sha256)

    def open(self, file: FileRecord) -> BinaryIO:
        size = file.size or 0
        chunks = self._deps.files.get(self._project.project_id, file.uri.removeprefix(_BLOB), length=size)
        return checked(file.path, HashingReader(chunks), size, OSError)

    def totals(self) -> Counts | None:
        return None

    def close(self) -> None:
        pass


def _dataset(one: Dataset) -> DatasetRecord:
    return DatasetRecord(one.name, one.digest, one.source_type, one.source, one.schema, one.profile, dict(one.tags))


def _trace(trace: Trace, said: list[AssessmentRecord], runs: Sequence[tuple[str, bool]]) -> TraceRecord:
    return TraceRecord(
        id=trace.id,
        experiment_id=str(trace.experiment_iid),
        state=trace.state.name,
        started_ms=trace.started_ms,
        duration_ms=trace.duration_ms,
        client_request_id=trace.client_request_id,
        request_preview=trace.request_preview,
        response_preview=trace.response_preview,
        tags=trace.tags,
        metadata=trace.metadata,
        assessments=tuple(said),
        run_ids=tuple(eid for eid, _ in runs),
        artifact_uri=f"mlflow-artifacts:/{TraceFile(trace.experiment_iid, trace.id, '').folder}",
    )


def _assessment(one: Assessment) -> AssessmentRecord:
    return AssessmentRecord(
        id=one.id,
        name=one.name,
        kind=one.kind.name.lower(),
        value=one.value,
        source_type=one.source_type,
        source_id=one.source_id,
        created_ms=one.created_ms,
        updated_ms=one.updated_ms,
        error=one.error,
        rationale=one.rationale,
        metadata=one.metadata,
        span_id=one.span_id,
        overrides=one.overrides,
        valid=one.valid,
    )


def _version(one: Version) -> VersionRecord:
    return VersionRecord(
        model=one.model_name,
        number=one.number,
        created_ms=one.created_ms,
        updated_ms=one.updated_ms,
        source=one.source,
        storage_location=one.elsewhere or (f"mlflow-artifacts:/{one.location}" if one.location else None),
        run_id=one.eid,
        run_link=one.run_link or None,
        logged_model_id=one.logged_model_id,
        description=one.description,
        user=one.user_name,
        stage=one.stage,
        semver=one.semver,
        tags=dict(one.tags),
    )
