"""The tasks on mltrail's pages, the shortest way that a user would take. Each starts at the list of experiments."""

import re

from playwright.sync_api import expect

from .hand import Hand, new_note

START = "/team/churn/-/ml/experiments"
READY = "table"


def best_run(hand: Hand) -> str:
    page = hand.page
    hand.click(page.get_by_role("link", name="sweep", exact=True), "open the experiment")
    hand.write(page.get_by_label("Search runs"), "last 7 days", enter=True)
    page.wait_for_url(re.compile("filter=last"))
    hand.click(page.get_by_role("columnheader", name="val_auc").get_by_role("link"), "sort by val_auc")
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("val_auc")
    return page.locator("table.runs tbody tr").first.locator("th a").first.inner_text()


def curves(hand: Hand) -> str:
    page = hand.page
    hand.click(page.get_by_role("link", name="vision", exact=True), "open the experiment")
    hand.click(page.locator("#charts summary", has_text="Charts"), "open the list of charts")
    hand.write(page.get_by_label("Find a metric"), "val_loss")
    hand.check(page.get_by_role("checkbox", name="val_loss", exact=True), "tick val_loss")
    hand.click(page.locator("#charts").get_by_role("button", name="Apply").first, "apply")
    page.wait_for_url(re.compile("chart=val_loss"))
    figure = page.locator("figure", has=page.get_by_text("val_loss", exact=True)).first
    figure.scroll_into_view_if_needed()
    figure.locator("canvas").wait_for()
    hand.check(page.get_by_label("Log scale"), "tick “Log scale”")
    hand.slide(page.get_by_label("Smoothing"), "0.8", "drag “Smoothing”")
    page.wait_for_url(re.compile("log=1.*smooth=0.8"))
    figure.scroll_into_view_if_needed()
    # Charts are redrawn in the next frame.
    page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    return "log axis, smoothing 0.8"


def importance(hand: Hand) -> str:
    page = hand.page
    hand.click(page.get_by_role("link", name="sweep", exact=True), "open the experiment")
    hand.click(page.get_by_role("link", name="Sweep", exact=True), "open the tab “Sweep”")
    return page.locator("table.importance tbody tr").first.inner_text()


def differences(hand: Hand) -> str:
    page = hand.page
    hand.click(page.get_by_role("link", name="churn", exact=True), "open the experiment")
    for place in (0, 5):
        box = page.locator("table.runs tbody input[type=checkbox]").nth(place)
        hand.check(box, "tick a run")
    hand.click(page.get_by_role("button", name="Compare").or_(page.get_by_text("Compare chosen")).first, "compare")
    page.get_by_role("heading", name="Compare 2 runs").wait_for()
    page.get_by_role("heading", name="What differs").evaluate("(heading) => heading.scrollIntoView()")
    return page.locator("table.compare").first.inner_text()


def picture(hand: Hand) -> str:
    page = hand.page
    hand.click(page.get_by_role("link", name="vision", exact=True), "open the experiment")
    hand.click(page.get_by_role("link", name="resnet50", exact=True).first, "open the run")
    hand.click(page.get_by_role("navigation", name="Run").get_by_role("link", name="Media"), "open the tab “Media”")
    hand.write(page.get_by_label("Step", exact=True), "3000", enter=True)
    expect(page.locator(".row-of-media .step").first).to_have_text("3,000")
    expect(page.locator(".row-of-media .big img").first).to_have_js_property("complete", value=True)
    return page.locator(".row-of-media .big img").first.get_attribute("alt") or ""


def origin(hand: Hand) -> str:
    page = hand.page
    hand.click(page.get_by_role("link", name="Models", exact=True).last, "open the models")
    hand.click(page.get_by_role("link", name="churn", exact=True).first, "open the model")
    hand.click(page.get_by_role("table").get_by_role("link", name="1.2.0").first, "open the version")
    return page.locator("ol.trail").inner_text()


def roll_back(hand: Hand) -> str:
    page = hand.page
    hand.click(page.get_by_role("link", name="Models", exact=True).last, "open the models")
    hand.click(page.get_by_role("link", name="churn", exact=True).first, "open the model")
    hand.click(page.get_by_role("button", name="Roll back to 1.1.0"), "roll back")
    expect(page.locator(".alias-cards .now")).to_have_text("1.1.0")
    return page.locator(".alias-cards").inner_text()


def after_roll_back(hand: Hand) -> None:
    """Undo it for the next round."""
    hand.page.get_by_role("button", name="Undo").click()
    expect(hand.page.locator(".alias-cards .now")).to_have_text("1.2.0")


def annotate(hand: Hand) -> str:
    page = hand.page
    hand.click(page.get_by_role("link", name="churn", exact=True), "open the experiment")
    hand.click(page.locator("table.runs tbody tr").first.locator("th a").first, "open the run")
    hand.click(page.get_by_text("Edit", exact=True), "open the menu “Edit”")
    note = new_note()
    hand.write(page.get_by_label("Description"), note)
    hand.click(page.get_by_role("button", name="Save"), "save")
    page.locator(".prose", has_text=note).wait_for()
    return page.locator("ol.trail").inner_text()


def share(hand: Hand) -> str:
    curves(hand)
    hand.restart()
    hand.copied("copy the address")
    with hand.elsewhere(hand.page.url) as page:
        page.locator("figure canvas").first.wait_for()
        expect(page.get_by_label("Log scale")).to_be_checked()
        expect(page.get_by_label("Smoothing")).to_have_value("0.8")
    return "same"
