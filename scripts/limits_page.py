"""Write the table of limits into docs/reference/limits.md; a test holds the page to what the code checks."""

import re
from pathlib import Path

from mltrail_server.domain import limits, model

PAGE = Path(__file__).parents[1] / "docs/reference/limits.md"
_OF_MODELS = (
    ("Name of a model", model.MAX_NAME, "characters"),
    ("Alias of a version", model.MAX_ALIAS, "characters"),
    ("Value of a tag of a model or version", model.MAX_TAG_VALUE, "characters"),
)
_TABLE = re.compile(r"(<!-- limits -->\n).*?(<!-- end -->)", re.DOTALL)


def page() -> str:
    """The page with its table as it should be."""
    return _TABLE.sub(lambda found: f"{found[1]}{_table()}{found[2]}", PAGE.read_text())


def _table() -> str:
    rows = ["| What | At most |", "|---|---|"]
    rows += [f"| {what} | {most:,} {unit} |" for what, most, unit in (*limits.ALL, *_OF_MODELS)]
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
