"""Find where a project ends in a URL.

A project's path contains slashes, sent as they are or as `%2F`, which a WSGI server has decoded. So before routing, the
project is made one segment: Werkzeug then finds a route with one look-up per segment, where it would otherwise try a
regular expression for each of some two hundred routes.
"""

import re
from collections.abc import Iterable

from werkzeug.routing import BaseConverter

VARIABLE = "<project:project>"
_MARK = "\0"
"""Replaces a slash in the project."""

_NO_MARK = "\ufffd"
"""Replaces a mark that a client sends. No project's path contains either, so there is no such project."""

_SPELLINGS = (
    # Clients append their paths to a tracking URI that may end in a slash, which not all of them remove.
    ("/ml/mlflow//", "/ml/mlflow/"),
    # The URLs of the first R clients, and of MLflow 1's pages.
    ("/ml/mlflow/ajax-api/2.0/preview/mlflow/", "/ml/mlflow/ajax-api/2.0/mlflow/"),
)
_API = "/api/v4/"

_DEPTH = 3
"""How many segments after the project show where it ends: a group can be called `ml`, too."""


def is_unusual(path: str) -> bool:
    """Return whether `ProjectPaths` would respell a path beyond making its project one segment."""
    return path.endswith("/") or _MARK in path or any(spelt in path for spelt, _plain in _SPELLINGS)


class ProjectConverter(BaseConverter):
    """A project in a URL: its number, or its full path with `/` sent as it is or as `%2F`."""

    regex = rf"[^/{_MARK}][^/]*"
    part_isolating = True  # Werkzeug assumes that the slash in the expression is one in the project

    def to_python(self, value: str) -> str:
        return value.replace(_MARK, "/")


class PathConverter(BaseConverter):
    """The rest of a path, as Werkzeug's own, but including line breaks, so that the handler can say what is wrong."""

    part_isolating = False
    regex = r"(?s:[^/].*?)"
    weight = 200


class ProjectPaths:
    """Finds the project in paths, using the rules that contain one."""

    def __init__(self, rules: Iterable[str]) -> None:
        starts: dict[str, set[str]] = {}
        for rule in rules:
            before, found, after = rule.partition(VARIABLE)
            if found:
                fixed = after.split("<")[0].rstrip("/")
                starts.setdefault(before, set()).add("/".join(fixed.split("/")[: _DEPTH + 1]))
        # A longer beginning is more specific: `/api/v4/projects/` before `/`.
        self._forms = [
            re.compile(
                rf"(?P<before>{re.escape(before)})(?P<project>[^/].*?)"
                rf"(?P<rest>(?:{'|'.join(map(re.escape, sorted(starts[before])))})(?:/.*)?)",
                re.DOTALL,
            )
            for before in sorted(starts, key=len, reverse=True)
        ]

    def isolated(self, path: str) -> str:
        """Make the project one segment; a path without one stays as it is. A slash at the end of an API call is
        ignored, as in GitLab's API.
        """
        path = path.replace(_MARK, _NO_MARK)
        for spelt, plain in _SPELLINGS:
            path = path.replace(spelt, plain, 1)
        if path.startswith(_API):
            path = path.removesuffix("/")
        for form in self._forms:
            if found := form.fullmatch(path):
                return f"{found['before']}{found['project'].replace('/', _MARK)}{found['rest']}"
        return path
