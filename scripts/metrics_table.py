"""Write the table of metrics into docs/reference/metrics.md; a test compares the page with the code."""

import re
from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram

from mltrail_server.ops.instruments import Instruments
from mltrail_server.ops.metrics import READ

PAGE = Path(__file__).parents[1] / "docs/reference/metrics.md"
_TABLE = re.compile(r"(<!-- metrics -->\n).*?(<!-- end -->)", re.DOTALL)
_KINDS = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}


def metrics() -> dict[str, tuple[str, tuple[str, ...], str]]:
    """Kind, labels and meaning of each metric by its name."""
    found: dict[str, tuple[str, tuple[str, ...], str]] = {}
    for one in vars(Instruments()).values():
        if kind := _KINDS.get(type(one)):
            name = f"{one._name}_total" if kind == "counter" else one._name  # noqa: SLF001 - there is no other way
            found[name] = (kind, tuple(one._labelnames), one._documentation)  # noqa: SLF001 - the same
    return found | {one.name: ("gauge", one.labels, one.meaning) for one in READ}


def page() -> str:
    """The page with an up-to-date table."""
    return _TABLE.sub(lambda found: f"{found[1]}{_table()}{found[2]}", PAGE.read_text(encoding="utf-8"))


def _table() -> str:
    rows = ["| Metric | Type | Labels | Meaning |", "|---|---|---|---|"]
    for name, (kind, labels, meaning) in metrics().items():
        rows.append(f"| `{name}` | {kind} | {', '.join(f'`{one}`' for one in labels)} | {meaning} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
