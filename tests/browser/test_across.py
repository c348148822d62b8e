"""Search by keyboard alone, and what is found across projects: on a wide screen, on a phone and without scripts."""

import re

from playwright.sync_api import expect

from tests.browser.conftest import NARROW, Visit
from tests.browser.server import Site
from tests.chromium import ALL, findings


def test_ctrl_k_finds_a_run_by_keyboard_alone(visit: Visit, past: Site, axe: str) -> None:
    with visit() as page:
        page.keyboard.press("Control+k")
        field = page.get_by_role("combobox", name="Search")
        expect(field).to_be_focused()
        # On a busy machine, what was typed first may be searched for, too.
        with page.expect_response(re.compile(r"q=lr0\.1(&|$)")) as answer:
            page.keyboard.type("lr0.1")
        answer.value.finished()
        options = page.get_by_role("option")
        expect(options.first).to_have_attribute("aria-selected", "true")
        assert findings(page, axe, ALL) == []
        page.keyboard.press("ArrowDown")
        expect(options.nth(1)).to_have_attribute("aria-selected", "true")
        expect(field).to_have_attribute("aria-activedescendant", "search-hit-1")
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowUp")
        expect(options.last).to_have_attribute("aria-selected", "true")
        page.keyboard.press("Escape")
        expect(field).to_be_hidden()

        page.keyboard.press("Control+k")
        page.keyboard.type("scratches")
        expect(page.get_by_role("option", name="scratches").first).to_have_attribute("aria-selected", "true")
        page.keyboard.press("Enter")
        page.wait_for_url("**/vision/defects/-/ml/**")

        page.keyboard.press("Control+k")
        page.keyboard.type("secret")
        expect(page.get_by_role("status").filter(has_text="Nothing found.")).to_be_visible()
        page.keyboard.press("Control+Enter")
        page.wait_for_url("**/-/search?q=secret*")
        expect(page.get_by_text("Nothing that you can see")).to_be_visible()


def test_the_dialog_fits_a_phone(visit: Visit, past: Site, axe: str) -> None:
    with visit(width=NARROW, scheme="dark") as page:
        page.goto(past.url)
        page.get_by_role("button", name="Search").click()
        page.keyboard.type("churn")
        expect(page.get_by_role("option").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW
        assert findings(page, axe, ALL) == []


def test_home_leads_to_a_failing_gate_and_a_dataset_to_what_changed_it(visit: Visit, past: Site) -> None:
    with visit(javascript=False) as page:
        page.goto(past.url)
        expect(page.get_by_text("fraud breaks “auc at least 0.9”.")).to_be_visible()
        page.get_by_role("textbox", name="Search").fill("payments")
        page.get_by_role("textbox", name="Search").press("Enter")
        page.get_by_role("link", name="payments").first.click()
        expect(page.get_by_text("amount: long → double")).to_be_visible()
        page.get_by_role("row", name="c0ffee42").get_by_role("link", name="!").click()
        page.wait_for_url("**/team/risk/fraud/-/ml/merge_requests/**")
