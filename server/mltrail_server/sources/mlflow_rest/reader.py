"""The reader as an import sees it; its parts are in the other files."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from mltrail_server.domain.transfer import (
    Counts,
    EvaluationDatasetRecord,
    EvaluationRowRecord,
    ExperimentRecord,
    FileOwner,
    FileRecord,
    Findings,
    LoggedModelRecord,
    ModelRecord,
    Point,
    RunRecord,
    ScorerRecord,
    TraceRecord,
    VersionRecord,
)
from mltrail_server.sources.artifacts import Access, Artifacts
from mltrail_server.sources.credentials import Credentials
from mltrail_server.sources.http import Rest
from mltrail_server.sources.patience import Patience
from mltrail_server.sources.workers import Workers

from .counting import Counting
from .evaluations import Evaluations
from .files import Files
from .histories import Histories
from .registry import Registry
from .server import Server, base_url
from .tracking import Tracking


class MlflowRest:
    """A `domain.transfer.Source`: an MLflow server, or another mltrail, at a base URL (MLFLOW_TRACKING_URI).

    `verify` is True, False, or the file with an authority's certificate. `access` is for files that the server itself
    can't read.
    """

    kind = "mlflow"

    def __init__(
        self,
        url: str,
        findings: Findings,
        credentials: Credentials | None = None,
        *,
        access: Access | None = None,
        patience: Patience | None = None,
        verify: bool | str = True,
        threads: int = 4,
    ) -> None:
        base, workspace = base_url(url)
        headers = {"X-MLFLOW-WORKSPACE": workspace} if workspace else {}
        self._rest = Rest(base, credentials, patience=patience, verify=verify, headers=headers)
        self._workers = Workers(threads, 2 * threads)
        self._artifacts = Artifacts(findings, access or Access(), server=self._rest)
        self._server = Server(self._rest, findings, self._workers)
        self._tracking = Tracking(self._server)
        self._histories = Histories(self._server)
        self._registry = Registry(self._server)
        self._files = Files(self._server, self._artifacts)
        self._evaluations = Evaluations(self._server, self._tracking, self._files)
        self.address = self._rest.url

    @property
    def calls(self) -> int:
        """How many requests were sent."""
        return self._rest.calls

    def describe(self) -> str:
        return self._server.describe()

    def experiments(self) -> Iterator[ExperimentRecord]:
        yield from self._tracking.experiments()

    def runs(self, experiment: ExperimentRecord) -> Iterator[RunRecord]:
        yield from self._tracking.runs(experiment)

    def points(self, runs: Sequence[RunRecord]) -> Iterator[list[Point]]:
        self._files.expect(runs)
        yield from self._histories.of(runs)

    def logged_models(self, experiment: ExperimentRecord) -> Iterator[LoggedModelRecord]:
        yield from self._tracking.logged_models(experiment)

    def traces(self, experiment: ExperimentRecord) -> Iterator[TraceRecord]:
        yield from self._evaluations.traces(experiment)

    def spans(self, trace: TraceRecord) -> bytes | None:
        return self._evaluations.spans(trace)

    def scorers(self, experiment: ExperimentRecord) -> Iterator[ScorerRecord]:
        yield from self._evaluations.scorers(experiment)

    def evaluation_datasets(self) -> Iterator[EvaluationDatasetRecord]:
        yield from self._evaluations.datasets()

    def evaluation_rows(self, dataset: EvaluationDatasetRecord) -> Iterator[EvaluationRowRecord]:
        yield from self._evaluations.rows(dataset)

    def models(self) -> Iterator[ModelRecord]:
        yield from self._registry.models()

    def versions(self, model: ModelRecord) -> Iterator[VersionRecord]:
        yield from self._registry.versions(model)

    def files(self, owner: FileOwner) -> Iterator[FileRecord]:
        yield from self._files.of(owner)

    def open(self, file: FileRecord) -> BinaryIO:
        return self._files.open(file)

    def totals(self) -> Counts | None:
        """Count only the runs: everything else would have to be read."""
        return Counting(self._server, self._tracking).runs()

    def close(self) -> None:
        self._workers.close()
        self._rest.close()
        self._artifacts.close()
