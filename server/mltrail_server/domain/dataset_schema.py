"""The columns of a dataset, and what differs between two, as MLflow logs them.

https://mlflow.org/docs/latest/ml/dataset/
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import json_text

_LONGEST_TYPE = 200


@dataclass(frozen=True, slots=True)
class SchemaColumn:
    name: str
    type: str
    required: bool = True

    @property
    def kind(self) -> str:
        return self.type if self.required else f"{self.type}, optional"


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """What became of the columns. `changed` are their names with the type before and now."""

    added: Sequence[SchemaColumn] = ()
    removed: Sequence[SchemaColumn] = ()
    changed: Sequence[tuple[str, str, str]] = ()
    moved: bool = False  # the same columns, in another order

    @property
    def is_none(self) -> bool:
        return not (self.added or self.removed or self.changed or self.moved)


def columns(text: str | None) -> list[SchemaColumn] | None:
    """Read a schema; None if there is none or it is of no known form."""
    try:
        schema = json_text.loads(text or "")
    except (ValueError, RecursionError):
        return None
    if not isinstance(schema, dict):
        return None
    if isinstance(listed := schema.get("mlflow_colspec"), list):
        return _all(listed, "")
    if isinstance(parts := schema.get("mlflow_tensorspec"), dict):
        return _tensors(parts)
    return None


def change(before: Sequence[SchemaColumn], after: Sequence[SchemaColumn]) -> SchemaChange:
    old, new = ({one.name: one for one in side} for side in (before, after))
    changed = [(name, old[name].kind, one.kind) for name, one in new.items() if name in old and old[name] != one]
    shared = [[name for name in side if name in other] for side, other in ((old, new), (new, old))]
    return SchemaChange(
        [one for name, one in new.items() if name not in old],
        [one for name, one in old.items() if name not in new],
        changed,
        shared[0] != shared[1],
    )


def _all(listed: Sequence[object], prefix: str) -> list[SchemaColumn]:
    return [_column(one, f"{prefix}{place}", prefix) for place, one in enumerate(listed) if isinstance(one, dict)]


def _column(one: Mapping[str, object], unnamed: str, prefix: str) -> SchemaColumn:
    name = one.get("name")
    spec = one.get("tensor-spec")
    kind = one.get("type")
    if isinstance(spec, dict):
        shown = f"{spec.get('dtype')} {spec.get('shape')}"
    elif isinstance(kind, str) and not one.get("items") and not one.get("properties"):
        shown = kind
    else:
        shown = json.dumps({key: one[key] for key in one if key not in ("name", "required")}, ensure_ascii=False)
    return SchemaColumn(
        f"{prefix}{name}" if isinstance(name, str) else unnamed, shown[:_LONGEST_TYPE], one.get("required") is not False
    )


def _tensors(parts: Mapping[str, object]) -> list[SchemaColumn] | None:
    """Read features and targets, each of which is a schema in JSON or in a JSON text."""
    found: list[SchemaColumn] = []
    for part in ("features", "targets"):
        inner = parts.get(part)
        if isinstance(inner, str):
            try:
                inner = json_text.loads(inner)
            except (ValueError, RecursionError):
                return None
        if isinstance(inner, list):
            found += _all(inner, f"{part}/")
    return found
