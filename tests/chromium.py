"""A browser for tests of pages, and axe-core, which finds what makes pages hard to use for people with disabilities."""

import importlib.util
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.places import ROOT
from tests.processes import PATIENCE_SECONDS, one_at_a_time

AXE = ROOT / ".cache/npm/axe-core/axe.min.js"
GRAVE = frozenset({"serious", "critical"})
ALL = GRAVE | {"minor", "moderate"}
LOCATOR_SECONDS = 90.0
"""How long a busy machine may take to show what a page has. A test with a wrong locator waits as long."""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, or the one that CHROMIUM names."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium")
    assert found, "Chromium not found: apt-get install chromium, or set CHROMIUM to its path."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, timeout=PATIENCE_SECONDS * 1000)
        expect.set_options(timeout=LOCATOR_SECONDS * 1000)
        yield browser
        browser.close()


def open_page(chromium: Browser, **options: Any) -> Page:
    """Open an empty page that gives a busy machine time."""
    page = chromium.new_page(**options)
    page.set_default_timeout(PATIENCE_SECONDS * 1000)
    return page


@pytest.fixture(scope="session")
def axe() -> str:
    """The rules of axe-core, from npm by name; kept between runs of the tests."""
    with one_at_a_time(AXE.parents[1]):
        if not AXE.exists():
            spec = importlib.util.spec_from_file_location("packages", ROOT / "assets/packages.py")
            assert spec
            assert spec.loader
            packages = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(packages)
            packages.fetch(ROOT / "tests/browser/npm.json", AXE.parents[1])
        return AXE.read_text()


def findings(page: Page, axe: str, impacts: frozenset[str] = GRAVE) -> list[str]:
    """Run axe-core and list findings with these impacts. It runs in an isolated world, past the page's own policy."""
    found = page.evaluate(f"{axe}; axe.run(document, {{resultTypes: ['violations']}})")
    return [
        f"{one['id']}: {node['html'][:200]} {node.get('failureSummary', '')[:300]}"
        for one in found["violations"]
        if one["impact"] in impacts
        for node in one["nodes"]
    ]
