"""Say the same otherwise, as other clients do: fields by their JSON names, and a query as the body of a GET."""

import copy
from typing import Any

from mltrail_server.mlflow_api.messages import json_name

from .model import Call, World

_SHARE_BODIES = 0.3
_NO_MESSAGES = (
    "get-history-bulk",
    "search-datasets",
    "mlflow-artifacts",
    "get-artifact",
    "upload-artifact",
    "models/search",
    "online-configs",
    "api/2.0/mlflow/traces",
    "calculate-filter-correlation",
)
"""Here MLflow reads the request itself, by the fields' own names, or wants them so."""

_AS_THEY_ARE = frozenset(
    {
        "run_id",
        "run_uuid",
        "experiment_id",
        "experiment_name",
        "new_name",
        "metric_key",
        "model_id",
        "model_json",
        "serialized_scorer",
        "update_mask",
        "trace_ids",
    }
)
"""MLflow's own look at what is required knows these by one name only."""


def respelt(world: World, call: Call) -> Call:
    """Spell a call in another way that means the same to MLflow."""
    if any(part in call.path for part in _NO_MESSAGES):
        return call
    other = copy.deepcopy(call)
    if other.query and world.rng.random() < _SHARE_BODIES:
        other.json, other.query = other.query, None
    if other.query is None and other.data is None:
        other.json = _camel(other.json)
    return other


def _camel(value: Any) -> Any:
    if isinstance(value, dict):
        return {key if key in _AS_THEY_ARE else json_name(key): _camel(inner) for key, inner in value.items()}
    return [_camel(inner) for inner in value] if isinstance(value, list) else value
