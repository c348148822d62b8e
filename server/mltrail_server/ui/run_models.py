"""The models of a run: what goes in and comes out, an example, files, versions, and how to load each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask.typing import ResponseReturnValue

from mltrail_server.http.call import Call
from mltrail_server.services.pages import candidate, run_models
from mltrail_server.services.pages.run_models import RunModel
from mltrail_server.store.tracking.logged_models import ModelStatus

from . import run_head, values
from .previews import texts

_MOST_ROWS = 200
_MOST_TEXT = 200
_MOST_EXAMPLE = 2_000
_STATUSES = {
    ModelStatus.PENDING: ("Pending", "neutral"),
    ModelStatus.READY: ("Ready", "success"),
    ModelStatus.UPLOAD_FAILED: ("Upload failed", "danger"),
}
_PARTS = (("inputs", "Input"), ("outputs", "Output"), ("params", "Parameter"))


@dataclass(frozen=True, slots=True)
class SignatureRow:
    """A line of a signature: what goes in, comes out, or is a parameter."""

    part: str
    name: str
    type: str
    remark: str = ""


@dataclass(frozen=True, slots=True)
class ShownModel:
    """A model as the page shows it; `uri` is how MLflow names it, `files` the address of its files."""

    one: RunModel
    name: str
    uri: str
    files: str
    browse: str
    status: tuple[str, str] | None
    facts: list[tuple[str, str]]
    signature: list[SignatureRow]
    example: str = ""
    params: Sequence[tuple[str, str]] = field(default=())


def show(call: Call, iid: int) -> ResponseReturnValue:
    view = candidate.get(call.scope, iid)
    here = f"{call.pages}/candidates/{iid}"
    found = [_shown(one, here, view.run.candidate.eid) for one in run_models.of_run(call.scope, view)]
    return run_head.page(call, "run_models.html", "models", view, models=found, most=run_models.MOST)


def _shown(one: RunModel, here: str, eid: str) -> ShownModel:
    data, described = one.logged, one.described
    begun = texts.decoded(one.example, cut=True) if one.example else None
    example = texts.visible(begun.text[:_MOST_EXAMPLE]) if begun is not None else ""
    if data is None:
        uri = f"runs:/{eid}/{one.path}".rstrip("/")
        files, browse = f"{here}/files?folder=", f"{here}/browse"
        return ShownModel(
            one, one.path or "model", uri, files, browse, None, _facts(described), _signature(described), example
        )
    model = data.model
    there = f"{here}/models/{model.model_id}"
    return ShownModel(
        one,
        model.name,
        f"models:/{model.model_id}",
        "" if model.elsewhere else f"{there}/files",
        f"{there}/browse",
        _STATUSES[model.status],
        [("Type", model.model_type), *_facts(described)] if model.model_type else _facts(described),
        _signature(described),
        example,
        data.params,
    )


def _facts(described: Mapping[str, Any]) -> list[tuple[str, str]]:
    """List what the MLmodel file says of flavors and versions."""
    flavors = described.get("flavors")
    found = []
    if isinstance(flavors, dict):
        names = []
        for name, flavor in list(flavors.items())[:20]:
            version = (
                next((value for key, value in flavor.items() if key == f"{name}_version"), "")
                if isinstance(flavor, dict)
                else ""
            )
            names.append(f"{values.line(name, 60)} {values.line(version, 40)}".strip())
        found.append(("Flavors", ", ".join(names)))
        python = flavors.get("python_function")
        if isinstance(python, dict) and isinstance(python.get("python_version"), str):
            found.append(("Python", python["python_version"][:_MOST_TEXT]))
    for key, label in (("mlflow_version", "MLflow"), ("utc_time_created", "Created"), ("model_size_bytes", "Bytes")):
        if isinstance(described.get(key), (str, int)):
            found.append((label, values.line(described[key], _MOST_TEXT)))
    return found


def _signature(described: Mapping[str, Any]) -> list[SignatureRow]:
    """Read a signature, whose parts are JSON in the MLmodel file's YAML. What can't be read is left out."""
    signature = described.get("signature")
    if not isinstance(signature, dict):
        return []
    rows: list[SignatureRow] = []
    for part, label in _PARTS:
        text = signature.get(part)
        listed = values.parsed(text) if isinstance(text, str) else text
        entries = listed[:_MOST_ROWS] if isinstance(listed, list) else []
        rows += [_row(label, one) for one in entries if isinstance(one, dict)]
    return rows


def _row(label: str, one: Mapping[str, Any]) -> SignatureRow:
    name = values.line(one.get("name"), _MOST_TEXT)
    tensor = one.get("tensor-spec")
    if isinstance(tensor, dict):
        shape = values.line(tensor.get("shape"), _MOST_TEXT)
        return SignatureRow(label, name or "(unnamed)", f"tensor of {values.line(tensor.get('dtype'), 60)}", shape)
    remarks = []
    if one.get("required") is False or one.get("optional") is True:
        remarks.append("optional")
    if label == "Parameter":
        remarks.append(f"default {values.line(one.get('default'), 80) or 'none'}")
        if one.get("shape") is not None:
            remarks.append(f"shape {values.line(one['shape'], 80)}")
    return SignatureRow(label, name or "(unnamed)", _type(one), ", ".join(remarks))


def _type(one: Mapping[str, Any]) -> str:
    """Write a type; what is in arrays, maps and objects as its JSON."""
    kind = values.line(one.get("type"), 60)
    inner = one.get("items") or one.get("values") or one.get("properties")
    return f"{kind} of {values.line(inner, _MOST_TEXT)}" if inner is not None else kind
