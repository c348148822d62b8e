"""The page of a merge request in a real browser: what a reviewer sees first, on a desk and on a phone."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import NARROW, Visit
from tests.browser.pages import ML
from tests.browser.server import Site

pytestmark = [pytest.mark.browser]

PHONE = 844  # pixels high


def _bottom(page: Page, selector: str) -> float:
    box = page.locator(selector).first.bounding_box()
    assert box
    return box["y"] + box["height"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_sentence_gate_and_plot_first(visit: Visit, past: Site, scheme: str) -> None:
    with visit("reporter", width=NARROW, scheme=scheme) as page:
        for number in (1, 2):
            page.goto(f"{past.url}{ML}/merge_requests/{number}")
            for selector in (".headline h2", ".gate h2", ".verdicts tbody tr"):
                assert _bottom(page, selector) <= PHONE, (number, selector)
            assert page.evaluate("document.documentElement.scrollWidth") <= NARROW
            card = page.locator(".verdicts tbody tr").first
            assert card.evaluate("one => getComputedStyle(one).display") == "grid"
            for table in page.locator(".scroll:visible").all():
                assert table.evaluate("one => one.scrollWidth <= one.clientWidth"), table.get_attribute("aria-label")


def test_a_reviewer_finds_run_job_and_what_a_merge_makes(visit: Visit, past: Site) -> None:
    with visit("reporter") as page:
        page.goto(f"{past.url}{ML}/merge_requests")
        row = page.get_by_role("row").filter(has_text="Learn faster with a smaller tree")
        expect(row.locator(".badge").first).to_have_text("better")
        row.get_by_role("link", name="Learn faster").click()
        expect(page.locator(".headline h2")).to_contain_text("Does not block")
        expect(page.locator(".best-run h3")).to_contain_text("Merging makes churn 1.2.0")
        expect(page.locator(".changes[open] table")).to_contain_text("max_depth")
        expect(page.locator(".history tr.shown")).to_contain_text("is better")
        page.locator(".best-run").get_by_role("link").first.click()
        page.wait_for_url("**/candidates/*")


def test_a_plot_is_drawn_without_scripts(visit: Visit, past: Site) -> None:
    with visit("reporter", javascript=False) as page:
        page.goto(f"{past.url}{ML}/merge_requests/1")
        bar, zero = page.locator(".interval .bar.better").first, page.locator(".interval .zero").first
        drawn, at = bar.bounding_box(), zero.bounding_box()
        assert drawn
        assert at
        assert drawn["width"] > 0
        assert drawn["x"] > at["x"]  # all of it on the better side
        page.goto(f"{past.url}{ML}/merge_requests")
        page.get_by_role("link", name="Merged").click()
        expect(page.locator("main")).to_contain_text("No merged merge request has trained a model")
