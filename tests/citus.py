"""What Citus, which spreads tables over several PostgreSQL by `project_id`, would refuse in a statement.

Only as far as PostgreSQL's parser can tell: nothing here has run on Citus. The rules are those of its documentation for
statements that it sends to one node as they are: https://docs.citusdata.com/en/stable/develop/reference_workarounds.html
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import NoneType
from typing import Any

import sqlalchemy as sa
from pglast import parser
from sqlalchemy import event

from mltrail_server.store import schema

Node = Any

KEY = "project_id"
LOCAL = {
    "due": "the worker looks for what is due in all projects",
    "web_session": "who is signed in may look at several projects",
}
"""Tables that stay on one node."""

DISTRIBUTED = frozenset(schema.METADATA.tables) - LOCAL.keys()

VOLATILE = frozenset({"now", "clock_timestamp", "random", "gen_random_uuid", "nextval", "txid_current"})
_PARAMETER = re.compile(r"%\((\w+)\)s|%s")
_WRITES = ("InsertStmt", "UpdateStmt", "DeleteStmt")
_QUERIES = ("SelectStmt", *_WRITES)


NOT_PLANNED = tuple(
    f"/* mltrail: tracking.{name} */ "
    for name in ("metrics.add_on_postgresql", "at_once.log", "at_once.create", "at_once.end", "owned_files.add_both")
)
"""How the statements begin that Citus is known to refuse, see docs/explanation/scale.md."""

_SEEN: dict[str, list[str]] = {}


@dataclass
class Watch:
    """Checks each of our statements that is sent to PostgreSQL, from `begin` on."""

    found: list[str] = field(default_factory=list)

    def begin(self) -> None:
        event.listen(sa.Engine, "before_cursor_execute", self._look)

    def _look(
        self, connection: sa.Connection, _cursor: object, text: str, _values: object, context: Any, _: object
    ) -> None:
        if connection.dialect.name != "postgresql" or text.startswith(NOT_PLANNED):
            return
        if context is not None and isinstance(getattr(context.compiled, "statement", None), (NoneType, sa.TextClause)):
            return  # written out by a test or an operator's command
        if text not in _SEEN:
            everywhere = context is not None and bool(context.execution_options.get("all_projects"))
            _SEEN[text] = refused(text, everywhere=everywhere)
        self.found += [f"{one}: {text}" for one in _SEEN[text]]


@dataclass
class _Statement:
    """`pinned` are tables that a value ties to one project, `tied` pairs of tables with the same project."""

    tables: dict[str, str] = field(default_factory=dict)  # by alias
    pinned: set[str] = field(default_factory=set)
    tied: list[tuple[str, str]] = field(default_factory=list)
    found: list[str] = field(default_factory=list)

    def free(self) -> set[str]:
        """Return the distributed tables, by alias, that are not tied to one project."""
        return {alias for alias, table in self.tables.items() if table in DISTRIBUTED} - self._tied_to(self.pinned)

    def together(self, aliases: set[str]) -> bool:
        """Return whether these tables are joined by their projects."""
        return aliases <= self._tied_to({min(aliases, default="")})

    def _tied_to(self, aliases: set[str]) -> set[str]:
        kept = set(aliases)
        while more := {b for pair in self.tied for a, b in (pair, pair[::-1]) if a in kept} - kept:
            kept |= more
        return kept


def parsed(text: str) -> list[Node]:
    """Parse a statement as SQLAlchemy or the driver sends it to psycopg."""
    numbered = _PARAMETER.sub("$1", text).replace("%%", "%")
    return [one["stmt"] for one in json.loads(parser.parse_sql_json(numbered)).get("stmts", [])]


def refused(text: str, *, everywhere: bool = False) -> list[str]:
    """Say what Citus would refuse. A scan of one table may go to every node, and so may tables that are joined by their
    projects, in a statement that is meant for all projects (`everywhere`).
    """
    found: list[str] = []
    for statement in parsed(text):
        ((kind, node),) = statement.items()
        if kind in _QUERIES:
            found += _refused(kind, node, everywhere=everywhere)
    return found


def _refused(kind: str, node: Node, *, everywhere: bool) -> Iterator[str]:
    seen = _Statement()
    names = {cte["CommonTableExpr"]["ctename"] for cte in _all(node, "withClause", "ctes")}
    _walk({kind: node}, seen, names, "")
    yield from seen.found
    used = set(seen.tables.values())
    if not used & DISTRIBUTED:
        return
    if used & LOCAL.keys():
        yield f"{', '.join(sorted(used & LOCAL.keys()))} is on one node, and joined with distributed tables"
    if any("SelectStmt" not in cte["CommonTableExpr"]["ctequery"] for cte in _all(node, "withClause", "ctes")):
        yield "a WITH that writes, with rows that are no constants"
    free = seen.free()
    if everywhere and kind != "InsertStmt" and "lockingClause" not in node and seen.together(free):
        return
    if free and (len(used) > 1 or "lockingClause" in node or kind == "InsertStmt"):
        yield f"{', '.join(sorted(free))}: not kept to one project by an equality, and more than a scan of one table"


def _walk(node: Node, seen: _Statement, names: set[str], target: str) -> None:
    """Visit a part of a statement. `names` are those of its WITH, `target` is the table that is written to."""
    if isinstance(node, list):
        for one in node:
            _walk(one, seen, names, target)
        return
    if not isinstance(node, dict):
        return
    for kind, value in node.items():
        _visit(kind, value, seen, names, target)
        if kind == "SubLink" and value.get("subLinkType") == "EXISTS_SUBLINK":
            value["subselect"]["SelectStmt"].pop("targetList", None)  # which nobody reads
        inner = value["relation"]["relname"] if kind in _WRITES else target
        _walk(value, seen, names | _with(value), inner)


def _visit(kind: str, value: Node, seen: _Statement, names: set[str], target: str) -> None:
    if kind == "RangeVar" and value["relname"] not in names:
        _use(value, seen)
    elif kind in _WRITES:
        _write(kind, value, seen)
    elif kind == "A_Expr":
        _compare(value, seen)
    elif kind == "SelectStmt" and _is_star(value) and _reads_tables(value.get("fromClause"), names | _with(value)):
        seen.found.append("SELECT *: a new column would change it")
    elif kind == "FuncCall" and target and _name(value) in VOLATILE:
        seen.found.append(f"{_name(value)}() is volatile in a statement that writes")


def _with(value: Node) -> set[str]:
    return {cte["CommonTableExpr"]["ctename"] for cte in _all(value, "withClause", "ctes")}


def _all(node: Node, *path: str) -> list[Node]:
    for step in path:
        node = node.get(step, {}) if isinstance(node, dict) else {}
    return node if isinstance(node, list) else []


def _is_star(node: Node, *path: str) -> bool:
    values = (one.get("ResTarget", {}).get("val", {}) for one in _all(node, *(path or ("targetList",))))
    return any("A_Star" in json.dumps(value.get("ColumnRef", {})) for value in values)


def _reads_tables(node: Node, names: set[str]) -> bool:
    """Return whether a FROM reads a table itself, and not only what a WITH or a function has made."""
    if isinstance(node, list):
        return any(_reads_tables(one, names) for one in node)
    if not isinstance(node, dict):
        return False
    if "RangeVar" in node:
        return node["RangeVar"]["relname"] not in names
    return any(_reads_tables(value, names) for key, value in node.items() if key in ("JoinExpr", "larg", "rarg"))


def _use(relation: Node, seen: _Statement) -> str:
    alias = str(relation.get("alias", {}).get("aliasname", relation["relname"]))
    seen.tables[alias] = relation["relname"]
    return alias


def _write(kind: str, node: Node, seen: _Statement) -> None:
    alias = _use(node["relation"], seen)
    if _is_star(node, "returningClause", "exprs"):
        seen.found.append("RETURNING *: a new column would change it")
    if node["relation"]["relname"] not in DISTRIBUTED:
        return
    if kind == "InsertStmt":
        columns = [one["ResTarget"]["name"] for one in node.get("cols", [])]
        if not columns:
            seen.found.append("INSERT names no columns: a new one would break it")
        if KEY in columns:  # its value, or the arrays of a batch, name the project
            seen.pinned.add(alias)
        conflict = node.get("onConflictClause", {})
        targets = [one["IndexElem"].get("name") for one in _all(conflict, "infer", "indexElems")]
        if conflict.get("action") == "ONCONFLICT_UPDATE" and KEY not in targets:
            seen.found.append("ON CONFLICT without the project")
    changed = [
        *_all(node, "onConflictClause", "targetList"),
        *(node.get("targetList", []) if kind == "UpdateStmt" else []),
    ]
    if any(one["ResTarget"]["name"] == KEY for one in changed):
        seen.found.append(f"{alias}: changes {KEY}, which decides on the node")


def _compare(node: Node, seen: _Statement) -> None:
    if [part["String"]["sval"] for part in node.get("name", [])] != ["="] and node.get("kind") != "AEXPR_IN":
        return
    left, right = _column(node.get("lexpr")), _column(node.get("rexpr"))
    if left and right:
        seen.tied.append((left, right))
    for side, other in ((left, node.get("rexpr")), (right, node.get("lexpr"))):
        if side and other and not _column(other) and "ColumnRef" not in json.dumps(other):
            seen.pinned.add(side)


def _column(node: Node) -> str:
    """Return the table, by alias, whose project this is; "" if it is something else."""
    if not isinstance(node, dict) or "ColumnRef" not in node:
        return ""
    fields = [part.get("String", {}).get("sval", "*") for part in node["ColumnRef"]["fields"]]
    return fields[0] if len(fields) == 2 and fields[1] == KEY else ""


def _name(call: Node) -> str:
    return str(call["funcname"][-1]["String"]["sval"])


CITUS = Watch()
