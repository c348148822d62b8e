"""A run as MLflow's clients read it.

https://mlflow.org/docs/latest/api_reference/rest-api.html#run
"""

from collections.abc import Iterable

import msgspec

from mltrail_server.domain.candidate import Point
from mltrail_server.domain.latest import Row
from mltrail_server.domain.paths import join
from mltrail_server.services.tracking.candidates import CandidateData
from mltrail_server.store.files.files import FolderEntry
from mltrail_server.store.tracking.candidates import Candidate
from mltrail_server.store.tracking.inputs import Dataset, Direction
from mltrail_server.store.tracking.metrics import Reading

from .wire import stage_name

Shape = dict[str, object]


def run(logged: CandidateData) -> Shape:
    inputs: Shape = {}
    if logged.datasets:
        inputs["dataset_inputs"] = [_dataset(dataset) for dataset in logged.datasets]
    taken = [{"model_id": link.model_id} for link in logged.models if link.direction is Direction.INPUT]
    if taken:
        inputs["model_inputs"] = taken
    outputs: Shape = {}
    given = [
        {"model_id": link.model_id, "step": link.step} for link in logged.models if link.direction is Direction.OUTPUT
    ]
    if given:
        outputs["model_outputs"] = given
    # Shown even if empty, as in GitLab: scripts iterate over them.
    data: Shape = {
        "metrics": metrics(logged.metrics.rows),
        "params": msgspec.Raw(logged.params.json.encode()),
        "tags": msgspec.Raw(logged.tags.json.encode()),
    }
    return {"info": info(logged.candidate), "data": data, "inputs": inputs, "outputs": outputs}


def info(candidate: Candidate) -> Shape:
    shape: Shape = {
        "run_uuid": candidate.eid,
        "run_id": candidate.eid,
        "run_name": candidate.name,
        "experiment_id": str(candidate.experiment_iid),
        "user_id": candidate.user_name,
        "status": candidate.status.name,
        "start_time": candidate.started_ms,
        "artifact_uri": artifact_uri(candidate),
        "lifecycle_stage": stage_name(candidate.stage),
    }
    if candidate.ended_ms is not None:
        shape["end_time"] = candidate.ended_ms
    return shape


def artifact_uri(candidate: Candidate) -> str:
    return candidate.elsewhere or f"mlflow-artifacts:/{candidate.experiment_iid}/{candidate.eid}/artifacts"


class Metric(msgspec.Struct, gc=False):
    """A page of a history has tens of thousands, and creating and encoding a struct takes half the time of a dict."""

    key: str
    value: float | str
    timestamp: int
    step: int


def metric(point: Point) -> Shape:
    return {name: getattr(one, name) for one in metrics([point]) for name in one.__struct_fields__}


def metrics(points: Iterable[Point | Row]) -> list[Metric]:
    """Show points; NaN becomes text, since JSON has no NaN."""
    return [
        Metric(key, "NaN" if value != value else value, at, step)  # noqa: PLR0124 - only NaN differs from itself
        for key, value, at, step in points
    ]


def readings(key: str, found: Iterable[Reading]) -> list[Metric]:
    return [Metric(key, "NaN" if value is None else value, at, step) for value, at, step in found]


def pairs(items: list[tuple[str, str]]) -> list[Shape]:
    return [{"key": key, "value": value} for key, value in items]


def _dataset(dataset: Dataset) -> Shape:
    shape: Shape = {
        "name": dataset.name,
        "digest": dataset.digest,
        "source_type": dataset.source_type,
        "source": dataset.source,
    }
    if dataset.schema is not None:
        shape["schema"] = dataset.schema
    if dataset.profile is not None:
        shape["profile"] = dataset.profile
    return {"tags": pairs(list(dataset.tags)), "dataset": shape}


def entry(one: FolderEntry, folder: str = "") -> Shape:
    """Show an entry of a folder; `folder` is put before the name for clients that expect the whole path."""
    shape: Shape = {"path": join(folder, one.name) if folder else one.name, "is_dir": one.size is None}
    if one.size is not None:
        shape["file_size"] = one.size
    return shape
