"""Pages of running runs in a real browser: what moves, and when a page asks for nothing."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from mltrail_server import worker
from tests.browser.charts_world import Trainings
from tests.browser.conftest import Visit
from tests.browser.pages import ML, settled
from tests.browser.server import Site
from tests.browser.world import MINUTE, Past, sha

pytestmark = [pytest.mark.browser]

ASKED = re.compile("candidates/live")
LOOKED = re.compile(r"merge_requests/\d+/live")


def hide(page: Page, *, hidden: bool) -> None:
    """Do as if the reader had gone to another tab, or had come back."""
    page.evaluate(
        "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')) }",
        hidden,
    )


def stop_clock(page: Page, past: Site) -> None:
    """Let a page's time pass only where the test says so: on a busy machine a step may take longer than a pause."""
    page.clock.install(time=past.clock() / 1000)
    page.clock.pause_at(past.clock() / 1000 + 1)


def number_of(page: Page, past: Site, run: str) -> str:
    page.goto(f"{past.url}{ML}/runs/{run}")
    return page.url.rpartition("/")[2]


def test_overview_workspace_and_comparison_move_until_the_run_ends(visit: Visit, past: Site) -> None:
    trainings = Trainings(past)
    run, other = trainings.begin("moves"), trainings.begin("moves beside it")
    trainings.log(run, "val_loss", [1.0, 0.9])
    trainings.log(other, "val_loss", [0.5, 0.4])
    trainings.finish(other)
    with visit() as page:
        iid, beside = number_of(page, past, run), number_of(page, past, other)
        overview, workspace, comparison = (page.context.new_page() for _ in range(3))
        overview.goto(f"{past.url}{ML}/candidates/{iid}")
        page.goto(f"{past.url}{ML}/runs/{run}")
        experiment = page.get_by_role("link", name="curves", exact=True).first.get_attribute("href") or ""
        workspace.goto(f"{past.url}{experiment}")
        comparison.goto(f"{past.url}{ML}/compare?run={beside},{iid}")
        for shown in (overview, workspace, comparison):
            settled(shown)
        row = workspace.locator(f"tr[data-run='{iid}']")
        best = overview.locator("tr[data-name='val_loss'] td").nth(1)
        beside_it = comparison.locator("tr[data-name='Metrics:val_loss'] td").nth(1)
        expect(best).to_contain_text("0.9")
        with workspace.expect_response(re.compile("curves.*from=1")):
            trainings.log(run, "val_loss", [0.8, 0.7], start=2)
        expect(row.locator("[data-live-metric=val_loss]")).to_have_text("0.7")
        expect(best).to_contain_text("0.7")
        expect(overview.locator("[data-live-step=val_loss]")).to_have_text("at 3")
        expect(beside_it).to_contain_text("0.7")
        expect(beside_it).to_contain_text("+0.3")
        trainings.finish(run)
        for ended in (overview.locator(".title"), row, comparison.locator("table.compare")):
            expect(ended).not_to_contain_text("Running")


def test_an_opened_group_moves_with_its_runs(visit: Visit, past: Site) -> None:
    trainings = Trainings(past)
    run, other = trainings.begin("one of a group"), trainings.begin("another of it")
    for started, value in ((run, 0.9), (other, 0.5)):
        trainings.mlflow.post("runs/log-parameter", run_id=started, key="kind", value="moving")
        trainings.log(started, "val_loss", [1.0, value])
    trainings.finish(other)
    with visit() as page:
        iid = number_of(page, past, run)
        page.goto(
            f"{past.url}{ML}/experiments/{trainings.experiment}?group=params.kind&filter=params.kind+%3D+%27moving%27"
        )
        page.locator("a.fold").click()
        page.wait_for_url(re.compile("open="))
        mean = page.locator("tr[data-name^=group] .mean")
        expect(mean).to_have_text("0.70")
        page.locator("tr[data-name^=group]").get_by_role("checkbox").check()
        trainings.log(run, "val_loss", [0.7], start=2)
        expect(page.locator(f"tr[data-run='{iid}'] [data-live-metric=val_loss]")).to_have_text("0.7")
        expect(mean).to_have_text("0.60")
        expect(page.locator("tr[data-name^=group]").get_by_role("checkbox")).to_be_checked()
        trainings.finish(run)
        expect(page.locator(f"tr[data-run='{iid}']")).not_to_contain_text("Running")


def test_a_new_column_of_groups_mixes_up_no_numbers(visit: Visit, past: Site) -> None:
    trainings = Trainings(past)
    run = trainings.begin("with a new metric")
    trainings.mlflow.post("runs/log-parameter", run_id=run, key="kind", value="growing")
    trainings.log(run, "val_loss", [1.0, 0.75])
    with visit() as page:
        number_of(page, past, run)
        page.goto(
            f"{past.url}{ML}/experiments/{trainings.experiment}?group=params.kind&filter=params.kind+%3D+%27growing%27"
        )
        page.locator("a.fold").click()
        page.wait_for_url(re.compile("open="))
        mean = page.locator("tr[data-name^=group] .mean")
        expect(mean).to_have_text("0.75")
        trainings.log(run, "accuracy", [0.25])
        expect(page.locator("[data-live]")).to_contain_text("other columns now")
        expect(mean).to_have_text("0.75")
        trainings.finish(run)


def test_a_hidden_tab_asks_for_nothing_and_catches_up_at_once(visit: Visit, past: Site) -> None:
    trainings = Trainings(past)
    run = trainings.begin("unseen")
    trainings.log(run, "val_loss", [0.9])
    with visit() as page:
        stop_clock(page, past)
        page.goto(f"{past.url}{ML}/candidates/{number_of(page, past, run)}")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url) if ASKED.search(request.url) else None)
        hide(page, hidden=True)
        page.clock.run_for(120_000)
        assert asked == []
        trainings.log(run, "val_loss", [0.6], start=1)
        with page.expect_response(ASKED):
            hide(page, hidden=False)
            page.clock.run_for(1)
        expect(page.locator("[data-live-metric=val_loss]")).to_have_text("0.6")
        assert len(asked) == 1
    trainings.finish(run)


def test_a_merge_request_shows_its_verdict_when_it_is_known(visit: Visit, past: Site) -> None:
    world = Past(past)
    world.gitlab.add_commit(world.project, sha("tides"), parents=(world.project.branches["main"],), branch="tides")
    request = world.gitlab.add_merge_request(world.project, "tides", "main", "Watch the tides")
    pipeline = world.gitlab.add_pipeline(
        world.project, sha("tides"), f"refs/merge-requests/{request.iid}/head", "merge_request_event"
    )
    job = world.job(pipeline, "train tides")
    mlflow = world.client(job)
    experiment = mlflow.post("experiments/create", name="tides")["experiment_id"]
    run = mlflow.post("runs/create", experiment_id=experiment, run_name="high", start_time=past.clock())["run"]
    mlflow.post("runs/log-metric", run_id=run["info"]["run_id"], key="mse", value=0.5, timestamp=past.clock())

    def look() -> None:
        past.clock.advance(10 * MINUTE)
        worker.run_once(past.deps)

    look()
    with visit("reporter") as page:
        page.goto(f"{past.url}{ML}/merge_requests/{request.iid}")
        heading, history = page.locator(".headline h2"), page.locator("section.history")
        expect(heading).to_contain_text("not done")
        page.get_by_text("The comment as Markdown").click()
        with page.expect_response(lambda answer: bool(LOOKED.search(answer.url)) and answer.status == 304):
            pass
        # A page that saw this happen step by step would say "New:" after one step, and nothing any more after the next.
        hide(page, hidden=True)
        mlflow.post("runs/update", run_id=run["info"]["run_id"], status="FINISHED", end_time=past.clock())
        past.team.gitlab.set_job(job, "success")
        look()
        hide(page, hidden=False)
        expect(heading).not_to_contain_text("not done")
        expect(history).to_contain_text("success")
        expect(page.locator("details.comment")).to_have_attribute("open", "")
        expect(page.locator("[data-live]")).to_contain_text("New:")
        asked: list[str] = []
        page.on("request", lambda one: asked.append(one.url) if LOOKED.search(one.url) else None)
        page.clock.install()
        page.clock.run_for(120_000)
        assert asked == []
    request.state = "closed"
    look()


def test_an_error_makes_it_wait_longer_and_signing_out_stops_it(visit: Visit, past: Site) -> None:
    trainings = Trainings(past)
    run = trainings.begin("out of reach")
    with visit(but="503") as page:
        stop_clock(page, past)
        page.goto(f"{past.url}{ML}/candidates/{number_of(page, past, run)}")

        def refuse(route: Route) -> None:
            route.fulfill(status=503)

        page.route(ASKED, refuse)
        note = page.locator("[data-live]")
        for seconds, pause in ((5, 10), (10, 20), (20, 40), (40, 60), (60, 60)):
            with page.expect_response(ASKED):
                page.clock.run_for(seconds * 1000)
            expect(note).to_contain_text(f"Trying again in {pause} s")
        page.unroute(ASKED)
        page.context.clear_cookies()
        with page.expect_request(ASKED):
            page.clock.run_for(60_000)
        expect(note).to_contain_text("You are signed out")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.clock.run_for(300_000)
        assert asked == []
    trainings.finish(run)
