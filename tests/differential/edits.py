"""Edits of responses, so that nothing is left of what is explained."""

from collections.abc import Callable
from typing import Any

Edit = Callable[[Any], Any]


def objects(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Edit:
    """Change each object, wherever it is, the innermost first."""

    def edit(body: Any) -> Any:
        if isinstance(body, dict):
            return change({key: edit(one) for key, one in body.items()})
        return [edit(one) for one in body] if isinstance(body, list) else body

    return edit


def without(*names: str) -> Edit:
    """Take out fields by their names."""
    return objects(lambda found: {key: one for key, one in found.items() if key not in names})


def without_field(name: str, value: str) -> Edit:
    """Take out a field where it has this value."""
    return objects(lambda found: {key: one for key, one in found.items() if (key, one) != (name, value)})


def without_tag(name: str) -> Edit:
    """Take out a tag, from lists of keys and values and from objects."""

    def edit(body: Any) -> Any:
        if isinstance(body, dict):
            kept = {key: edit(one) for key, one in body.items() if key != name}
            return {key: one for key, one in kept.items() if one not in ([], {})}
        if isinstance(body, list):
            return [edit(one) for one in body if not (isinstance(one, dict) and one.get("key") == name)]
        return body

    return edit
