"""Write the tables of an archive into docs/reference/archive.md; a test compares the page with the schema.

What a table and a column mean stands beside them in `store/schema`, as comments.
"""

import ast
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from mltrail_server.store import schema
from mltrail_server.store.archives import rows
from mltrail_server.store.archives.changes import LEFT_BEHIND, NOT_BELIEVED

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/reference/archive.md"
_TABLES = re.compile(r"(<!-- tables -->\n).*?(<!-- end -->)", re.DOTALL)
_LEFT_OUT = re.compile(r"(<!-- left out -->\n).*?(<!-- end -->)", re.DOTALL)


def page() -> str:
    """The page with up-to-date tables."""
    text = _TABLES.sub(lambda found: f"{found[1]}{_tables()}{found[2]}", PAGE.read_text())
    return _LEFT_OUT.sub(lambda found: f"{found[1]}{_left_out()}{found[2]}", text)


def _tables() -> str:
    meanings = dict(_meanings())
    parts = []
    for table in rows.ARCHIVED:
        about = meanings.get((table.name, ""), "")
        lines = ["| column | values | |", "|---|---|---|"]
        for column in rows.columns(table):
            meaning = meanings.get((table.name, column.name), "").replace("|", "/")
            lines.append(f"| `{column.name}` | {_values(column)} | {meaning} |")
        heading = [f"### `{table.name}`", *([_sentence(about)] if about else [])]
        parts.append("\n\n".join([*heading, "\n".join(lines)]))
    return "\n" + "\n\n".join(parts) + "\n\n"


def _left_out() -> str:
    lines = ["| table | from another project or GitLab | from another server | why |", "|---|---|---|---|"]
    for name, why in sorted({**NOT_BELIEVED, **LEFT_BEHIND}.items()):
        lines.append(f"| `{name}` | {'left out' if name in LEFT_BEHIND else 'kept'} | left out | {why} |")
    return "\n".join(lines) + "\n"


def _values(column: sa.Column[object]) -> str:
    kind = {sa.Boolean: "boolean", sa.Float: "double", sa.String: "text"}
    found = next((name for known, name in kind.items() if isinstance(column.type, known)), "integer")
    length = f", up to {column.type.length} characters" if getattr(column.type, "length", None) else ""  # type: ignore[attr-defined] # a String
    return f"{found}{length}{', key' if column.primary_key else ' or null' if column.nullable else ''}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _meanings() -> Iterator[tuple[tuple[str, str], str]]:
    """Read the comments beside tables (with an empty column) and columns."""
    for path in sorted(Path(schema.__file__).parent.glob("*.py")):
        comments = _comments(path)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Table" and node.args:
                for column, line in _parts(node):
                    if line in comments:
                        yield (ast.literal_eval(node.args[0]), column), comments[line]


def _comments(path: Path) -> dict[int, str]:
    """Read the comments of a module by their lines."""
    with tokenize.open(path) as file:
        found = [one for one in tokenize.generate_tokens(file.readline) if one.type == tokenize.COMMENT]
    return {one.start[0]: one.string.lstrip("# ") for one in found}


def _parts(table: ast.Call) -> Iterator[tuple[str, int]]:
    """List the name of a table (as an empty column) and its columns, with the lines where they end."""
    yield "", table.args[0].end_lineno or 0
    for part in table.args[2:]:
        if column := _name_of(part):
            yield column, part.end_lineno or 0


def _name_of(part: ast.expr) -> str | None:
    if not (isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.args):
        return None
    first = part.args[0]
    known = part.func.id in ("Column", "number_column")
    return str(first.value) if known and isinstance(first, ast.Constant) else None


if __name__ == "__main__":
    PAGE.write_text(page())
