"""Turn an answer into what has to be equal on both sides."""

import json
import re
from typing import Any

from .model import Answer, World

_MADE_BY_SERVERS = frozenset(
    {
        "created_time",
        "creation_time",
        "last_update_time",
        "creation_timestamp",
        "last_updated_timestamp",
        "creation_timestamp_ms",
        "last_updated_timestamp_ms",
        "artifact_location",
        "artifact_uri",
        "root_uri",
        "user_id",
        "message",
        "upload_id",
    }
)
_SORTED_BY_KEY = frozenset(
    {
        "latest_versions",
        "tags",
        "params",
        "aliases",
        "dataset_inputs",
        "dataset_summaries",
        "model_inputs",
        "model_outputs",
        "experiment_ids",
        "request_metadata",
        "assessments",
    }
)
_LONG_ID = re.compile(r"(?:m|tr|a|d|dr)-[0-9a-f]{32}|[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_JSON_TEXTS = frozenset({"tags", "schema", "profile", "records"})
_IN_EXPERIMENT = re.compile(r"mlflow-artifacts:/(\d+)/")
_RANDOM_NAME = re.compile(r"[a-z]+-[a-z]+-\d+")


def normal(answer: Answer, world: World, side: str) -> dict[str, Any]:
    symbols = {one: symbol for symbol, one in world.ids[side].items()}
    body = answer.body
    if answer.status >= 400:
        return {"status": answer.status, "error_code": answer.error_code}
    return {"status": answer.status, "body": _value(body, symbols, "")}


def _value(value: Any, symbols: dict[str, str], key: str) -> Any:
    if isinstance(value, dict):
        return _metrics_in_order(_without_random_name(_fields(value, symbols)))
    if isinstance(value, list):
        items = [_value(one, symbols, key) for one in value]
        return sorted(items, key=repr) if key in _SORTED_BY_KEY else items
    if isinstance(value, str):
        return _text(value, symbols, key)
    if key == "experiment_id" and isinstance(value, int):
        return symbols.get(str(value), value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _fields(value: dict[str, Any], symbols: dict[str, str]) -> dict[str, Any]:
    """Leave out what servers make, and what is empty: protocol buffers don't tell it from what is absent."""
    found = {}
    # The digest of an evaluation dataset is made of its time.
    made = _MADE_BY_SERVERS | {"digest"} if "dataset_id" in value else _MADE_BY_SERVERS
    of_logged_model = isinstance(value.get("info"), dict) and "model_id" in value["info"]
    for name, inner in value.items():
        if name == "data" and of_logged_model and isinstance(inner, dict) and "metrics" in inner:
            inner = inner | {"metrics": _newest(inner["metrics"])}  # noqa: PLW2901 - what is compared of it
        if name not in made:
            shown = bool(inner) or None if name == "next_page_token" else _value(inner, symbols, name)
            if shown not in (None, [], {}, "") and not (name == "file_size" and not shown):
                found[name] = shown
    return found


def _text(value: str, symbols: dict[str, str], key: str) -> Any:
    if key in ("experiment_id", "experiment_ids"):
        return symbols.get(value, value)
    if key in _JSON_TEXTS and value.startswith(("[", "{")):
        return _value(json.loads(value), symbols, "")
    if key == "value" and value.startswith("[{"):
        return _value(json.loads(value), symbols, "")  # the history of logged models, written with other blanks
    value = _IN_EXPERIMENT.sub(lambda match: f"mlflow-artifacts:/{symbols.get(match[1], match[1])}/", value)
    return _LONG_ID.sub(lambda match: symbols.get(match[0], "⟦unknown⟧"), value)


def _newest(metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep the newest value of a logged model's metrics: MLflow shows all that were logged, mltrail the newest ones."""
    in_order = sorted(metrics, key=lambda one: (int(one.get("step", 0)), int(one.get("timestamp", 0))))
    named = ("key", "run_id", "dataset_name", "dataset_digest")
    return list({tuple(one.get(name) for name in named): one for one in in_order}.values())


def _without_random_name(found: dict[str, Any]) -> dict[str, Any]:
    """Servers give runs without a name a random one."""
    if found.get("key") == "mlflow.runName" and _RANDOM_NAME.fullmatch(str(found.get("value"))):
        return found | {"value": "⟦random⟧"}
    random = [name for name in ("run_name", "name") if _RANDOM_NAME.fullmatch(str(found.get(name)))]
    return found | dict.fromkeys(random, "⟦random⟧")


def _metrics_in_order(found: dict[str, Any]) -> dict[str, Any]:
    """The latest metrics of a run come in no order; a history comes in one."""
    if "metrics" in found and ("params" in found or "tags" in found) and isinstance(found["metrics"], list):
        return found | {"metrics": sorted(found["metrics"], key=repr)}
    return found
