"""Turn an answer into what has to be equal on both sides."""

import re
from typing import Any

from .model import Answer, World

_MADE_BY_SERVERS = frozenset(
    {
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
_SORTED_BY_KEY = frozenset({"tags", "params", "aliases", "dataset_inputs", "model_inputs", "model_outputs", "models_"})
_LONG_ID = re.compile(r"m-[0-9a-f]{32}|[0-9a-f]{32}")
_RANDOM_NAME = re.compile(r"[a-z]+-[a-z]+-\d+")


def normal(answer: Answer, world: World, side: str) -> dict[str, Any]:
    symbols = {one: symbol for symbol, one in world.ids[side].items()}
    body = answer.body
    if answer.status >= 400:
        return {"status": answer.status, "error_code": answer.error_code}
    return {"status": answer.status, "body": _value(body, symbols, "")}


def _value(value: Any, symbols: dict[str, str], key: str) -> Any:
    if isinstance(value, dict):
        found = {}
        for name, inner in value.items():
            if name in _MADE_BY_SERVERS:
                continue
            shown = bool(inner) if name == "next_page_token" else _value(inner, symbols, name)
            if shown not in (None, [], {}, ""):
                found[name] = shown
        return _metrics_in_order(_without_random_name(found))
    if isinstance(value, list):
        items = [_value(one, symbols, key) for one in value]
        return sorted(items, key=repr) if key in _SORTED_BY_KEY else items
    if isinstance(value, str):
        if key == "experiment_id":
            return symbols.get(value, value)
        return _LONG_ID.sub(lambda match: symbols.get(match[0], "⟦unknown⟧"), value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _without_random_name(found: dict[str, Any]) -> dict[str, Any]:
    """Servers give runs without a name a random one."""
    if found.get("key") == "mlflow.runName" and _RANDOM_NAME.fullmatch(str(found.get("value"))):
        return found | {"value": "⟦random⟧"}
    if _RANDOM_NAME.fullmatch(str(found.get("run_name"))):
        return found | {"run_name": "⟦random⟧"}
    return found


def _metrics_in_order(found: dict[str, Any]) -> dict[str, Any]:
    """The latest metrics of a run come in no order; a history comes in one."""
    if "metrics" in found and ("params" in found or "tags" in found) and isinstance(found["metrics"], list):
        return found | {"metrics": sorted(found["metrics"], key=repr)}
    return found
