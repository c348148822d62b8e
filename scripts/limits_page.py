"""Write the table of limits into docs/reference/limits.md; a test compares the page with what the code checks."""

import re
from pathlib import Path

from mltrail_server.domain import filters, limits, model, page_filters

PAGE = Path(__file__).parents[1] / "docs/reference/limits.md"
_OF_MODELS = (
    ("Name of a model", model.MAX_NAME, "characters"),
    ("Alias of a version", model.MAX_ALIAS, "characters"),
    ("Value of a tag of a model or version", model.MAX_TAG_VALUE, "characters"),
)
_OF_SEARCHES = (
    ("Comparisons in a filter", filters.MAX_CLAUSES, ""),
    ("Names in `order_by`", filters.MAX_ORDERS, ""),
    ("Values in a list of `IN`, and `experiment_ids`", filters.MAX_LIST, ""),
    ("Pattern of `LIKE` and `ILIKE`", filters.MAX_PATTERN, "characters"),
    ("`%` in a pattern; several in a row count as one", filters.MAX_WILDCARDS, ""),
    ("Words in the search box of a page", page_filters.MAX_WORDS, ""),
    ("Periods of time in the search box of a page, such as `last 7 days`", page_filters.MAX_PERIODS, ""),
)
_TABLE = re.compile(r"(<!-- limits -->\n).*?(<!-- end -->)", re.DOTALL)


def page() -> str:
    """The page with an up-to-date table."""
    return _TABLE.sub(lambda found: f"{found[1]}{_table()}{found[2]}", PAGE.read_text())


def _table() -> str:
    rows = ["| What | At most |", "|---|---|"]
    rows += [
        f"| {what} | {f'{most:,} {unit}'.strip()} |" for what, most, unit in (*limits.ALL, *_OF_MODELS, *_OF_SEARCHES)
    ]
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
