"""Render a CI component as GitLab does, and refuse what GitLab refuses; other tools are more forgiving.

https://docs.gitlab.com/ci/inputs/. Inputs are put in as text before the YAML is read: strings as they are, everything
else as JSON.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

INPUT = re.compile(r"\$\[\[\s*(?P<what>.*?)\s*\]\]")
_TYPES: dict[str, type] = {"string": str, "boolean": bool, "array": list}
_KEYS = {"description", "default", "type", "options", "regex"}


class RenderError(Exception):
    """GitLab would not create the pipeline."""


def inputs_of(template: Path) -> dict[str, dict[str, Any]]:
    """The inputs that a template declares."""
    head, _ = _split(template)
    inputs: dict[str, dict[str, Any]] = head["spec"]["inputs"]
    return inputs


def body_of(template: Path) -> str:
    return _split(template)[1]


def render(template: Path, given: Mapping[str, Any]) -> Any:
    """Answer what the include adds to a pipeline's configuration. Raises `RenderError`."""
    inputs, body = inputs_of(template), body_of(template)
    if unknown := given.keys() - inputs.keys():
        raise RenderError(f"unknown input arguments: {', '.join(sorted(unknown))}")
    values = {name: _value(name, spec or {}, given) for name, spec in inputs.items()}

    def put(match: re.Match[str]) -> str:
        name = match["what"].removeprefix("inputs.")
        if name == match["what"] or name not in values:
            raise RenderError(f"unknown interpolation: {match[0]}")
        value = values[name]
        return value if isinstance(value, str) else json.dumps(value)

    try:
        return yaml.safe_load(INPUT.sub(put, body))
    except yaml.YAMLError as error:
        raise RenderError(f"the result is no YAML: {error}") from error


def _split(template: Path) -> tuple[Any, str]:
    head, body = re.split(r"^---\s*$", template.read_text(), maxsplit=1, flags=re.MULTILINE)
    return yaml.safe_load(head), body


def _value(name: str, spec: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    if unknown := spec.keys() - _KEYS:
        raise RenderError(f"{name}: unknown keys {unknown}")
    if name not in given and "default" not in spec:
        raise RenderError(f"{name}: required value has not been provided")
    value = given.get(name, spec.get("default"))
    kind = spec.get("type", "string")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number if kind == "number" else isinstance(value, _TYPES[kind])):
        raise RenderError(f"{name}: {value!r} is not of the type {kind}")
    if "options" in spec and value not in spec["options"]:
        raise RenderError(f"{name}: {value!r} is not in the list of allowed options")
    if "regex" in spec and not re.search(_re2(spec["regex"]), value):
        raise RenderError(f"{name}: {value!r} does not match the required pattern {spec['regex']}")
    return value


def _re2(pattern: str) -> str:
    """In RE2 `$` is the very end; in Python a line break may follow it."""
    return re.sub(r"(?<!\\)\$(?=$|\))", r"\\Z", pattern)
