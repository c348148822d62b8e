"""Which parameter mattered, asked in a real browser: by mouse, by keyboard, without scripts and on a phone."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import NARROW, WIDE, Visit
from tests.browser.pages import ML
from tests.browser.server import Site
from tests.browser.sweep_world import TRIALS
from tests.chromium import findings

pytestmark = [pytest.mark.browser]


def open_sweep(page: Page, past: Site) -> None:
    """Find the sweep as people do, from the list of experiments."""
    page.goto(f"{past.url}{ML}/experiments")
    page.get_by_role("link", name="sweep", exact=True).click()
    page.get_by_role("navigation", name="Experiment").get_by_role("link", name="Sweep").click()
    page.wait_for_url("**/sweep")  # with its styles and scripts


def test_which_parameter_mattered(visit: Visit, past: Site) -> None:
    with visit() as page:
        open_sweep(page, past)
        expect(page.locator(".headline")).to_contain_text("lr mattered most for val_loss")
        row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="lr", exact=True))
        expect(row).to_contain_text("%")
        expect(page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="dropout"))).to_contain_text(
            "Can't tell"
        )


def test_runs_are_chosen_by_dragging_along_an_axis(visit: Visit, past: Site) -> None:
    with visit() as page:
        open_sweep(page, past)
        before = page.locator(".lines polyline.off").count()
        assert before == 0
        bar = page.locator(".hit").last
        bar.scroll_into_view_if_needed()
        box = bar.bounding_box()
        assert box
        across = box["x"] + box["width"] / 2
        page.mouse.move(across, box["y"] + box["height"] * 0.9)
        page.mouse.down()
        page.mouse.move(across, box["y"] + box["height"] * 0.6, steps=4)
        with page.expect_response(re.compile("high")):
            page.mouse.up()
        page.wait_for_url(re.compile("high%3Ametrics.val_loss="))
        expect(page.locator("#chosen")).to_contain_text("Selected runs")
        chosen = int(re.sub(r"\D", "", page.locator("#chosen .count").inner_text()))
        assert 0 < chosen < TRIALS
        expect(page.locator(".lines polyline:not(.off)")).to_have_count(chosen)
        link = page.url
        first = page.locator("#chosen-runs tbody th").first.inner_text()
        page.get_by_role("link", name="Open these in the table").click()
        expect(page.locator("tbody tr", has_text=first).first).to_be_visible()
    with visit("reporter") as other:
        other.goto(link)
        expect(other.locator(".lines polyline:not(.off)")).to_have_count(chosen)


def test_runs_are_chosen_by_keyboard(visit: Visit, past: Site) -> None:
    with visit() as page:
        open_sweep(page, past)
        handle = page.get_by_role("slider", name="val_loss, upper limit")
        handle.focus()
        for _ in range(10):
            page.keyboard.press("ArrowDown")
        page.wait_for_url(re.compile("high%3Ametrics.val_loss="))
        expect(page.locator("#chosen")).to_contain_text("Selected runs")
        assert page.locator(".lines polyline.off").count() > 0
        page.keyboard.press("Escape")
        page.wait_for_url(re.compile(r"/sweep\??[^%]*$"))
        expect(page.locator(".lines polyline.off")).to_have_count(0)


def test_runs_are_chosen_without_scripts(visit: Visit, past: Site) -> None:
    with visit(javascript=False) as page:
        open_sweep(page, past)
        page.get_by_text("Select runs by their values").click()
        page.locator("[name='high:metrics.val_loss']").fill("0.5")
        page.get_by_label("adam").check()
        page.get_by_role("button", name="Select", exact=True).click()
        page.wait_for_url(re.compile("high%3Ametrics.val_loss=0.5"))
        expect(page.locator("#chosen")).to_contain_text("Selected runs")
        assert page.locator(".lines polyline.off").count() > 0
        texts = page.locator("#chosen-runs tbody tr").all_inner_texts()
        assert texts
        assert all("adam" in text for text in texts)


def test_the_sweep_can_be_read_by_everybody(visit: Visit, past: Site, axe: str) -> None:
    for scheme, width in (("light", WIDE), ("dark", NARROW)):
        with visit(scheme=scheme, width=width) as page:
            open_sweep(page, past)
            assert findings(page, axe) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width
