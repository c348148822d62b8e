"""docs/reference/metrics.md is what the code measures."""

from scripts.metrics_table import PAGE, page


def test_the_page_lists_every_metric() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m scripts.metrics_table"
