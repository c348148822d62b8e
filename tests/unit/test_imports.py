"""Every module can be the first that is imported: a script, a test or a shell may begin anywhere.

Where modules import one another in a circle, it depends on the first one whether a name is there yet.
"""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tests.places import ROOT

PACKAGES = {
    name: ROOT / side / name
    for side, name in (
        ("server", "mltrail_server"),
        ("component", "mltrail_ci"),
        ("component", "mltrail_contract"),
    )
}


def modules() -> dict[str, Path]:
    found = {}
    for folder in PACKAGES.values():
        for file in folder.rglob("*.py"):
            parts = file.relative_to(folder.parent).with_suffix("").parts
            found[".".join(part for part in parts if part != "__init__")] = file
    return found


def at_once(body: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """Find the imports that run with the module: those in functions, and those for type checkers only, do not."""
    for statement in body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            yield statement
        elif not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and not (
            isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test)
        ):
            for inner in ast.iter_child_nodes(statement):
                yield from at_once([inner] if isinstance(inner, ast.stmt) else [])


def imports_of(name: str, known: dict[str, Path]) -> set[str]:
    file = known[name]
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for statement in at_once(ast.parse(file.read_text("utf-8")).body):
        if isinstance(statement, ast.Import):
            found |= {alias.name for alias in statement.names}
            continue
        above = package.rsplit(".", statement.level - 1)[0] if statement.level else ""
        base = ".".join(part for part in (above, statement.module) if part)
        for alias in statement.names:
            inner = f"{base}.{alias.name}"
            found.add(inner if inner in known else base)
    return (found & known.keys()) - {name}


def test_no_modules_import_one_another_in_a_circle() -> None:
    known = modules()
    assert len(known) > 300
    try:
        TopologicalSorter({name: imports_of(name, known) for name in known}).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None


def test_no_test_is_imported_by_another_module() -> None:
    """What several tests need is in a module of its own, and fixtures are in a `conftest.py`."""
    files = [file for folder in ("tests", "scripts", "benchmarks") for file in sorted((ROOT / folder).rglob("*.py"))]
    statements = [(file, one) for file in files for one in ast.walk(ast.parse(file.read_text("utf-8")))]
    found = [
        f"{file.relative_to(ROOT)} imports {one.module}"
        for file, one in statements
        if isinstance(one, ast.ImportFrom) and (one.module or "").rpartition(".")[2].startswith("test_")
    ]
    assert found == []
