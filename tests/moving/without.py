"""Answers without what is explained."""

from collections.abc import Callable
from typing import Any

Edit = Callable[[Any], Any]


def names(*unwanted: str) -> Edit:
    """Take out fields by their names, wherever they are."""

    def edit(body: Any) -> Any:
        if isinstance(body, dict):
            return {key: edit(one) for key, one in body.items() if key not in unwanted}
        return [edit(one) for one in body] if isinstance(body, list) else body

    return edit


def field(name: str, value: Any) -> Edit:
    """Take out a field where it has this value."""

    def edit(body: Any) -> Any:
        if isinstance(body, dict):
            return {key: edit(one) for key, one in body.items() if not (key == name and one == value)}
        return [edit(one) for one in body] if isinstance(body, list) else body

    return edit


def tag(name: str) -> Edit:
    """Take out a tag, from lists of keys and values and from objects."""

    def edit(body: Any) -> Any:
        if isinstance(body, dict):
            kept = {key: edit(one) for key, one in body.items() if key != name}
            return {key: one for key, one in kept.items() if one not in ([], {})}
        if isinstance(body, list):
            return [edit(one) for one in body if not (isinstance(one, dict) and one.get("key") == name)]
        return body

    return edit
