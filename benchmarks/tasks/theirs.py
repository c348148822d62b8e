"""The tasks on the pages of MLflow 3.18, the shortest way that we found. Each starts at the list of experiments, with
the assistant closed and "Model training" chosen, as somebody has it who uses the pages every day.
"""

import re

from playwright.sync_api import Error, Locator, expect

from .hand import Hand, new_name, new_note

START = "/#/experiments"
READY = "a[href*='/experiments/']"
STORED = {"mlflow.workflowType_v1": '"machine_learning"', "mlflow.assistant.panelOpen_v1": "false"}
STORED |= {"mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true"}


def _open(hand: Hand, name: str) -> None:
    hand.click(hand.page.get_by_role("link", name=name, exact=True).first, "open the experiment")
    hand.page.get_by_text("matching runs").wait_for()


def _charts(hand: Hand) -> Locator:
    hand.click(hand.page.locator("[role=radiogroup] label, .du-bois-light-radio-button-wrapper").nth(1), "chart view")
    found = hand.page.get_by_placeholder("Search metric charts")
    found.wait_for()
    return found


def _menu(hand: Hand, item: str) -> None:
    hand.click(hand.page.get_by_role("menuitem", name=item), f"choose “{item}”")


def _registry(hand: Hand) -> None:
    hand.click(hand.page.get_by_text("Model registry").first, "open the models")
    hand.page.get_by_role("link", name="churn").first.wait_for()
    # What is new in the registry is shown to everybody once: not counted.
    news = hand.page.get_by_role("button", name="Try it now")
    try:
        news.click(timeout=3_000)
    except Error:
        return
    news.wait_for(state="hidden")


def best_run(hand: Hand) -> str:
    page = hand.page
    _open(hand, "sweep")
    hand.click(page.get_by_test_id("start-time-select-dropdown"), "open the list of times")
    hand.click(page.get_by_text("Last 7 days"), "choose the last 7 days")
    page.wait_for_url(re.compile("LAST_7_DAYS"))
    first = page.locator(".ag-row[row-index='0'] a").first
    newest = first.inner_text()
    hand.click(page.get_by_test_id("sort-select-dropdown"), "open the list of columns to sort by")
    hand.click(page.get_by_text("val_auc", exact=True).last, "choose val_auc")
    page.wait_for_url(re.compile("val_auc"))
    page.get_by_text("Sort: val_auc").wait_for()
    # The newest run stays in the first row until the answer has come.
    expect(first).not_to_have_text(newest)
    return first.inner_text()


def curves(hand: Hand) -> str:
    page = hand.page
    _open(hand, "vision")
    hand.write(_charts(hand), "val_loss")
    card = page.get_by_test_id("experiment-view-compare-runs-card-menu")
    expect(card).to_have_count(2)
    hand.click(card.nth(1), "open the chart's menu")
    _menu(hand, "Configure")
    dialog = page.get_by_role("dialog").last
    hand.click(dialog.get_by_role("switch").nth(1), "switch the y axis to log")
    hand.click(dialog.get_by_text("Custom", exact=True), "choose a smoothing of its own")
    hand.write(dialog.locator("input[type=number]").last, "80", enter=True)
    hand.click(page.get_by_role("button", name="Save changes"), "save")
    dialog.wait_for(state="hidden")
    page.locator(".js-plotly-plot .scatterlayer .trace").first.wait_for()
    return "log axis, smoothing 80"


def importance(hand: Hand) -> str:
    """A plot of parallel coordinates, from which people judge by eye: there is no measure of importance."""
    page = hand.page
    _open(hand, "sweep")
    hand.click(page.locator(".ag-header-select-all").first, "tick all runs that are loaded")
    hand.click(page.get_by_test_id("runs-compare-button"), "compare")
    page.locator(".js-plotly-plot svg").first.wait_for()
    return page.get_by_role("main").inner_text()


def differences(hand: Hand) -> str:
    page = hand.page
    _open(hand, "churn")
    boxes = page.locator(".ag-row .ag-selection-checkbox")
    hand.click(boxes.nth(0), "tick a run")
    hand.click(boxes.nth(5), "tick a run")
    hand.click(page.get_by_test_id("runs-compare-button"), "compare")
    page.get_by_text("Show diff only").first.wait_for()
    hand.click(page.get_by_text("Show diff only").first, "show only what differs, of parameters")
    return page.get_by_role("main").inner_text()


def picture(hand: Hand) -> str:
    page = hand.page
    _open(hand, "vision")
    hand.write(_charts(hand), "samples")
    step = page.locator("input[type=number]").first
    step.wait_for()
    hand.write(step, "3000")
    step.press("Tab")
    # It is below the names of all parameters.
    page.locator("img[src^='blob:']").last.scroll_into_view_if_needed()
    return step.input_value()


def origin(hand: Hand) -> str:
    """The run only: no job and no merge request."""
    page = hand.page
    _registry(hand)
    hand.click(page.get_by_role("link", name="churn").first, "open the model")
    hand.click(page.get_by_role("link", name="Version 3"), "open the version")
    page.get_by_text("Source Run").first.wait_for()
    return page.get_by_role("main").inner_text()


def annotate(hand: Hand) -> str:
    """The note only: nothing says whether the run is verified."""
    page = hand.page
    _open(hand, "churn")
    hand.click(page.locator(".ag-row[row-index='0'] a").first, "open the run")
    hand.click(page.get_by_test_id("descriptionEditButton").or_(page.get_by_label("Edit description")).first, "edit")
    note = new_note()
    hand.write(page.locator("textarea").first, note)
    hand.click(page.get_by_role("button", name="Save").first, "save")
    page.locator("textarea").first.wait_for(state="hidden")
    page.get_by_text(note).first.wait_for()
    return "the note is shown"


def roll_back(hand: Hand) -> str:
    page = hand.page
    _registry(hand)
    hand.click(page.get_by_role("link", name="churn").first, "open the model")
    return _move_champion(hand, "Version 2")


def after_roll_back(hand: Hand) -> None:
    """Move it back for the next round."""
    _move_champion(hand, "Version 3")


def _move_champion(hand: Hand, version: str) -> str:
    """Move the alias by adding it to another version. The table shows that only when the page is loaded again."""
    page = hand.page
    row = page.get_by_role("row", name=re.compile(version))
    hand.click(row.get_by_role("button", name="Add").last, "add an alias to the version")
    dialog = page.get_by_role("dialog").last
    hand.write(dialog.locator("input").first, "champion", enter=True)
    with page.expect_response(re.compile("registered-models/alias")):
        hand.click(dialog.get_by_role("button", name="Save aliases"), "save")
    dialog.wait_for(state="hidden")
    hand.reload()
    row = page.locator("[role=row]", has_text=version).filter(has_text="champion")
    row.wait_for()
    return row.inner_text()


def share(hand: Hand) -> str:
    curves(hand)
    hand.restart()
    page = hand.page
    hand.click(page.get_by_role("button", name="Views"), "open the menu “Views”")
    hand.click(page.get_by_text("Save as new view"), "choose “Save as new view”")
    dialog = page.get_by_role("dialog").last
    hand.write(dialog.get_by_placeholder("View name"), new_name())
    hand.click(dialog.get_by_role("button", name="Save"), "save")
    hand.click(dialog.get_by_role("button", name="Copy"), "copy the link")
    with hand.elsewhere(dialog.locator("input").input_value()) as other:
        other.wait_for_function(
            "[...document.querySelectorAll('.js-plotly-plot')].some((one) => one.layout?.yaxis?.type === 'log')"
        )
        return "the log axis is the same"
