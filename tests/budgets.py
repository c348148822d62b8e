"""What each suite may take, in seconds on two cores, and what it took: printed at the end of a run.

A suite beyond its budget is a suite to mend, and no failure: machines differ.
"""

from collections import Counter

import pytest

BUDGETS = {
    "api": 480,
    "backups": 70,
    "browser": 200,
    "chart": 60,
    "clients": 360,
    "component": 320,
    "contract": 90,
    "deploy": 60,
    "differential": 240,
    "docs": 90,
    "e2e": 120,
    "faults": 240,
    "install": 120,
    "machines": 180,
    "moving": 150,
    "packaging": 450,
    "sources": 120,
    "store": 90,
    "ui": 120,
    "upgrades": 90,
    "unit": 90,
}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    spent: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                spent[report.nodeid.split("/")[1]] += round(report.duration * 1000)
    if len(spent) < 2:
        return
    terminalreporter.section("seconds by suite")
    for suite, milliseconds in sorted(spent.items()):
        terminalreporter.write_line(f"{suite:13} {milliseconds / 1000:6.1f} of {BUDGETS.get(suite, 0)}")
