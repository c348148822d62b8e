"""A browser, a server with a past, and what every page is held to."""

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.answers import Answers
from tests.browser.server import Site, site
from tests.browser.world import Past
from tests.clock import FrozenClock
from tests.places import ROOT
from tests.processes import PATIENCE_SECONDS, one_at_a_time

AXE = ROOT / ".cache/npm/axe-core/axe.min.js"
GRAVE = {"serious", "critical"}
WIDE, NARROW = 1440, 390
ABORTED = "net::ERR_ABORTED"

Visit = Callable[..., Any]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, or the one that CHROMIUM names."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium")
    assert found, "Chromium not found: apt-get install chromium, or set CHROMIUM to its path."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, timeout=PATIENCE_SECONDS * 1000)
        expect.set_options(timeout=PATIENCE_SECONDS * 1000)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site"), FrozenClock()) as served:
        Past(served).make()
        Answers(served).make()
        yield served


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
            packages.fetch(Path(__file__).parent / "npm.json", AXE.parents[1])
        return AXE.read_text()


@pytest.fixture
def visit(chromium: Browser, past: Site) -> Visit:
    """Answers a context manager that signs somebody in and gives a page, on which nothing may go wrong unnoticed but
    what holds the text `but`.
    """

    @contextmanager
    def open_page(
        role: str = "developer", *, width: int = WIDE, scheme: str = "light", javascript: bool = True, but: str = ""
    ) -> Iterator[Page]:
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,  # type: ignore[arg-type] # light or dark
            java_script_enabled=javascript,
            accept_downloads=True,
        )
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        problems: list[str] = []
        page = _page(context, problems)
        page.goto(f"{past.url}/-/sign-in?next=/team/churn/-/ml/experiments")
        page.fill("#token", past.team.tokens[role])
        page.click("text=Sign in with a token")
        page.wait_for_url("**/-/ml/experiments")
        yield page
        context.close()
        assert [one for one in problems if not but or but not in one] == []

    return open_page


def _page(context: BrowserContext, problems: list[str]) -> Page:
    """Open a page that notes every error of its console, of its scripts and of its policy."""
    page = context.new_page()
    page.on("console", lambda said: problems.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    # A request is aborted when the page goes on, and when what it gets is saved as a file.
    page.on(
        "requestfailed",
        lambda asked: problems.append(f"{asked.url} {asked.failure}") if asked.failure != ABORTED else None,
    )
    return page


def findings(page: Page, axe: str) -> list[str]:
    """Run axe-core and list what is serious. It runs in a world of its own, past the page's policy."""
    found = page.evaluate(f"{axe}; axe.run(document, {{resultTypes: ['violations']}})")
    return [
        f"{one['id']}: {node['html'][:200]} {node.get('failureSummary', '')[:300]}"
        for one in found["violations"]
        if one["impact"] in GRAVE
        for node in one["nodes"]
    ]
