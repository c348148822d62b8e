"""What changed between two runs, asked in a real browser."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import NARROW, WIDE, Visit
from tests.browser.pages import ML, settled
from tests.browser.server import Site
from tests.chromium import findings

pytestmark = [pytest.mark.browser]


def open_comparison(page: Page, past: Site) -> None:
    """Choose two runs in their experiment, and compare them."""
    page.goto(f"{past.url}{ML}/experiments")
    page.get_by_role("link", name="before and after").click()
    for name in ("before", "after"):
        page.get_by_label(f"Select {name}").check()
    page.get_by_role("button", name="Compare").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Compare 2 runs")


def test_what_changed_between_two_runs(visit: Visit, past: Site) -> None:
    with visit() as page:
        open_comparison(page, past)
        settled(page)
        page.get_by_role("columnheader", name="before").get_by_role("link", name="Make baseline").click()
        settled(page)
        for name, changed in (
            ("telco (training)", "+ charges (double)"),
            ("numpy", "2.3.1"),
            ("lr", "0.03"),
            ("stage", "after"),
        ):
            row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name, exact=True))
            expect(row).to_contain_text(changed)
        assert page.get_by_role("rowheader", name="layers").count() == 0
        diff = page.get_by_role("link", name="Show changes in GitLab").get_attribute("href") or ""
        assert "/team/churn/-/compare/" in diff
        order = page.locator("h2").all_inner_texts()
        assert [text.split()[0] for text in order][:3] == ["Charts", "What", "Pictures"]
        page.get_by_role("link", name="Also show").click()
        expect(page.get_by_role("rowheader", name="layers")).to_be_visible()


def test_pictures_of_one_step_are_side_by_side(visit: Visit, past: Site) -> None:
    with visit() as page:
        open_comparison(page, past)
        page.get_by_label("Step", exact=True).fill("20")
        page.get_by_role("button", name="Go").click()
        expect(page.locator("#pictures")).to_contain_text("at step 20")
        pictures = page.locator(".beside img")
        expect(pictures).to_have_count(2)
        for number in range(2):
            pictures.nth(number).scroll_into_view_if_needed()
            expect(pictures.nth(number)).to_have_js_property("naturalWidth", 120)


def test_the_comparison_can_be_read_by_everybody(visit: Visit, past: Site, axe: str) -> None:
    for scheme, width in (("light", WIDE), ("dark", NARROW)):
        with visit(scheme=scheme, width=width) as page:
            open_comparison(page, past)
            settled(page)
            assert findings(page, axe) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_link_to_runs_that_are_gone_leads_on(visit: Visit, past: Site) -> None:
    with visit(but="404") as page:
        page.goto(f"{past.url}{ML}/compare?run=1,99999")
        expect(page.get_by_role("status").or_(page.locator(".alert")).first).to_contain_text("no run number 99999")
        expect(page.get_by_role("heading", level=1)).to_have_text("Compare 1 run")
        page.goto(f"{past.url}{ML}/compare?run=99999")
        page.get_by_role("main").get_by_role("link", name="an experiment").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Experiments")
