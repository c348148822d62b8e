"""What a migration may do, so that servers of the previous version go on running while it is applied and afterwards.

Its statements for PostgreSQL are parsed by PostgreSQL's own parser. The rules are explained in CONTRIBUTING.md.
"""

import importlib.util
import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from alembic.migration import MigrationContext
from alembic.operations import Operations
from pglast import parser

Node = dict[str, Any]

_FREE = frozenset({"CreateStmt", "IndexStmt", "CommentStmt"})
_NEW_COLUMN = frozenset({"CONSTR_NULL", "CONSTR_NOTNULL", "CONSTR_DEFAULT"})
_BY_CONTRACT = 'Do it in a later migration with kind = "contract", once no version in use needs it.'


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"migration_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def statements(module: ModuleType) -> list[Node]:
    """Return the parsed statements that a migration sends to PostgreSQL, each as `{kind: fields}`."""
    written = io.StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": written, "literal_binds": True}
    )
    with Operations.context(context):
        module.upgrade()
    return [one["stmt"] for one in json.loads(parser.parse_sql_json(written.getvalue())).get("stmts", [])]


def problems(module: ModuleType, before: set[str]) -> Iterator[str]:
    """Say what a migration must not do. `before` are the revisions that come before it."""
    kind, oldest = getattr(module, "kind", None), getattr(module, "oldest", None)
    found = statements(module)
    if kind not in {"expand", "contract"}:
        yield 'It must declare kind = "expand" or kind = "contract".'
    elif kind == "contract" and oldest not in {*before, module.revision}:
        yield (
            'A contract migration must declare oldest = "…": the first revision whose code no longer uses what is '
            "taken away."
        )
    elif kind == "expand" and oldest is not None:
        yield "An expand migration lets all versions go on: it declares no oldest."
    new = {one["CreateStmt"]["relation"]["relname"] for one in found if "CreateStmt" in one}
    for one in found:
        ((name, node),) = one.items()
        if getattr(module, "concurrently", False):
            if not node.get("concurrent") and "CONCURRENTLY" not in json.dumps(node):
                yield f"{name}: with concurrently = True it can only build or drop indexes concurrently."
        elif kind == "expand":
            yield from _expanding(name, node, new)


def _expanding(name: str, node: Node, new: set[str]) -> Iterator[str]:
    if name == "AlterTableStmt":
        if node["relation"]["relname"] not in new:
            for command in node["cmds"]:
                yield from _altering(node["relation"]["relname"], command["AlterTableCmd"])
    elif name == "IndexStmt":
        table = node["relation"]["relname"]
        if table not in new:
            unique = " Old rows, and old servers, may break its uniqueness." if node.get("unique") else ""
            yield (
                f"It builds the index {node['idxname']} on {table} while writers wait.{unique} Build it in a migration "
                "of its own with concurrently = True, by store.db.indexes.add_index."
            )
    elif name not in _FREE:
        yield f"{name} can break servers of the version before, or make them wait. {_BY_CONTRACT}"


def _altering(table: str, command: Node) -> Iterator[str]:
    if command["subtype"] != "AT_AddColumn":
        yield f"It changes {table} by {command['subtype'].removeprefix('AT_')}. {_BY_CONTRACT}"
        return
    column = command["def"]["ColumnDef"]
    where = f"{table}.{column['colname']}"
    given = {one["Constraint"]["contype"]: one["Constraint"] for one in column.get("constraints", [])}
    if "CONSTR_NOTNULL" in given and "CONSTR_DEFAULT" not in given:
        yield f"{where} is NOT NULL without a server_default, so old servers can't insert rows."
    default = given.get("CONSTR_DEFAULT", {}).get("raw_expr", {})
    if default and not _is_constant(default):
        yield f"{where} has a default that is not a constant, so PostgreSQL would rewrite the table while all wait."
    if others := sorted(given.keys() - _NEW_COLUMN):
        yield f"{where} has {', '.join(others)}: it would be checked or computed for every old row while all wait."


def _is_constant(default: Node) -> bool:
    while "TypeCast" in default:
        default = default["TypeCast"]["arg"]
    return "A_Const" in default
