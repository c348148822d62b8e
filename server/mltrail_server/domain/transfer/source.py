"""A place that a history is imported from."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO, Protocol

from mltrail_server.domain.errors import Code, MltrailError

from .counts import Counts
from .records import (
    EvaluationDatasetRecord,
    EvaluationRowRecord,
    ExperimentRecord,
    FileOwner,
    FileRecord,
    LoggedModelRecord,
    ModelRecord,
    Point,
    RunRecord,
    ScorerRecord,
    TraceRecord,
    VersionRecord,
)


class GoneError(MltrailError):
    """The whole source fails: it does not respond any more, or does not let us in."""

    def __init__(self, message: str, code: Code = Code.UNAVAILABLE) -> None:
        super().__init__(code, message)


class Source(Protocol):
    """Reads a history, in pages: memory does not grow with it.

    Deleted experiments, runs and logged models are part of it. One thing that can't be read (a broken file, a page
    that stays truncated after the retries) goes to the `Findings` that the source was made with, and the rest follows.
    If the whole source fails, methods raise `MltrailError` with a sentence for the operator. No text or error that
    comes from a source contains its password or token.
    """

    kind: str
    """Which reader it is: `mlflow`, `database`, `folder`, `export`, `gitlab`."""
    address: str
    """The URL or path that it reads, without user name and password."""

    def describe(self) -> str:
        """Connect, and return what was found, such as `MLflow 2.22.1` or `MLflow database, schema f4a9b2c7d1e6`."""
        ...

    def experiments(self) -> Iterator[ExperimentRecord]: ...

    def runs(self, experiment: ExperimentRecord) -> Iterator[RunRecord]:
        """Return the experiment's runs, in an order that stays the same."""
        ...

    def points(self, runs: Sequence[RunRecord]) -> Iterator[list[Point]]:
        """Return the complete histories of these runs in pages, run after run in the given order."""
        ...

    def logged_models(self, experiment: ExperimentRecord) -> Iterator[LoggedModelRecord]: ...

    def traces(self, experiment: ExperimentRecord) -> Iterator[TraceRecord]: ...

    def spans(self, trace: TraceRecord) -> bytes | None:
        """Return the content of the trace's `traces.json`; None if it has none. A loss is a finding."""
        ...

    def scorers(self, experiment: ExperimentRecord) -> Iterator[ScorerRecord]:
        """Return all versions of the experiment's scorers, oldest first."""
        ...

    def evaluation_datasets(self) -> Iterator[EvaluationDatasetRecord]: ...

    def evaluation_rows(self, dataset: EvaluationDatasetRecord) -> Iterator[EvaluationRowRecord]: ...

    def models(self) -> Iterator[ModelRecord]:
        """Return registered models and prompts."""
        ...

    def versions(self, model: ModelRecord) -> Iterator[VersionRecord]:
        """Return the model's versions, lowest number first."""
        ...

    def files(self, owner: FileOwner) -> Iterator[FileRecord]:
        """List the files of a run, a logged model or a version, folders and all, or the attachments of the trace whose
        `spans` were read last.
        """
        ...

    def open(self, file: FileRecord) -> BinaryIO:
        """Open a file, to be read once. Opening or reading it raises `MltrailError` if it can't be read."""
        ...

    def totals(self) -> Counts | None:
        """Return how much there is, for the progress display. None if counting would mean reading everything."""
        ...

    def close(self) -> None: ...
