"""Charts in a real browser: the same view for all who open a link, with and without scripts, and live."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.charts_world import Trainings
from tests.browser.conftest import NARROW, Visit
from tests.browser.pages import ML, settled
from tests.browser.server import Site
from tests.chromium import LOCATOR_SECONDS

pytestmark = [pytest.mark.browser]


def find(page: Page, past: Site, run: str) -> str:
    """Return the address of a run's page by its MLflow run id."""
    page.goto(f"{past.url}{ML}/runs/{run}")
    return page.url


def open_four(page: Page, past: Site) -> None:
    """Choose four trainings in their experiment, and compare them."""
    page.goto(f"{past.url}{ML}/experiments")
    page.get_by_role("link", name="curves", exact=True).first.click()
    for number in range(4):
        page.get_by_label(f"Select curve {number}").check()
    page.get_by_role("button", name="Compare").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Compare 4 runs")
    settled(page)


def move_to_end(page: Page, words: str) -> None:
    """Press End in the chart until it says these words: it is drawn only in a frame after its points have arrived."""
    plot, spoken = page.locator("figure .plot"), page.locator("figure [aria-live]")
    plot.focus()
    for _ in range(int(LOCATOR_SECONDS)):
        page.keyboard.press("End")
        try:
            return expect(spoken).to_contain_text(words, timeout=1000)
        except AssertionError:
            plot.focus()
    raise AssertionError(f"The chart never said {words!r} at its end, but {spoken.text_content()!r}.")


def test_four_smoothed_losses_on_a_log_axis_are_the_same_by_link(visit: Visit, past: Site) -> None:
    with visit() as page:
        open_four(page, past)
        page.get_by_label("Log scale").check()
        page.get_by_label("Smoothing").fill("0.8")
        settled(page)  # until then, each change replaces the chart
        over = page.locator("figure .u-over").first
        box = over.bounding_box()
        assert box
        over.hover(position={"x": box["width"] * 0.25, "y": 40})
        page.mouse.down()
        over.hover(position={"x": box["width"] * 0.5, "y": 40})
        with page.expect_response(re.compile("from=.*to=")):
            page.mouse.up()
        page.wait_for_url(re.compile("log=1.*smooth=0.8.*zoom=|zoom=.*log=1"))
        settled(page)  # the finer points replace the chart, and what the mouse points at with it
        link = page.url
        state = page.evaluate("JSON.stringify(mltrail.charts.state)")
        over.hover(position={"x": box["width"] * 0.5, "y": 40})
        expect(page.locator("figure .tip").first).to_contain_text("curve 0")
        page.get_by_role("button", name="curve 0").click()
        expect(page.get_by_role("button", name="curve 0")).to_have_attribute("aria-pressed", "false")
        settled(page)
        over.hover(position={"x": box["width"] * 0.4, "y": 50})
        expect(page.locator("figure .tip").first).not_to_contain_text("curve 0")
    with visit("reporter", width=NARROW, scheme="dark") as other:
        other.goto(link)
        settled(other)
        expect(other.get_by_label("Log scale")).to_be_checked()
        expect(other.get_by_label("Smoothing")).to_have_value("0.8")
        assert other.evaluate("JSON.stringify(mltrail.charts.state)") == state
        other.get_by_role("link", name="Reset zoom").click()
        other.wait_for_url(lambda url: "zoom" not in url)
        expect(other.get_by_role("link", name="Reset zoom")).to_be_hidden()
    with visit("reporter", javascript=False) as plain:
        plain.goto(link)
        expect(plain.get_by_label("Log scale")).to_be_checked()
        picture = plain.locator("figure img").first
        assert re.search("log=1&smooth=0.8&zoom=", picture.get_attribute("src") or "")
        plot = plain.locator("figure .plot").first.bounding_box()
        drawn = picture.bounding_box()
        assert plot
        assert drawn
        assert plot["height"] - drawn["height"] < 4
        plain.get_by_label("Smoothing").fill("0.5")
        plain.get_by_role("button", name="Apply").click()
        plain.wait_for_url(re.compile("smooth=0.5"))
        assert "run=" in plain.url


def test_a_chart_is_read_and_zoomed_by_keyboard(visit: Visit, past: Site) -> None:
    with visit() as page:
        open_four(page, past)
        page.locator("figure .plot").first.focus()
        page.keyboard.press("End")
        spoken = page.locator("figure [aria-live]").first
        expect(spoken).to_contain_text("curve 3")
        page.keyboard.press("+")
        page.wait_for_url(re.compile("zoom="))
        page.keyboard.press("0")
        page.wait_for_url(lambda url: "zoom" not in url)


def test_a_running_run_moves_until_it_ends(visit: Visit, past: Site) -> None:
    trainings = Trainings(past)
    run = trainings.begin("under way")
    trainings.log(run, "val_loss", [1.0, 0.9])
    with visit() as page:
        page.goto(f"{find(page, past, run)}/metric?key=val_loss")
        settled(page)
        expect(page.locator("[data-live-metric]")).to_have_text("0.9")
        with page.expect_response(re.compile("curves.*from=1")):
            trainings.log(run, "val_loss", [0.8, 0.7], start=2)
        expect(page.locator("[data-live-metric]")).to_have_text("0.7")
        move_to_end(page, "step 3")
        trainings.finish(run)
        expect(page.locator(".title")).to_contain_text("Finished")


def test_a_part_chosen_by_dragging_survives_new_points(visit: Visit, past: Site) -> None:
    trainings = Trainings(past)
    run = trainings.begin("grows under the hand")
    trainings.log(run, "val_loss", [1.0, 0.9, 0.8, 0.7])
    with visit() as page:
        page.goto(f"{find(page, past, run)}/metric?key=val_loss")
        settled(page)
        over = page.locator("figure .u-over").first
        box = over.bounding_box()
        assert box
        over.hover(position={"x": box["width"] * 0.3, "y": 40})
        page.mouse.down()
        with page.expect_response(re.compile("curves.*from=3")):
            trainings.log(run, "val_loss", [0.6, 0.5], start=4)
        expect(page.locator("[data-live-metric]")).to_have_text("0.5")
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 40, steps=3)
        page.mouse.up()
        page.wait_for_url(re.compile("zoom="))
        settled(page)
        page.get_by_role("link", name="Reset zoom").click()
        move_to_end(page, "step 5")
    trainings.finish(run)


def test_a_context_menu_does_not_stop_a_chart(visit: Visit, past: Site) -> None:
    """A browser that opens it when the button goes down does not say when it comes up again."""
    trainings = Trainings(past)
    run = trainings.begin("goes on beside a menu")
    trainings.log(run, "val_loss", [1.0, 0.9])
    with visit() as page:
        page.goto(f"{find(page, past, run)}/metric?key=val_loss")
        settled(page)
        page.locator("figure .u-over").first.hover()
        page.mouse.down(button="right")
        trainings.log(run, "val_loss", [0.8], start=2)
        expect(page.locator("[data-live-metric]")).to_have_text("0.8")
        move_to_end(page, "step 2")
    trainings.finish(run)
