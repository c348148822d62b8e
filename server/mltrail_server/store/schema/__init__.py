"""The tables, in one namespace: `schema.candidate`, `schema.metric`, …"""

from .base import METADATA, sort_by_bytes
from .ci import candidate_job, due, job, merge_request, pipeline
from .faces import commit_status, gate_override, gate_refusal, gate_thread, red_verdict, regression_issue, webhook
from .files import blob, file, upload
from .registry import (
    alias_event,
    candidate_model,
    logged_model,
    logged_model_metric,
    logged_model_param,
    logged_model_tag,
    model,
    model_alias,
    model_tag,
    model_version,
    model_version_tag,
    promotion,
)
from .tracking import (
    candidate,
    candidate_dataset,
    candidate_dataset_tag,
    candidate_tag,
    counter,
    dataset,
    experiment,
    experiment_tag,
    latest_metric,
    metric,
    metric_key,
    param,
    project,
)
from .web import web_session

sort_by_bytes(METADATA)

__all__ = [
    "METADATA",
    "alias_event",
    "blob",
    "candidate",
    "candidate_dataset",
    "candidate_dataset_tag",
    "candidate_job",
    "candidate_model",
    "candidate_tag",
    "commit_status",
    "counter",
    "dataset",
    "due",
    "experiment",
    "experiment_tag",
    "file",
    "gate_override",
    "gate_refusal",
    "gate_thread",
    "job",
    "latest_metric",
    "logged_model",
    "logged_model_metric",
    "logged_model_param",
    "logged_model_tag",
    "merge_request",
    "metric",
    "metric_key",
    "model",
    "model_alias",
    "model_tag",
    "model_version",
    "model_version_tag",
    "param",
    "pipeline",
    "project",
    "promotion",
    "red_verdict",
    "regression_issue",
    "upload",
    "web_session",
    "webhook",
]
