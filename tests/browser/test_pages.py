"""Every page in a real browser: nothing is refused, nothing fails, everybody can read it, and it fits."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NARROW, WIDE, Visit
from tests.browser.pages import ML, PAGES, settled
from tests.browser.server import Site
from tests.chromium import findings

pytestmark = [pytest.mark.browser]

DRAWN = "Promise.all([...document.images].map((one) => ((one.loading = 'eager'), one.decode()))).then(() => true)"
"""Draws even the images that wait until they come into view."""
LOOKS = [("light", WIDE), ("dark", WIDE), ("light", NARROW), ("dark", NARROW)]


@pytest.mark.parametrize(("scheme", "width"), LOOKS, ids=str)
def test_every_page_is_whole(visit: Visit, past: Site, axe: str, scheme: str, width: int) -> None:
    found: list[str] = []
    with visit("maintainer", scheme=scheme, width=width) as page:
        for name, path in PAGES.items():
            answer = page.goto(past.url + path)
            assert answer
            assert answer.status == 200, name
            settled(page)
            found += [f"{name}: {one}" for one in findings(page, axe)]
            across = page.evaluate("document.documentElement.scrollWidth")
            if across > width:
                found.append(f"{name}: {across} pixels wide")
            assert page.evaluate(DRAWN), name
    assert found == []


def test_every_page_works_without_scripts(visit: Visit, past: Site) -> None:
    with visit("maintainer", javascript=False) as page:
        for name, path in PAGES.items():
            answer = page.goto(past.url + path)
            assert answer
            assert answer.status == 200, name
            assert page.locator("h1").first.is_visible(), name
        page.goto(past.url + PAGES["charts"])
        expect(page.locator("noscript img")).to_have_count(2)
        page.goto(past.url + PAGES["candidates"])
        page.locator("summary", has_text="Columns").click()
        page.get_by_label("max_depth").first.uncheck()
        page.click("text=Apply")
        expect(page.locator("thead")).not_to_contain_text("max_depth")


def test_a_page_that_is_not_there(visit: Visit, past: Site) -> None:
    with visit(but="404") as page:
        page.goto(f"{past.url}{ML}/candidates/9999")
        assert "no run number 9999" in page.inner_text("main")


def test_sign_in_and_out(visit: Visit, past: Site, axe: str) -> None:
    with visit() as page:
        page.locator("header summary").click()
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url(re.compile("/-/sign-in"))
        assert findings(page, axe) == []
        page.goto(past.url + PAGES["candidate"])
        assert "/-/sign-in" in page.url
