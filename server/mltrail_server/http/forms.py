"""Forms, as Ruby's web servers read them: `tags[][key]=a&tags[][value]=b` is a list of objects.

GitLab's API accepts them as well as JSON: https://docs.gitlab.com/api/rest/#array-parameters
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from flask import Request

from mltrail_server.domain import limits
from mltrail_server.domain.errors import invalid

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
_MOST_FIELDS = 10_000
_NAME = re.compile(r"(?P<name>[^\[\]]+)(?P<inner>(?:\[[^\[\]]*\]){0,3})")
_INNER = re.compile(r"\[([^\[\]]*)\]")

FormFields = Mapping[str, list[str]]


def urlencoded(data: bytes) -> dict[str, list[str]]:
    """Read a form's fields. Raises INVALID for anything else."""
    try:
        pairs = parse_qsl(data.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError as error:
        raise invalid(f"The body is not a form: {error}. Send JSON with `Content-Type: application/json`.") from error
    return _gathered(pairs)


def multipart(request: Request) -> dict[str, list[str]]:
    """Read the text fields of a multipart form; files in it are ignored. Raises TOO_LARGE through Flask."""
    request.max_content_length = request.max_form_memory_size = limits.MAX_BODY
    request.max_form_parts = _MOST_FIELDS
    return _gathered(request.form.items(multi=True))


def nested(pairs: FormFields) -> dict[str, Any]:
    """Combine fields into lists and objects. A name without brackets that appears several times is a list of its
    values.
    """
    found: dict[str, Any] = {}
    for given, values in pairs.items():
        match = _NAME.fullmatch(given)
        keys = _INNER.findall(match["inner"]) if match else []
        name = match["name"] if match else given
        if not keys:
            found[name] = values[0] if len(values) == 1 else values
        elif keys == [""]:
            found[name] = values
        elif len(keys) == 2:
            _put(found.setdefault(name, []), keys[0], keys[1], values)
    return found


def _put(items: Any, place: str, key: str, values: list[str]) -> None:  # noqa: ANN401 - what is there so far
    """Put `tags[][key]` or `tags[0][key]` in its place: the n-th value of a key belongs to the n-th object."""
    if not isinstance(items, list) or (place and not (place.isascii() and place.isdigit() and len(place) < 5)):
        return
    for number, value in enumerate(values):
        at = int(place) if place else number
        while len(items) <= at:
            items.append({})
        if isinstance(items[at], dict):
            items[at][key] = value


def _gathered(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found
