"""What the docs' Python uses of MLflow exists in the client that we test with."""

import ast
import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.places import ROOT
from tests.unit.code_blocks import blocks

pytestmark = [pytest.mark.clients]

CLIENT = ROOT / ".venv-clients/mlflow-3/bin/python"
LOOK = """
import importlib, json, sys
missing = []
for name in json.load(sys.stdin):
    first, *rest = name.split(".")
    found, path = importlib.import_module(first), first
    for part in rest:
        path += "." + part
        if not hasattr(found, part):
            try:
                importlib.import_module(path)
            except ImportError:
                missing.append(name)
                break
        found = getattr(found, part)
json.dump(missing, sys.stdout)
"""


def test_each_name_of_mlflow_exists() -> None:
    names = {
        name: str(block) for block in blocks() if block.language == "python" for name in used(ast.parse(block.text))
    }
    assert len(names) > 10
    ran = subprocess.run(
        [CLIENT, "-W", "ignore", "-c", LOOK], input=json.dumps([*names]), capture_output=True, text=True, check=True
    )
    assert {name: names[name] for name in json.loads(ran.stdout)} == {}


def used(tree: ast.AST) -> Iterator[str]:
    """The names below `mlflow`, in full; those that were imported from it, too."""
    imported = {"mlflow": "mlflow"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "mlflow":
            for one in node.names:
                imported[one.asname or one.name] = f"{node.module}.{one.name}"
                yield f"{node.module}.{one.name}"
        elif isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name.split(".")[0] == "mlflow")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (path := _path(node)) and path[0] in imported:
            yield ".".join([imported[path[0]], *path[1:]])


def _path(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute) and (path := _path(node.value)):
        return [*path, node.attr]
    return []
