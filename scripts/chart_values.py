"""Write the table of the chart's values into its README; a test compares the two.

python -m scripts.chart_values
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[1] / "deploy/helm/mltrail"
README = CHART / "README.md"
_BEGIN, _END = "<!-- values -->\n", "<!-- end of values -->\n"
_KEY = re.compile(r"( *)([A-Za-z0-9]+):")
_WHOLE = {"resources", "annotations"}
"""Values that are shown as one, since they are somebody else's: Kubernetes' or a controller's."""


def table() -> str:
    text = (CHART / "values.yaml").read_text()
    comments = _comments(text)
    rows = ["| Value | Default | Meaning |", "|---|---|---|"]
    for path, value in _leaves(yaml.safe_load(text)):
        # A comment above a group is its first value's.
        above = [comments.pop(path[:length], "") for length in range(1, len(path) + 1)]
        rows.append(f"| `{'.'.join(path)}` | `{json.dumps(value)}` | {'. '.join(one for one in above if one)} |")
    return "\n".join(rows) + "\n"


def with_table(text: str) -> str:
    before, rest = text.split(_BEGIN)
    return before + _BEGIN + table() + _END + rest.split(_END)[1]


def _leaves(values: dict[str, Any], *path: str) -> Iterator[tuple[tuple[str, ...], object]]:
    for name, value in values.items():
        below = (*path, name)
        if isinstance(value, dict) and value and name not in _WHOLE:
            yield from _leaves(value, *below)
        else:
            yield below, value


def _comments(text: str) -> dict[tuple[str, ...], str]:
    """Find the comment (`# -- …`) above each value."""
    found: dict[tuple[str, ...], str] = {}
    path: list[str] = []
    comment = ""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            comment += " " + stripped.lstrip("# -") if comment or stripped.startswith("# -- ") else ""
        elif key := _KEY.match(line):
            path[len(key[1]) // 2 :] = [key[2]]
            if comment:
                found[tuple(path)] = comment.strip()
            comment = ""
    return found


if __name__ == "__main__":
    README.write_text(with_table(README.read_text()))
