"""No function has a cyclomatic complexity of more than 15. Unlike Ruff, this counts `and`, `or` and comprehensions too.

https://en.wikipedia.org/wiki/Cyclomatic_complexity
"""

import ast
from collections.abc import Iterator

from tests.places import ROOT

FOLDERS = ("server", "component", "benchmarks", "scripts", "tests/fakes")
MOST = 15

WITH_A_REASON = {
    "benchmarks/peers/load.py:load": "one loop, as fast as it can be",
}


def branches(node: ast.AST) -> int:
    match node:
        case ast.BoolOp():
            return len(node.values) - 1
        case ast.comprehension():
            return 1 + len(node.ifs)
        case ast.If() | ast.IfExp() | ast.For() | ast.While() | ast.ExceptHandler() | ast.Assert() | ast.match_case():
            return 1
        case _:
            return 0


def inside(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function, without those of functions in it, which count by themselves."""
    for node in ast.iter_child_nodes(function):
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from inside(node)


def functions() -> Iterator[tuple[str, int]]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{path.relative_to(ROOT)}:{node.name}", 1 + sum(map(branches, inside(node)))


def test_no_function_is_too_complex() -> None:
    found = {name: count for name, count in functions() if count > MOST and "/migrations/" not in name}
    assert {name: count for name, count in found.items() if name not in WITH_A_REASON} == {}
