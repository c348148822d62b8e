"""What people do on the pages, with mouse and keyboard."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.pages import ML, PAGES, settled
from tests.browser.server import Site

pytestmark = [pytest.mark.browser]


def test_filter_with_completion_and_chips(visit: Visit, past: Site) -> None:
    with visit() as page:
        page.goto(f"{past.url}{ML}/experiments/1")
        box = page.get_by_role("combobox", name="Search runs")
        box.press_sequentially("val_acc")
        expect(page.get_by_role("listbox").get_by_role("option")).to_have_count(1)
        box.press("ArrowDown")
        box.press("Enter")
        expect(box).to_have_value("metrics.val_accuracy ")
        box.press_sequentially("> 0.9")
        box.press("Enter")
        page.wait_for_url(re.compile("filter="))
        rows = page.locator("tbody tr")
        few = rows.count()
        assert 0 < few < 16
        page.get_by_role("link", name=re.compile("^Remove metrics.val_accuracy")).click()
        expect(rows).to_have_count(16)


def test_sort_choose_columns_and_go_on_in_csv(visit: Visit, past: Site) -> None:
    with visit() as page:
        page.goto(f"{past.url}{ML}/experiments/1")
        page.get_by_role("link", name="val_accuracy").click()
        expect(page.locator("th[aria-sort=descending]")).to_contain_text("val_accuracy")
        page.locator("summary", has_text="Columns").click()
        page.get_by_role("checkbox", name="Pipeline").check()
        page.get_by_role("button", name="Apply").click()
        expect(page.get_by_role("columnheader", name="Pipeline")).to_be_visible()
        expect(page.locator("th[aria-sort=descending]")).to_contain_text("val_accuracy")
        with page.expect_download() as downloading:
            page.get_by_role("link", name="CSV").click()
        lines = downloading.value.path().read_text().splitlines()
        assert len(lines) == 17
        assert "metrics.val_accuracy" in lines[0]


def test_menus_close_with_escape(visit: Visit, past: Site) -> None:
    with visit() as page:
        page.goto(f"{past.url}{ML}/experiments/1")
        page.click("text=Add a filter")
        expect(page.get_by_label("Comparison")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_label("Comparison")).to_be_hidden()


def test_the_keyboard_reaches_the_content_first(visit: Visit, past: Site) -> None:
    with visit() as page:
        page.goto(f"{past.url}{ML}/experiments/1")
        page.keyboard.press("Tab")
        expect(page.locator(".skip").first).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#main")).to_be_focused()


def test_compare_chosen_runs_and_play_with_the_curves(visit: Visit, past: Site) -> None:
    with visit() as page:
        page.goto(past.url + PAGES["candidates"])
        for box in page.locator("tbody input[type=checkbox]").all()[:3]:
            box.check()
        page.get_by_role("button", name="Compare", exact=True).click()
        expect(page.get_by_role("heading", name="Compare 3 runs")).to_be_visible()
        settled(page)
        expect(page.locator("figure canvas").first).to_be_visible()
        page.get_by_label("Log scale").check()
        page.get_by_label("Smoothing").fill("0.8")
        page.get_by_label("Axis").select_option("time")
        # In any order: what is written later than the others comes last.
        page.wait_for_url(re.compile(r"\?(?=.*axis=time)(?=.*log=1)(?=.*smooth=0\.8)"))
        settled(page)
        page.get_by_role("link", name="Make baseline").first.click()
        expect(page.locator(".badge", has_text="Baseline")).to_have_count(1)
        expect(page.locator(".delta.better, .delta.worse").first).to_be_visible()


def test_files_are_previewed_and_never_run(visit: Visit, past: Site) -> None:
    with visit() as page:
        page.goto(past.url + PAGES["files"])
        page.get_by_role("link", name="report.html", exact=True).click()
        page.get_by_role("link", name="As text").click()
        expect(page.locator(".preview .code")).to_contain_text("<script>")
        assert "run by a file" not in page.title()
        with page.expect_download() as downloading:
            page.get_by_role("link", name="Download", exact=True).click()
        assert downloading.value.suggested_filename == "report.html"


def test_rename_describe_delete_and_restore_a_run(visit: Visit, past: Site) -> None:
    with visit() as page:
        page.goto(f"{past.url}{ML}/experiments/1?filter=run_name+%3D+%27notebook+try%27")
        page.get_by_role("link", name="notebook try", exact=True).click()
        page.get_by_text("Edit", exact=True).click()
        page.get_by_label("Name", exact=True).fill("laptop try")
        page.get_by_role("button", name="Rename").click()
        expect(page.get_by_role("heading", name="laptop try")).to_be_visible()
        page.get_by_text("Edit", exact=True).click()
        page.get_by_label("Description").fill("Only a try.")
        page.get_by_role("button", name="Save").click()
        expect(page.locator(".prose").first).to_have_text("Only a try.")
        page.get_by_text("Edit", exact=True).click()
        page.get_by_role("button", name="Delete run").click()
        page.get_by_role("button", name="Delete run").click()
        expect(page.get_by_text("Deleted", exact=True)).to_be_visible()
        page.get_by_role("button", name="Restore").click()
        page.get_by_text("Edit", exact=True).click()
        page.get_by_label("Name", exact=True).fill("notebook try")
        page.get_by_role("button", name="Rename").click()
        expect(page.get_by_role("heading", name="notebook try")).to_be_visible()


def test_experiments_are_made_and_deleted(visit: Visit, past: Site) -> None:
    with visit() as page:
        page.goto(past.url + PAGES["experiments"])
        page.click("text=New experiment")
        page.locator("details[open]").get_by_label("Name").fill("probe")
        page.get_by_role("button", name="Create").click()
        expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()
        page.get_by_role("link", name="Edit", exact=True).click()
        page.get_by_role("button", name="Delete experiment").click()
        page.get_by_role("button", name="Delete experiment").click()
        expect(page.get_by_text("Deleted the experiment “probe”")).to_be_visible()
        page.goto(past.url + PAGES["experiments"])
        expect(page.get_by_role("link", name="probe")).to_have_count(0)


def test_a_maintainer_rolls_back_and_forward(visit: Visit, past: Site) -> None:
    with visit("maintainer") as page:
        page.goto(past.url + PAGES["model"])
        page.get_by_role("button", name="Roll back to 1.0.0").click()
        aliases = page.locator("section[aria-labelledby=aliases] li")
        expect(aliases).to_contain_text("1.0.0")
        page.get_by_label("Point alias").fill("champion")
        page.get_by_label("at version").select_option("1.1.0")
        page.get_by_label("Reason for moving the alias").fill("the fix is in")
        page.get_by_role("button", name="Move", exact=True).click()
        expect(aliases).to_contain_text("1.1.0")
        expect(page.locator("section[aria-labelledby=history]")).to_contain_text("the fix is in")


def test_from_a_broken_case_to_feedback_on_its_trace(visit: Visit, past: Site) -> None:
    with visit() as page:
        page.goto(past.url + PAGES["merge request with an evaluation"])
        page.get_by_role("link", name="evaluation", exact=True).click()
        page.get_by_role("link", name="Broke 1").click()
        rows = page.locator("table.cases tbody tr")
        expect(rows).to_have_count(1)
        expect(rows.locator("del")).to_contain_text("in Germany and Austria")
        rows.get_by_role("link").click()
        expect(page.get_by_text("which is left out")).to_be_visible()
        page.locator("section[aria-labelledby=now]").get_by_role("link", name="Full trace").click()
        page.get_by_role("link", name="complete").click()
        expect(page.locator(".message.user")).to_contain_text("Can I pay by invoice?")
        page.get_by_label("About").fill("correct")
        page.get_by_label("No", exact=True).check()
        page.get_by_label("Why").fill("Austria is missing.")
        page.get_by_role("button", name="Add feedback").click()
        said = page.locator(".assessment", has_text="Austria is missing.")
        expect(said).to_contain_text("by person developer")
        expect(said).to_contain_text("from a person, never evidence")
        page.get_by_role("link", name="kinder answers").click()
        page.get_by_role("link", name="Evaluation", exact=True).click()
        expect(page.locator("section[aria-labelledby=scorers] tbody tr")).to_have_count(3)


def test_traces_are_found_by_what_was_said(visit: Visit, past: Site) -> None:
    with visit() as page:
        page.goto(past.url + PAGES["traces"])
        rows = page.locator("table.traces tbody tr")
        expect(rows).to_have_count(16)
        page.locator("summary", has_text="Feedback").click()
        page.get_by_label("Feedback", exact=True).fill("correctness")
        page.get_by_role("button", name="Apply").click()
        expect(rows).to_have_count(3)
        page.get_by_role("link", name="Remove the filter by feedback").click()
        expect(rows).to_have_count(16)
        page.get_by_label("Filter", exact=True).fill("trace.execution_time_ms > 1500")
        page.get_by_label("Filter", exact=True).press("Enter")
        expect(rows).to_have_count(2)


def test_readers_are_offered_no_edits(visit: Visit, past: Site) -> None:
    with visit("reporter") as page:
        for name in ("experiments", "candidates", "candidate", "models", "model", "version", "trace", "prompt"):
            page.goto(past.url + PAGES[name])
            assert page.locator("main form[method=post]").count() == 0, name


def test_the_links_that_clients_print_lead_to_the_run(visit: Visit, past: Site) -> None:
    with visit() as page:
        page.goto(past.url + PAGES["candidate"])
        eid = page.get_by_role("row", name="MLflow run ID").locator("code").inner_text()
        page.goto(f"{past.url}/api/v4/projects/42/ml/mlflow/#/experiments/1/runs/{eid}")
        page.wait_for_url("**/candidates/15")
        page.goto(f"{past.url}/api/v4/projects/team%2Fchurn/ml/mlflow/#/experiments/1")
        page.wait_for_url("**/experiments/1")
        expect(page.get_by_role("heading", name="churn")).to_be_visible()
