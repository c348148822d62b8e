"""Render a CI component as GitLab does, and refuse what GitLab refuses; other tools are more forgiving.

https://docs.gitlab.com/ci/inputs/. Inputs are put in as text before the YAML is read: strings as they are, everything
else as JSON. Then the result has to be YAML, and what an editor's schema of `.gitlab-ci.yml` takes.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import yaml

INPUT = re.compile(r"\$\[\[\s*(?P<what>.*?)\s*\]\]", re.DOTALL)
_TYPES: dict[str, type] = {"string": str, "boolean": bool, "array": list}
_KEYS = {"description", "default", "type", "options", "regex"}
_MOST_OPTIONS = 50


class RenderError(Exception):
    """GitLab would not create the pipeline."""


def inputs_of(template: Path) -> dict[str, dict[str, Any]]:
    """The inputs that a template declares."""
    head, _ = _split(template.read_text())
    inputs: dict[str, dict[str, Any]] = head["spec"]["inputs"]
    return inputs


def body_of(template: Path) -> str:
    return _split(template.read_text())[1]


def render(template: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Answer what the include adds to a pipeline's configuration. Raises `RenderError`."""
    return render_text(template.read_text(), given)


def render_text(text: str, given: Mapping[str, Any]) -> dict[str, Any]:
    head, body = _split(text)
    if set(head) != {"spec"} or set(head["spec"]) - {"inputs"}:
        raise RenderError(
            "the head may hold `spec: inputs:` only; what else there is keeps `include: remote` from working"
        )
    inputs = head["spec"]["inputs"]
    if unknown := given.keys() - inputs.keys():
        raise RenderError(f"unknown input arguments: {', '.join(sorted(unknown))}")
    # All are checked, used or not.
    values = {name: _value(name, spec or {}, given) for name, spec in inputs.items()}

    def put(match: re.Match[str]) -> str:
        name = match["what"].removeprefix("inputs.")
        if name == match["what"] or name not in values:
            raise RenderError(f"unknown interpolation: {match[0]}")
        value = values[name]
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    try:
        config = yaml.load(INPUT.sub(put, body), _Strict)
    except yaml.YAMLError as error:
        raise RenderError(f"the result is no YAML: {error}") from error
    if not isinstance(config, dict):
        raise RenderError("the result is no configuration")
    try:
        jsonschema.Draft7Validator(schema()).validate(config)
    except jsonschema.ValidationError as error:
        raise RenderError(f"the result is no configuration: {error.message}") from error
    return config


@cache
def schema() -> Any:
    """GitLab's own schema of `.gitlab-ci.yml`, as check-jsonschema brings it."""
    file = resources.files("check_jsonschema") / "builtin_schemas/vendor/gitlab-ci.json"
    return json.loads(file.read_text())


class _Strict(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if twice := {str(key) for key in keys if keys.count(key) > 1}:
            raise yaml.YAMLError(f"{', '.join(sorted(twice))}: there twice")
        return super().construct_mapping(node, deep)


def _split(text: str) -> tuple[Any, str]:
    parts = re.split(r"^---\s*$", text, flags=re.MULTILINE)
    if len(parts) != 2:
        raise RenderError("a component is a head with `spec:`, a line `---`, and a body")
    head = yaml.load(parts[0], _Strict)
    if not isinstance(head, dict) or not isinstance(head.get("spec"), dict):
        raise RenderError("the head has no `spec:`")
    return head, parts[1]


def _value(name: str, spec: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    if unknown := spec.keys() - _KEYS:
        raise RenderError(f"{name}: unknown keys {unknown}")
    if len(spec.get("options", ())) > _MOST_OPTIONS:
        raise RenderError(f"{name}: more than {_MOST_OPTIONS} options")
    if name not in given and "default" not in spec:
        raise RenderError(f"{name}: required value has not been provided")
    # A default has to fit, too, also where another value is given.
    for value in [spec["default"]] if "default" in spec else []:
        _check(name, spec, value)
    value = given.get(name, spec.get("default"))
    _check(name, spec, value)
    return value


def _check(name: str, spec: Mapping[str, Any], value: Any) -> None:
    kind = spec.get("type", "string")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind not in {*_TYPES, "number"} or not (is_number if kind == "number" else isinstance(value, _TYPES[kind])):
        raise RenderError(f"{name}: {value!r} is not of the type {kind}")
    if "options" in spec and value not in spec["options"]:
        raise RenderError(f"{name}: {value!r} is not in the list of allowed options")
    if "regex" in spec and kind != "string":
        raise RenderError(f"{name}: a regex is for strings")
    if "regex" in spec and not re.search(_re2(spec["regex"]), value):
        raise RenderError(f"{name}: {value!r} does not match the required pattern {spec['regex']}")


def _re2(pattern: str) -> str:
    """In RE2 `$` is the very end; in Python a line break may follow it."""
    return re.sub(r"(?<!\\)\$(?=$|\))", r"\\Z", pattern)


GOLDEN = Path(__file__).parent / "golden"
