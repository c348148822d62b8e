"""What the MLmodel file of a model says, for people: its signature, flavors and input example.

https://mlflow.org/docs/latest/ml/model/#mlmodel-file
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import json_text

_MOST_FIELDS = 500
_MOST_TEXT = 300
_MOST_FLAVORS = 20


@dataclass(frozen=True, slots=True)
class SignatureField:
    """A column or tensor that a model takes or returns, or a parameter of its inference. `default` is a parameter's."""

    name: str
    kind: str
    required: bool = True
    default: str = ""


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """`inputs` and `outputs` are empty if the model has no signature. `example` is the path of its input example below
    the model's folder, "" if it has none.
    """

    flavors: tuple[str, ...] = ()
    inputs: tuple[SignatureField, ...] = ()
    outputs: tuple[SignatureField, ...] = ()
    params: tuple[SignatureField, ...] = ()
    example: str = ""
    mlflow_version: str = ""

    @property
    def has_signature(self) -> bool:
        return bool(self.inputs or self.outputs or self.params)

    @property
    def brief(self) -> str:
        """The signature on one line, for a table."""
        if not self.has_signature:
            return ""
        return f"{_listed(self.inputs)} → {_listed(self.outputs)}"


def described(content: Mapping[str, Any]) -> ModelDescription:
    """Read a decoded MLmodel file. What it holds is its author's, so nothing in it is relied on."""
    flavors = content.get("flavors")
    signature = content.get("signature")
    example = content.get("saved_input_example_info")
    parts = signature if isinstance(signature, dict) else {}
    return ModelDescription(
        tuple(str(name)[:_MOST_TEXT] for name in list(flavors)[:_MOST_FLAVORS]) if isinstance(flavors, dict) else (),
        _fields(parts.get("inputs")),
        _fields(parts.get("outputs")),
        _fields(parts.get("params")),
        _path(example.get("artifact_path")) if isinstance(example, dict) else "",
        str(content.get("mlflow_version") or "")[:_MOST_TEXT],
    )


def _fields(text: object) -> tuple[SignatureField, ...]:
    try:
        found = json_text.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return ()
    if not isinstance(found, list):
        return ()
    return tuple(_field(one, place) for place, one in enumerate(found[:_MOST_FIELDS]))


def _field(one: object, place: int) -> SignatureField:
    if not isinstance(one, dict):
        return SignatureField(f"#{place}", _cut(one))
    required = not (one.get("required") is False or one.get("optional") is True or "default" in one)
    default = _cut(json.dumps(one["default"], ensure_ascii=False)) if "default" in one else ""
    return SignatureField(_cut(one.get("name") or f"#{place}"), _kind(one), required, default)


def _kind(one: Mapping[str, Any]) -> str:
    """Write a type as MLflow's documentation does: a column's name, or a tensor's dtype and shape."""
    tensor = one.get("tensor-spec")
    if isinstance(tensor, dict):
        shape = tensor.get("shape")
        sizes = ", ".join("any" if size == -1 else _cut(size) for size in shape) if isinstance(shape, list) else ""
        return _cut(f"{tensor.get('dtype', 'tensor')} ({sizes})")
    kind = one.get("type", "")
    inner = one.get("items")
    if kind == "array" and isinstance(inner, dict):
        return _cut(f"array of {inner.get('type', 'anything')}")
    return _cut(kind or one.get("dtype") or "")


def _listed(some: Sequence[SignatureField]) -> str:
    names = [one.name for one in some if not one.name.startswith("#")]
    if len(some) == 1:
        return names[0] if names else some[0].kind
    return f"{len(some)} fields" if some else "anything"


def _path(given: object) -> str:
    return given if isinstance(given, str) and len(given) <= _MOST_TEXT else ""


def _cut(value: object) -> str:
    return str(value)[:_MOST_TEXT]
