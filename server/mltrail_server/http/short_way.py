"""The short way from WSGI to a handler, for the calls that training loops wait for.

Flask and Werkzeug take some 0.1 ms to match a URL against three hundred rules, to open a session and contexts, and to
send signals: as long as SQLite takes to store a metric. So the routes of MLflow's API are also kept here, by method and
path below the project, and a call that is found here goes straight to the function that Flask would have called.

Whatever this table can't decide for certain is left to Flask: unknown paths, methods that a path does not have, unusual
spellings, and a project whose path may end in two places. Both ways run the same checks and answer errors alike, see
`ProjectApp`, and `tests/api/edges/test_short_way.py` sends the same calls both ways.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .project_paths import VARIABLE, is_unusual

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Serve = Callable[..., Any]

_NOWHERE = "\0"
"""No path begins so: every path begins with a slash."""

_MOST_KNOWN, _LONGEST_KNOWN = 1000, 300
"""How many paths are remembered with what serves them, and how long each may be: a client can make up any number."""


@dataclass(frozen=True, slots=True)
class Found:
    """What serves a request: `serve(request, **parts)`. `rule` is the route as it was registered."""

    serve: Serve
    rule: str
    parts: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Leaf:
    serve: Serve
    rule: str
    names: tuple[str, ...]


@dataclass(slots=True)
class _Node:
    """One segment of a path, for paths that contain something other than the project."""

    fixed: "dict[str, _Node]" = field(default_factory=dict)
    variable: "_Node | None" = None
    rest: _Leaf | None = None  # takes the rest of the path, slashes and all
    leaf: _Leaf | None = None


class ShortWay:
    """Routes below one base, such as `/api/v4/projects/<project:project>/ml/mlflow`, and single paths of no project."""

    def __init__(self) -> None:
        self._before = self._after = _NOWHERE
        self._paths: dict[tuple[str, str], Found] = {}
        self._fixed: dict[tuple[str, str], _Leaf] = {}
        self._trees: dict[str, _Node] = {}
        self._elsewhere: frozenset[str] = frozenset()
        self._known: dict[tuple[str, str], Found] = {}  # only paths with no variable but the project

    def add(self, method: str, rule: str, serve: Serve) -> None:
        """Register a route. All rules begin alike, up to what stands between the project and the first slash after
        the next two segments.
        """
        before, _, after = rule.partition(VARIABLE)
        segments = after.split("/")
        base = "/".join(segments[:3])
        if self._before == _NOWHERE:
            self._before, self._after = before, f"{base}/"
        if (before, f"{base}/") != (self._before, self._after):
            raise ValueError(f"not below {self._before}{VARIABLE}{self._after}: {rule}")
        below = "/".join(segments[3:])
        names = tuple(segment.strip("<>").rpartition(":")[2] for segment in segments if segment.startswith("<"))
        for sent in ("GET", "HEAD") if method == "GET" else (method,):
            if names:
                self._grow(sent, segments[3:], _Leaf(serve, rule, names))
            else:
                self._fixed[sent, below] = _Leaf(serve, rule, ())

    def add_path(self, path: str, serve: Serve) -> None:
        """Register a path that anybody may GET."""
        for method in ("GET", "HEAD"):
            self._paths[method, path] = Found(serve, path, {})

    def reserve(self, rules: Iterable[str]) -> None:
        """Note what other routes begin with after the project: a group may be called so, and then Flask decides."""
        self._known.clear()
        self._elsewhere = frozenset(
            after.split("/")[1]
            for before, found, after in (rule.partition(VARIABLE) for rule in rules)
            if found and before == self._before
        )

    def find(self, environ: "WSGIEnvironment") -> Found | None:
        """Find what serves a request; None leaves that to Flask."""
        key = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        found = self._known.get(key)
        if found is None:
            found = self._look_up(*key)
            if found is not None and len(found.parts) <= 1 and len(key[1]) <= _LONGEST_KNOWN:
                if len(self._known) >= _MOST_KNOWN:
                    self._known.clear()
                self._known[key] = found
        return found

    def _look_up(self, method: str, path: str) -> Found | None:
        if not path.isascii():
            # WSGI has the bytes of a path as Latin-1: https://peps.python.org/pep-3333/#unicode-issues
            path = path.encode("latin-1").decode(errors="replace")
        if not path.startswith(self._before):
            return self._paths.get((method, path))
        project, found, below = path[len(self._before) :].partition(self._after)
        if not found or is_unusual(path) or not self._is_certain(project):
            return None
        leaf = self._fixed.get((method, below))
        values: list[str] = []
        if leaf is None and (tree := self._trees.get(method)) is not None:
            leaf = _walk(tree, below, values)
        if leaf is None:
            return None
        return Found(leaf.serve, leaf.rule, {"project": project, **dict(zip(leaf.names, values, strict=True))})

    def _is_certain(self, project: str) -> bool:
        """Return whether a project can end nowhere else in its URL."""
        if project[:1] in ("", "/"):
            return False
        return "/" not in project or self._elsewhere.isdisjoint(project.split("/"))

    def _grow(self, method: str, segments: list[str], leaf: _Leaf) -> None:
        node = self._trees.setdefault(method, _Node())
        for number, segment in enumerate(segments):
            if segment.startswith("<path:") and number == len(segments) - 1:
                node.rest = leaf
                return
            if segment.startswith("<"):
                if ":" in segment:
                    raise ValueError(f"a kind of variable that the short way does not know: {leaf.rule}")
                node.variable = node = node.variable or _Node()
            else:
                node = node.fixed.setdefault(segment, _Node())
        node.leaf = leaf


def _walk(node: _Node, path: str, values: list[str]) -> _Leaf | None:
    """Follow a path, and add the variables' values: a fixed segment is preferred to a variable one, and that to the
    rest, as Werkzeug does.
    """
    segment, more, following = path.partition("/")
    for inner, value in ((node.fixed.get(segment), []), (node.variable, [segment])):
        if inner is None or not segment:
            continue
        taken = [*value]
        leaf = _walk(inner, following, taken) if more else inner.leaf
        if leaf is not None:
            values += taken
            return leaf
    if node.rest is not None and path and not path.startswith("/"):
        values.append(path)
        return node.rest
    return None
