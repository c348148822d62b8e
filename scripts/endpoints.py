"""Write docs/reference/endpoints.md: which of MLflow's endpoints exist. A test asks `mistakes` about the page.

The list of MLflow's endpoints is `mlflow_endpoints.txt`; the rest comes from the route table and from the tests.
"""

import re
from pathlib import Path

from mltrail_server.http.routes import Route
from mltrail_server.mlflow_api import transfers
from mltrail_server.mlflow_api.routes import (
    ABOUT,
    EVALUATION,
    FILE_PREFIXES,
    FILES,
    PREFIXES,
    PREFIXES_OF_3,
    REGISTRY,
    TRACES,
    TRACES_OF_2,
    TRACKING,
)

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/reference/endpoints.md"
LIST = Path(__file__).with_name("mlflow_endpoints.txt")
_TESTS = ("tests/api", "tests/contract", "tests/clients", "tests/differential/calls", "tests/e2e")
_MOST_TESTS = 3
_PARAMETER = re.compile(r"<(?:\w+:)?\w+>|\{[^}]+\}")
_ROW = re.compile(r"(?P<facts>\| `[A-Z]+ (?P<path>\S+)` \|.*\|)(?P<tests>[^|]*)\|")

_HEAD = """\
# Endpoints

All endpoints of MLflow's REST API, below the tracking URI `…/api/v4/projects/<project>/ml/mlflow`. *Since* is the
oldest of MLflow 1.28, 2.7 and 3 whose protocol has the endpoint. Every `/api/2.0/mlflow/…` also exists under
`/ajax-api/2.0/mlflow/…` and `/api/2.0/preview/mlflow/…`, with the same access. A *missing* endpoint returns 404 with
`ENDPOINT_NOT_FOUND`; a *refused* one returns 501, upon which clients use the plain call instead. This page is generated
by `python -m scripts.endpoints`.

GitLab's own routes: `GET` and `PUT …/packages/ml_models/<version id>/files/<path>`.
"""


def page() -> str:
    routes = _routes()
    sources = _sources()
    rows = ["| Endpoint | Since | Status | Access | Tested by |", "|:--|:--|:--|:--|:--|"]
    counts: dict[str, int] = {}
    for line in LIST.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        method, path, since = line.split(" ", 2)
        route = routes.get((method, _shape(path)))
        status = "missing" if route is None else "refused" if route.handler is transfers.not_here else "supported"
        counts[status] = counts.get(status, 0) + 1
        access = route.access.name.lower() if route else ""
        tests = ", ".join(_tests(path, sources)) if route else ""
        rows.append(f"| `{method} {path}` | {since} | {status} | {access} | {tests} |")
    totals = ", ".join(f"{count} {status}" for status, count in sorted(counts.items(), key=lambda item: -item[1]))
    return f"{_HEAD}\nOf {sum(counts.values())} endpoints: {totals}.\n\n" + "\n".join(rows) + "\n"


def mistakes(shown: str) -> list[str]:
    """List the lines of a page that are wrong.

    Which tests call an endpoint most can change with every test that is written. So it is enough that the tests which
    the page names call the endpoint, and that it names some where there are any.
    """
    lines, ours, sources = shown.splitlines(), page().splitlines(), _sources()
    if len(lines) != len(ours):
        return [f"{len(lines)} lines instead of {len(ours)}"]
    return [line for line, right in zip(lines, ours, strict=True) if not _is_right(line, right, sources)]


def _is_right(line: str, right: str, sources: dict[str, str]) -> bool:
    if line == right:
        return True
    row, other = _ROW.fullmatch(line), _ROW.fullmatch(right)
    if row is None or other is None or row["facts"] != other["facts"]:
        return False
    named, calls = row["tests"].strip(), _calls(row["path"], sources)
    return bool(named) == bool(other["tests"].strip()) and all(map(calls.get, named.split(", ")))


def _routes() -> dict[tuple[str, str], Route]:
    """Map the method and shape of a path to our route."""
    below = [(prefix, (*TRACKING, *REGISTRY, *TRACES_OF_2)) for prefix in PREFIXES]
    below += [(prefix, FILES) for prefix in FILE_PREFIXES]
    below += [(prefix, (*TRACES, *EVALUATION)) for prefix in PREFIXES_OF_3]
    found = {(route.method, _shape(prefix + route.path)): route for prefix, routes in below for route in routes}
    return found | {(route.method, _shape(route.path)): route for route in ABOUT}


def _shape(path: str) -> str:
    return _PARAMETER.sub("*", "/" + path.lstrip("/"))


def _sources() -> dict[str, str]:
    """Map the names of test modules to their text."""
    texts: dict[str, str] = {}
    for path in (path for folder in _TESTS for path in sorted((ROOT / folder).rglob("*.py"))):
        if not (path.stem.startswith("test_") or {"calls", "checks"} & set(path.parts)):
            continue  # helpers, which test nothing themselves
        name = "differential" if "calls" in path.parts else path.stem.removeprefix("test_")
        texts[name] = texts.get(name, "") + path.read_text(encoding="utf-8")
    return texts


def _tests(path: str, sources: dict[str, str]) -> list[str]:
    """Name the test modules that call a path most."""
    calls = _calls(path, sources)
    return sorted(filter(calls.get, calls), key=lambda name: (-calls[name], name))[:_MOST_TESTS]


def _calls(path: str, sources: dict[str, str]) -> dict[str, int]:
    """Count by test module how often it calls a path: how often it contains the path's last words, as text."""
    words = _PARAMETER.sub("", path.partition("/mlflow/")[2] or path.partition("/mlflow-artifacts/")[2] or path)
    parts = [part for part in words.split("/") if part]
    wanted = "/".join(parts[:2]) if "{" not in path.partition("/mlflow/")[2] else parts[0]
    called = re.compile(rf"{re.escape(wanted)}(?!\w)")
    return {name: len(called.findall(text)) for name, text in sources.items()}


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
