"""A browser, a server with a past, and what every page is held to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.across_world import Others
from tests.browser.answers import Answers
from tests.browser.charts_world import Trainings
from tests.browser.run_world import Laptop
from tests.browser.server import Site, site
from tests.browser.sweep_world import Changes
from tests.browser.world import Past
from tests.chromium import LOCATOR_SECONDS
from tests.clock import FrozenClock

WIDE, NARROW = 1440, 390
ABORTED = "net::ERR_ABORTED"

Visit = Callable[..., Any]


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site"), FrozenClock()) as served:
        Past(served).make()
        Answers(served).make()
        Others(served).make()
        Trainings(served).make()
        Laptop(served).make()
        Changes(served).make()
        yield served


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
        context.set_default_timeout(LOCATOR_SECONDS * 1000)
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
