"""What people do on an experiment's page."""

import re
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from mltrail_server.ui.colours import colour
from tests.browser.conftest import Visit
from tests.browser.pages import ML
from tests.browser.server import Site
from tests.clock import DAY
from tests.mlflow_client import Mlflow

pytestmark = [pytest.mark.browser]
HERE = f"{ML}/experiments/1"


def log_nightly_runs(past: Site) -> None:
    """The best of all runs is older than a week, and the newest is not the best of the last week."""
    mlflow = Mlflow(past.client, project="42", token=past.team.tokens["developer"])
    experiment = mlflow.post("experiments/create", name="nightly")["experiment_id"]
    for days, auc in ((20, 0.97), (9, 0.95), (6, 0.88), (4, 0.93), (2, 0.91), (1, 0.86)):
        began = past.clock() - days * DAY
        run = mlflow.post("runs/create", experiment_id=experiment, run_name=f"{days} days ago", start_time=began)[
            "run"
        ]["info"]["run_id"]
        metrics = [{"key": "val_auc", "value": auc, "timestamp": began}]
        mlflow.post("runs/log-batch", run_id=run, metrics=metrics)
        mlflow.post("runs/update", run_id=run, status="FINISHED", end_time=began + 60_000)


def sort_by_auc(page: Page) -> None:
    page.get_by_role("columnheader", name="val_auc").get_by_role("link").click()
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("val_auc")


def search(page: Page, written: str) -> None:
    """Search, and wait for the page of what was written: the one before may look the same."""
    page.get_by_role("combobox", name="Search runs").fill(written)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: parse_qs(urlsplit(url).query).get("filter") == [written])


def test_find_last_weeks_best_run(visit: Visit, past: Site) -> None:
    log_nightly_runs(past)
    with visit("reporter") as page:
        page.get_by_role("link", name="nightly", exact=True).click()
        names = page.locator("tr[data-run] th").get_by_role("link")
        sort_by_auc(page)
        expect(names.first).to_have_text("20 days ago")
        week_ago = datetime.fromtimestamp((past.clock() - 7 * DAY) / 1000, UTC)
        for written in ("last 7 days", f"start_time > '{week_ago:%Y-%m-%d}'"):
            search(page, written)
            expect(page.locator("#count")).to_have_text("4 of 6 runs")
            expect(names.first).to_have_text("4 days ago")
            expect(page.locator("tr[data-run]").first.locator(".best")).to_contain_text("0.93")
        search(page, "last 7 days AND metrics.val_auc < 0.93")
        expect(names.first).to_have_text("2 days ago")
        page.get_by_role("link", name="2 days ago").first.click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("2 days ago")


def test_find_the_best_run_and_share_what_is_seen(visit: Visit, past: Site) -> None:
    """With the keyboard: search, sort, hide a run, choose a colour, and send the link to somebody else."""
    with visit() as page:
        page.goto(past.url + HERE)
        page.keyboard.press("/")
        box = page.get_by_role("combobox", name="Search runs")
        expect(box).to_be_focused()
        box.press_sequentially("acc")
        expect(page.get_by_role("option").first).to_contain_text("metrics.val_accuracy")
        box.press("ArrowDown")
        box.press("Enter")
        expect(box).to_have_value("metrics.val_accuracy ")
        box.press_sequentially("> 0.9")
        box.press("Enter")
        page.wait_for_url(re.compile("filter="))
        expect(page.locator("#count")).to_contain_text(re.compile(r"^\d+ of 16 runs$"))
        page.get_by_role("columnheader", name="val_accuracy").get_by_role("link").click()
        expect(page.locator("th[aria-sort=descending]")).to_contain_text("val_accuracy")
        page.wait_for_load_state()  # with the scripts that hide and colour runs
        rows = page.locator("tr[data-run]")
        best = rows.first.get_by_role("link").first.inner_text()
        expect(rows.first.locator(".best").first).to_be_visible()
        rows.nth(1).get_by_role("button", name="in charts").click()
        expect(rows.nth(1).get_by_role("button", name="in charts")).to_have_attribute("aria-pressed", "false")
        rows.first.get_by_role("button", name="Colour of").click()
        page.get_by_role("button", name="Colour 5", exact=True).click()
        page.get_by_role("link", name="Wide charts").click()
        page.wait_for_url(re.compile("side=wide"))
        shared = page.url
        assert all(part in shared for part in ("hide=", "colour=", "side=wide"))
    with visit("reporter") as other:
        other.goto(shared)
        rows = other.locator("tr[data-run]")
        expect(rows.first.get_by_role("link").first).to_have_text(best)
        expect(rows.nth(1).get_by_role("button", name="in charts")).to_have_attribute("aria-pressed", "false")
        expect(rows.first.locator(".paint circle")).to_have_attribute("stroke", colour(4))
        expect(other.locator(".workspace.wide")).to_be_visible()


def test_choose_all_and_tag_them_then_undo(visit: Visit, past: Site) -> None:
    with visit("maintainer") as page:
        page.goto(f"{past.url}{HERE}?filter=params.lr+%3D+%270.05%27")
        page.get_by_label("Select all runs on this page").check()
        expect(page.get_by_text("5 selected")).to_be_visible()
        page.locator("#bulk summary").click()
        page.locator("#tag-key").fill("reviewed")
        page.locator("#tag-value").fill("yes")
        page.get_by_role("button", name="Set tag").click()
        expect(page.get_by_role("status").first).to_contain_text("Set “reviewed” to “yes” on 5 runs.")
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_role("status").first).to_contain_text("Removed “reviewed” from 5 runs.")


def test_choose_groups_and_tag_their_runs(visit: Visit, past: Site) -> None:
    with visit("maintainer") as page:
        page.goto(f"{past.url}{HERE}?group=params.lr&order=key+ASC")
        groups = page.locator("tr[data-name^=group]")
        groups.first.locator("a.fold").click()
        page.wait_for_url(re.compile("open="))  # with the scripts that count what is selected
        first = groups.first.get_by_role("checkbox")
        first.check()
        runs = int(first.get_attribute("data-count") or "")
        expect(page.get_by_text(f"{runs} selected")).to_be_visible()
        member = page.locator("tr.member").first
        expect(member.get_by_role("checkbox")).to_be_checked()
        member.get_by_role("checkbox").uncheck()
        expect(first).not_to_be_checked()
        expect(page.get_by_text(f"{runs - 1} selected")).to_be_visible()
        first.check()
        member.get_by_role("button", name="in charts").click()
        expect(member.get_by_role("button", name="in charts")).to_have_attribute("aria-pressed", "false")
        expect(first).to_be_checked()
        page.locator("#bulk summary").click()
        page.locator("#tag-key").fill("seen")
        page.locator("#tag-value").fill("together")
        page.get_by_role("button", name="Set tag").click()
        expect(page.get_by_role("status").first).to_contain_text(f"Set “seen” to “together” on {runs} runs.")
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_role("status").first).to_contain_text(f"Removed “seen” from {runs} runs.")


def test_save_a_view_and_open_it_without_scripts(visit: Visit, past: Site) -> None:
    with visit() as page:
        page.goto(f"{past.url}{HERE}?filter=params.lr+%3D+%270.05%27")
        page.locator("details.views summary").click()
        page.get_by_label("Save what you see as").fill("small steps")
        page.get_by_role("button", name="Save as a new view").click()
        expect(page.get_by_role("status").first).to_contain_text("Saved the view “small steps”.")
    with visit("reporter", javascript=False) as page:
        page.goto(past.url + HERE)
        page.locator("details.views summary").click()
        page.get_by_role("link", name="small steps").click()
        rows = page.locator("tr[data-run]")
        expect(rows).to_have_count(5)
        rows.first.get_by_role("button", name="in charts").click()
        expect(rows.first.get_by_role("button", name="in charts")).to_have_attribute("aria-pressed", "false")
        page.get_by_role("link", name="No charts").click()
        expect(page.locator(".charts-side")).to_have_count(0)
    with visit() as page:
        page.goto(f"{past.url}{HERE}?saved=1")
        page.locator("details.views summary").click()
        page.get_by_role("button", name="Delete view").click()
        expect(page.get_by_role("status").first).to_contain_text("Deleted the view “small steps”.")


def test_columns_are_found_by_a_part_of_their_name(visit: Visit, past: Site) -> None:
    with visit() as page:
        page.goto(past.url + HERE)
        page.locator("summary", has_text="Columns").click()
        page.get_by_label("Find a column").fill("feat")
        expect(page.locator(".columns-form .choice:visible")).to_have_count(1)
        page.get_by_label("Find a column").press("Enter")
        page.locator(".columns-form").get_by_role("button", name="Apply").click()
        expect(page.get_by_role("columnheader", name="features")).to_be_attached()


def test_few_tabs_lead_to_the_runs(visit: Visit, past: Site) -> None:
    with visit() as page:
        page.goto(past.url + HERE)
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#main")).to_be_focused()
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the runs")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#runs")).to_be_focused()
