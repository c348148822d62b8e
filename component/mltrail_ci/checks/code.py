"""Code in the working folder that makes MLflow log elsewhere: it overrides the job's variables."""

import ast
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from mltrail_ci.settings import Settings

from . import Check

_MOST_FILES = 2_000
_MOST_BYTES = 1_000_000  # of one file
_MOST_BYTES_IN_ALL = 20_000_000
_MOST_SHOWN = 5
_NOT_OURS = {"node_modules", "site-packages", "dist-packages", "__pycache__", "venv", "env", "build", "dist", "mlruns"}
_TESTS = re.compile(r"(^|/)(tests?|testing)/|(^|/)(test_[^/]*|[^/]*_test|conftest)\.py$")
_KINDS = (".py", ".ipynb", ".r", ".rmd")

_SIGNS = ("tracking_uri", "MlflowClient", "MLFLOW_TRACKING_URI")
_VARIABLE = re.compile("MLFLOW_TRACKING_URI")
_OF_JOBS = re.compile(r"MLFLOW_TRACKING_URI|CI|CI_\w+|GITLAB_CI")
_CALL = re.compile(r"""set_tracking_uri\(\s*(?:uri\s*=\s*)?["'](?P<uri>[^"']*)["']""")


class Found(NamedTuple):
    """A place that sets a tracking URI; `uri` is None if only running the code would show it."""

    place: str
    uri: str | None


def checks(settings: Settings, variables: Mapping[str, str]) -> Iterator[Check]:
    root = Path(variables.get("CI_PROJECT_DIR") or ".")
    found = [one for one in _look(root) if one.uri is None or not settings.tracks(one.uri)]
    elsewhere = [one for one in found if one.uri is not None]
    for one in elsewhere[:_MOST_SHOWN]:
        yield Check(
            "code",
            ok=False,
            message=f"{one.place} sets the tracking URI {one.uri!r}. That overrides MLFLOW_TRACKING_URI, so these runs "
            "are not logged to this server.",
            fix=f'if "MLFLOW_TRACKING_URI" not in os.environ: mlflow.set_tracking_uri({one.uri!r})',
        )
    if len(elsewhere) > _MOST_SHOWN:
        yield Check(
            "code", ok=False, message=f"{len(elsewhere) - _MOST_SHOWN} other places set a different tracking URI."
        )
    unknown = [one.place for one in found if one.uri is None]
    if unknown:
        more = f" and {len(unknown) - _MOST_SHOWN} other places" if len(unknown) > _MOST_SHOWN else ""
        yield Check(
            "code",
            ok=True,
            message=f"{', '.join(unknown[:_MOST_SHOWN])}{more} may set a tracking URI other than MLFLOW_TRACKING_URI: "
            "only running the code can show that",
        )


def _look(root: Path) -> Iterator[Found]:
    files = total = 0
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = sorted(one for one in folders if not one.startswith(".") and one not in _NOT_OURS)
        folders[:] = [one for one in folders if not (here / one / "pyvenv.cfg").exists()]
        for name in sorted(names):
            path = here / name
            place = path.relative_to(root).as_posix()
            if not name.lower().endswith(_KINDS) or _TESTS.search(place):
                continue
            files += 1
            text = _text(path)
            total += len(text)
            if files > _MOST_FILES or total > _MOST_BYTES_IN_ALL:
                return
            if any(sign in text for sign in _SIGNS):
                yield from _in_file(place, text)


def _text(path: Path) -> str:
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return ""
        return path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


def _in_file(place: str, text: str) -> Iterator[Found]:
    if place.endswith(".py"):
        yield from _in_python(text, place + ":{}")
    elif place.endswith(".ipynb"):
        for number, source in enumerate(_cells(text), start=1):
            yield from _in_python(source, f"{place} cell {number}:{{}}")
    else:
        yield from _in_text(text, place + ":{}")


def _cells(text: str) -> Iterator[str]:
    """The code of a notebook's cells, without lines that are not Python. https://nbformat.readthedocs.io/"""
    try:
        cells = json.loads(text)["cells"]
        for cell in cells:
            source = cell.get("source", "") if cell.get("cell_type") == "code" else ""
            lines = (source if isinstance(source, str) else "".join(source)).splitlines()
            yield "\n".join("" if line.lstrip().startswith(("%", "!", "?")) else line for line in lines)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return


def _in_python(text: str, place: str) -> Iterator[Found]:
    import warnings  # noqa: PLC0415

    try:
        with warnings.catch_warnings(action="ignore"):  # invalid escapes in other people's code don't matter here
            tree = ast.parse(text)
        places = list(_Places(tree).found())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        yield from _in_text(text, place)
        return
    for line, uri in places:
        yield Found(place.format(line), uri)


def _in_text(text: str, place: str) -> Iterator[Found]:
    for number, line in enumerate(text.splitlines(), start=1):
        match = _CALL.search(line.partition("#")[0])
        if match:
            yield Found(place.format(number), match["uri"])


class _Places:
    """Searches a module for calls and assignments that set a tracking URI, and for its value."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._texts: dict[str, str | None] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    if isinstance(target, ast.Name):
                        # A name that is assigned twice has no known value.
                        value = node.value.value if isinstance(node.value, ast.Constant) else None
                        known = isinstance(value, str) and target.id not in self._texts
                        self._texts[target.id] = str(value) if known else None

    def found(self) -> Iterator[tuple[int, str | None]]:
        yield from self._below(self._tree)

    def _below(self, node: ast.AST) -> Iterator[tuple[int, str | None]]:
        for argument in self._arguments(node):
            if not _names(argument, _VARIABLE):
                yield getattr(node, "lineno", 1), self._value(argument)
        for child in self._in_jobs(node):
            yield from self._below(child)

    @staticmethod
    def _in_jobs(node: ast.AST) -> Iterator[ast.AST]:
        """The nodes below, without those that only run if a job's variables are not set."""
        if not isinstance(node, ast.If | ast.IfExp) or not _names(node.test, _OF_JOBS):
            yield from ast.iter_child_nodes(node)
            return
        negative = any(isinstance(one, ast.Not | ast.NotIn | ast.Is) for one in ast.walk(node.test))
        done = node.orelse if negative else node.body
        yield from done if isinstance(done, list) else [done]

    @staticmethod
    def _arguments(node: ast.AST) -> Iterator[ast.expr]:
        """The tracking URI in a call or assignment. Functions other than MLflow's count only with a literal string."""
        if isinstance(node, ast.Call):
            given = _tracking_uri(node)
            if given is not None and not (isinstance(given, ast.Constant) and given.value is None):
                yield given
        elif isinstance(node, ast.Assign):
            subscripts = (one for one in node.targets if isinstance(one, ast.Subscript))
            if any(_is_variable(one.slice) for one in subscripts):  # os.environ[…]
                yield node.value

    def _value(self, argument: ast.expr) -> str | None:
        if isinstance(argument, ast.Constant):
            return argument.value if isinstance(argument.value, str) else None
        return self._texts.get(argument.id) if isinstance(argument, ast.Name) else None


def _tracking_uri(call: ast.Call) -> ast.expr | None:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    named = {one.arg: one.value for one in call.keywords}
    given = named.get("tracking_uri")
    if name in {"set_tracking_uri", "MlflowClient"}:
        return call.args[0] if call.args else given or named.get("uri")
    return given if isinstance(given, ast.Constant) and isinstance(given.value, str) else None


def _is_variable(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value == "MLFLOW_TRACKING_URI"


def _names(node: ast.AST, variable: re.Pattern[str]) -> bool:
    """Whether an expression contains the name of such an environment variable."""
    texts = (one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str))
    return any(map(variable.fullmatch, texts))
