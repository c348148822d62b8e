"""Measure with a sample how fast a source is, and estimate how long a full import will take. Nothing is written."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from mltrail_server.domain import quantities
from mltrail_server.domain.batches import batches
from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.terminal import plain
from mltrail_server.domain.transfer import (
    Counts,
    Entity,
    ExperimentRecord,
    FileOwner,
    LoggedModelRecord,
    RunRecord,
    Source,
)

_MOST_RUNS = 200
_MOST_RUNS_WITH_FILES = 50
_MOST_MODELS_WITH_FILES = 10
_MOST_BYTES = 64 * 1024**2
_RUNS_AT_ONCE = 50
_CHUNK = 1 << 20
_WRITTEN_POINTS_PER_SECOND = 100_000
_WRITTEN_RUNS_PER_SECOND = 500
"""What this server writes on two cores, at least, without the time of the source. See docs/explanation/scale.md."""


@dataclass(slots=True)
class Rehearsal:
    """What a sample has shown. Rates are per second; `totals` are of the whole source, counted or estimated."""

    description: str
    totals: Counts
    counted: bool
    runs: int = 0
    points: int = 0
    files: int = 0
    bytes_read: int = 0
    run_seconds: float = 0.0
    file_seconds: float = 0.0
    lost_files: int = 0

    @property
    def seconds(self) -> float:
        """How long an import of everything takes, by the sample."""
        runs, points, size = self._all_runs, self.totals[Entity.POINT], self.totals[Entity.BYTES]
        reading = self.run_seconds / self.runs * runs if self.runs else 0.0
        writing = points / _WRITTEN_POINTS_PER_SECOND + runs / _WRITTEN_RUNS_PER_SECOND
        files = self.file_seconds / self.bytes_read * size if self.bytes_read else 0.0
        return reading + writing + files

    @property
    def _all_runs(self) -> int:
        return self.totals[Entity.RUN] + self.totals[Entity.DELETED_RUN]

    def as_json(self) -> dict[str, object]:
        return {
            "description": self.description,
            "seconds": round(self.seconds),
            "counted": self.counted,
            "totals": {entity.value: count for entity, count in self.totals.of.items() if count},
            "sample": {
                "runs": self.runs,
                "points": self.points,
                "files": self.files,
                "bytes": self.bytes_read,
                "seconds_for_runs": round(self.run_seconds, 3),
                "seconds_for_files": round(self.file_seconds, 3),
                "lost_files": self.lost_files,
            },
        }

    def lines(self) -> Iterator[str]:
        yield plain(self.description)
        yield f"Sample: {self.runs:,} runs with {self.points:,} points in {quantities.duration(self.run_seconds)}"
        if self.files:
            rate = quantities.size(self.bytes_read / max(self.file_seconds, 0.001))
            took = f"{quantities.size(self.bytes_read)} in {quantities.duration(self.file_seconds)}"
            yield f"        {self.files:,} files, {took} ({rate}/s)"
        if self.lost_files:
            yield f"        {self.lost_files:,} files in the sample could not be read: a dry run lists what is missing"
        how = "" if self.counted else ", estimated from the sample"
        yield (
            f"In total: {self._all_runs:,} runs, {self.totals[Entity.POINT]:,} points, "
            f"{quantities.size(self.totals[Entity.BYTES])} of files{how}"
        )
        yield f"An import takes about {quantities.duration(self.seconds)}."


def rehearse(source: Source, clock: Callable[[], float]) -> Rehearsal:
    """Read a sample of the runs with their histories, and some of their files. `clock` is in seconds."""
    found = Rehearsal(source.describe(), Counts(), counted=False)
    experiments = list(source.experiments())
    began = clock()
    sample = list(_sample(source, experiments))
    for batch in batches(sample, _RUNS_AT_ONCE):
        found.points += sum(len(page) for page in source.points(batch))
    found.runs, found.run_seconds = len(sample), clock() - began
    with_files = sample[:: max(1, len(sample) // _MOST_RUNS_WITH_FILES)]
    of_runs = _read_files(source, with_files, found, clock)
    models, all_models = _sample_of_models(source, experiments)
    of_models = _read_files(source, models, found, clock)
    totals = source.totals()
    found.counted = totals is not None
    found.totals = totals if totals is not None else _counted(source, experiments)
    share = found.totals[Entity.RUN] + found.totals[Entity.DELETED_RUN]
    if found.runs and not found.totals[Entity.POINT]:
        found.totals.add(Entity.POINT, round(found.points / found.runs * share))
    if not found.totals[Entity.BYTES]:
        found.totals.add(Entity.BYTES, round(of_runs * share + of_models * all_models))
    return found


def _sample(source: Source, experiments: list[ExperimentRecord]) -> Iterator[RunRecord]:
    """Take runs of as many experiments as possible."""
    each = max(1, _MOST_RUNS // max(1, len(experiments)))
    left = _MOST_RUNS
    for experiment in experiments:
        for run in islice(source.runs(experiment), min(each, left)):
            left -= 1
            yield run
        if left <= 0:
            return


def _counted(source: Source, experiments: list[ExperimentRecord]) -> Counts:
    counts = Counts()
    for experiment in experiments:
        for run in source.runs(experiment):
            counts.add(Entity.DELETED_RUN if run.deleted else Entity.RUN)
            counts.add(Entity.POINT, run.points or 0)
    return counts


def _sample_of_models(source: Source, experiments: list[ExperimentRecord]) -> tuple[list[LoggedModelRecord], int]:
    """Take logged models from everywhere, and count all: their files are most of what there is since MLflow 3."""
    models = [model for experiment in experiments for model in source.logged_models(experiment)]
    return models[:: max(1, len(models) // _MOST_MODELS_WITH_FILES)], len(models)


def _read_files(source: Source, owners: Sequence[FileOwner], found: Rehearsal, clock: Callable[[], float]) -> float:
    """Read files of the sample, and return how many bytes each of its owners has on average."""
    listed = 0
    began, read, most = clock(), found.bytes_read, found.bytes_read + _MOST_BYTES
    for owner in owners:
        for file in source.files(owner):
            listed += file.size or 0
            if found.bytes_read < most:
                try:
                    with source.open(file) as stream:
                        while data := stream.read(_CHUNK):
                            found.bytes_read += len(data)
                    found.files += 1
                except (MltrailError, OSError):
                    found.lost_files += 1
    found.file_seconds += clock() - began
    return max(listed, found.bytes_read - read) / len(owners) if owners else 0.0
