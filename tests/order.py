"""The order of test files when two run at a time: the longest first, so that neither of the two ends long before the
other, whose last file takes minutes.
"""

from collections import Counter
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
LONGEST = (
    *("component/test_own_pipeline.py", "differential/test_differential.py", "component/test_whole_pipelines.py"),
    *(
        "clients",
        "install",
        "faults",
        "machines",
        "upgrades",
        "browser",
        "component/test_whole_snippets.py",
        "component/test_pipelines.py",
        "packaging",
    ),
    *("component/test_whole_jobs.py", "component/test_mirror.py", "component/test_track_cost.py", "e2e", "docs"),
    "store",
)
"""Files and suites whose tests are few and long. Of all others, those with the most tests take longest."""


def longest_first(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not hasattr(config, "workerinput"):
        return  # one file at a time, in random order
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (_place(item.path), -tests[item.path]))


def _place(path: Path) -> int:
    name = str(path.relative_to(TESTS))
    return next((place for place, begin in enumerate(LONGEST) if name.startswith(begin)), len(LONGEST))
