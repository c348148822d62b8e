"""The reader as an import sees it. GitLab has neither traces nor logged models, and what is deleted there is gone."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from mltrail_server.domain.transfer import (
    Counts,
    Entity,
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
from mltrail_server.sources.credentials import Credentials
from mltrail_server.sources.http import Rest
from mltrail_server.sources.patience import Patience
from mltrail_server.sources.workers import Workers

from .files import Files
from .project import Project
from .registry import Registry
from .runs import Runs


class GitLabExperiments:
    """A `domain.transfer.Source`: the experiments and models of a project in GitLab, given by its path or ID."""

    kind = "gitlab"

    def __init__(
        self,
        url: str,
        project: str,
        findings: Findings,
        credentials: Credentials | None = None,
        *,
        patience: Patience | None = None,
        verify: bool | str = True,
        threads: int = 4,
    ) -> None:
        self._rest = Rest(url.strip().rstrip("/"), credentials, patience=patience, verify=verify)
        self._workers = Workers(threads, 2 * threads)
        self._project = Project(self._rest, findings, self._workers, project)
        self._rest.probe = lambda: self._rest.ask_once("GET", "api/v4/projects", {"per_page": 1, "simple": "true"})
        self._registry = Registry(self._project)
        self._runs = Runs(self._project, self._registry)
        self._files = Files(self._project, self._registry)
        self.address = f"{self._rest.url}/{project.strip().strip('/')}"

    def describe(self) -> str:
        return self._project.describe()

    def experiments(self) -> Iterator[ExperimentRecord]:
        yield from self._runs.experiments()

    def runs(self, experiment: ExperimentRecord) -> Iterator[RunRecord]:
        yield from self._runs.of(experiment)

    def points(self, runs: Sequence[RunRecord]) -> Iterator[list[Point]]:
        yield from self._runs.points(runs)

    def logged_models(self, experiment: ExperimentRecord) -> Iterator[LoggedModelRecord]:  # noqa: ARG002 - a Source's
        yield from ()

    def traces(self, experiment: ExperimentRecord) -> Iterator[TraceRecord]:  # noqa: ARG002
        yield from ()

    def spans(self, trace: TraceRecord) -> bytes | None:  # noqa: ARG002
        return None

    def scorers(self, experiment: ExperimentRecord) -> Iterator[ScorerRecord]:  # noqa: ARG002
        yield from ()

    def evaluation_datasets(self) -> Iterator[EvaluationDatasetRecord]:
        yield from ()

    def evaluation_rows(self, dataset: EvaluationDatasetRecord) -> Iterator[EvaluationRowRecord]:  # noqa: ARG002
        yield from ()

    def models(self) -> Iterator[ModelRecord]:
        yield from self._registry.models()

    def versions(self, model: ModelRecord) -> Iterator[VersionRecord]:
        yield from self._registry.versions(model)

    def files(self, owner: FileOwner) -> Iterator[FileRecord]:
        if isinstance(owner, LoggedModelRecord | TraceRecord):
            return
        with self._project.losing(Entity.FILE, Files.name_of(owner), "its files can't be listed"):
            yield from self._files.of(owner)

    def open(self, file: FileRecord) -> BinaryIO:
        return self._files.open(file)

    def totals(self) -> Counts | None:
        """Return None: GitLab gives no totals."""
        return None

    def close(self) -> None:
        self._workers.close()
        self._rest.close()
