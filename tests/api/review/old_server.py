"""A server that a history is imported from, without a server: it holds records."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from mltrail_server.domain.transfer import (
    Counts,
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


def a_record(number: int, value: float, *, job_id: int | None = None, **tags: str) -> RunRecord:
    """A finished run of `churn` with one metric and a seed of its own."""
    eid, points = f"{number:032x}", 1
    latest = ((eid, "val_accuracy", 0, 1_789_900_000_000 + number, value),)
    return RunRecord(
        eid,
        "1",
        f"old-{number}",
        "ada",
        "FINISHED",
        1_789_900_000_000 + number,
        1_789_900_001_000 + number,
        deleted=False,
        artifact_uri="",
        params={"lr": "0.1", "seed": str(number)},
        tags={"mlflow.runName": f"old-{number}", **tags},
        latest=latest,
        points=points,
        job_id=job_id,
    )


@dataclass
class OldServer:
    """Implements `Source`."""

    held: Sequence[RunRecord]
    champion: RunRecord | None = None
    traced: Sequence[TraceRecord] = ()
    kind: str = "mlflow"
    address: str = "https://mlflow.example.com"
    of_experiment: ExperimentRecord = field(default_factory=lambda: ExperimentRecord("1", "churn"))

    def describe(self) -> str:
        return "MLflow 2.22.1"

    def experiments(self) -> Iterator[ExperimentRecord]:
        yield self.of_experiment

    def runs(self, _experiment: ExperimentRecord) -> Iterator[RunRecord]:
        yield from self.held

    def points(self, runs: Sequence[RunRecord]) -> Iterator[list[Point]]:
        yield from ([*run.latest] for run in runs)

    def logged_models(self, _experiment: ExperimentRecord) -> Iterator[LoggedModelRecord]:
        yield from ()

    def traces(self, _experiment: ExperimentRecord) -> Iterator[TraceRecord]:
        yield from self.traced

    def spans(self, _trace: TraceRecord) -> bytes | None:
        return None

    def scorers(self, _experiment: ExperimentRecord) -> Iterator[ScorerRecord]:
        yield from ()

    def evaluation_datasets(self) -> Iterator[EvaluationDatasetRecord]:
        yield from ()

    def evaluation_rows(self, _dataset: EvaluationDatasetRecord) -> Iterator[EvaluationRowRecord]:
        yield from ()

    def models(self) -> Iterator[ModelRecord]:
        if self.champion is not None:
            yield ModelRecord("churn", 1, 1, aliases={"champion": 3}, last_number=3)

    def versions(self, _model: ModelRecord) -> Iterator[VersionRecord]:
        if self.champion is not None:
            yield VersionRecord("churn", 3, 1, 1, "s3://old/churn", run_id=self.champion.id)

    def files(self, _owner: FileOwner) -> Iterator[FileRecord]:
        yield from ()

    def open(self, _file: FileRecord) -> BinaryIO:
        return io.BytesIO()

    def totals(self) -> Counts | None:
        return None

    def close(self) -> None:
        pass
