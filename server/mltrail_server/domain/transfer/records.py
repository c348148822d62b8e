"""The records of a history, in one shape for all kinds of sources.

Ids and names are the source's own. Times are milliseconds since the epoch. A value that the source does not have is
None; nothing is filled in here. Texts are as the source has them: what does not fit here is found, and reported, where
it is written.
"""

from dataclasses import dataclass, field
from typing import Any

Point = tuple[str, str, int, int, float]
"""A value of a metric: run id, key, step, timestamp, value. NaN and both infinities are floats."""


@dataclass(frozen=True, slots=True)
class ExperimentRecord:
    """`artifact_location` is the URI of the folder of its runs' files."""

    id: str
    name: str
    deleted: bool = False
    created_ms: int | None = None
    updated_ms: int | None = None
    artifact_location: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DatasetRecord:
    """A dataset that a run used. `tags` are those of its use, such as `mlflow.data.context`."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None = None
    profile: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelLink:
    """A logged model that a run has read or made."""

    model_id: str
    step: int = 0


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run without its histories and files.

    `status` is MLflow's word (RUNNING, FINISHED, …). `latest` holds the newest point of each metric as the source tells
    it. `points` is the number of its points, if the source can tell it without reading them. `artifact_uri` is where
    its files lie. `job_id` is the GitLab job that the source ties it to: a claim, whatever the source thinks of it.
    `newest_only` says that `Source.points` returns only the newest points, though there may be more.
    """

    id: str
    experiment_id: str
    name: str
    user: str
    status: str
    started_ms: int | None
    ended_ms: int | None
    deleted: bool
    artifact_uri: str
    deleted_ms: int | None = None
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    latest: tuple[Point, ...] = ()
    points: int | None = None
    datasets: tuple[DatasetRecord, ...] = ()
    model_inputs: tuple[ModelLink, ...] = ()
    model_outputs: tuple[ModelLink, ...] = ()
    job_id: int | None = None
    newest_only: bool = False


@dataclass(frozen=True, slots=True)
class ModelMetricRecord:
    """A metric of a logged model, measured by a run on a dataset (both may be empty)."""

    run_id: str
    key: str
    step: int
    timestamp_ms: int
    value: float
    dataset_name: str = ""
    dataset_digest: str = ""


@dataclass(frozen=True, slots=True)
class LoggedModelRecord:
    """A model of MLflow 3. `status` is MLflow's word (READY, PENDING, UPLOAD_FAILED)."""

    id: str
    experiment_id: str
    name: str
    model_type: str
    source_run_id: str
    status: str
    created_ms: int
    updated_ms: int
    artifact_uri: str
    status_message: str | None = None
    deleted: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    metrics: tuple[ModelMetricRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A registered model, or a prompt: that is one with the tag `mlflow.prompt.is_prompt`.

    `aliases` maps each alias to a version's number. `last_number` is the highest number ever given out, if the source
    knows it.
    """

    name: str
    created_ms: int | None = None
    updated_ms: int | None = None
    description: str | None = None
    user: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    last_number: int | None = None


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """A version of a registered model.

    `source` is what its client gave, `storage_location` where its files really lie, `logged_model_id` an id `m-…`.
    `semver` is GitLab's name for it. `stage` is MLflow's (None, Staging, Production, Archived),
    and so is `status` (READY, …).
    """

    model: str
    number: int
    created_ms: int | None = None
    updated_ms: int | None = None
    source: str = ""
    storage_location: str | None = None
    run_id: str | None = None
    run_link: str | None = None
    logged_model_id: str | None = None
    description: str | None = None
    user: str = ""
    stage: str = "None"
    status: str = "READY"
    status_message: str | None = None
    semver: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AssessmentRecord:
    """What a person or a scorer says about a trace. `kind` is feedback, expectation or issue; `value` any
    JSON value.
    """

    id: str
    name: str
    kind: str
    value: Any
    source_type: str
    source_id: str
    created_ms: int
    updated_ms: int
    error: dict[str, Any] | None = None
    rationale: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    span_id: str | None = None
    overrides: str | None = None
    valid: bool = True


@dataclass(frozen=True, slots=True)
class TraceRecord:
    """A trace without its spans. `state` is MLflow 3's word (OK, ERROR, IN_PROGRESS, STATE_UNSPECIFIED).

    `run_ids` are the runs that it was linked to, beside the one of its metadata. `artifact_uri` is the folder with
    `traces.json`, if its spans lie there.
    """

    id: str
    experiment_id: str
    state: str
    started_ms: int
    duration_ms: int | None = None
    client_request_id: str | None = None
    request_preview: str | None = None
    response_preview: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    assessments: tuple[AssessmentRecord, ...] = ()
    run_ids: tuple[str, ...] = ()
    artifact_uri: str | None = None


FileOwner = RunRecord | LoggedModelRecord | VersionRecord | TraceRecord
"""What has files. Those of a trace are its attachments: all but its `traces.json`."""


@dataclass(frozen=True, slots=True)
class EvaluationRowRecord:
    """A record of an evaluation dataset. All but the ids and times are JSON values."""

    id: str
    inputs: Any
    outputs: Any = None
    expectations: Any = None
    tags: Any = None
    source: Any = None
    user: str = ""
    updated_by: str = ""
    created_ms: int = 0
    updated_ms: int = 0


@dataclass(frozen=True, slots=True)
class EvaluationDatasetRecord:
    """A dataset that evaluations read, kept by the server. `schema` and `profile` are JSON texts."""

    id: str
    name: str
    digest: str | None
    created_ms: int
    updated_ms: int
    user: str = ""
    updated_by: str = ""
    schema: str | None = None
    profile: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    experiment_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScorerRecord:
    """A version of a scorer. `serialized` is JSON, made and read by clients."""

    id: str
    experiment_id: str
    name: str
    version: int
    serialized: str
    created_ms: int
    user: str = ""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file of a run, a logged model, a version or a trace.

    `path` is relative to its owner's folder; `uri` is what `Source.open` needs, in words of the source. `size` is in
    bytes, `sha256` in hexadecimal, if the source tells them.
    """

    path: str
    uri: str
    size: int | None = None
    sha256: str | None = None
