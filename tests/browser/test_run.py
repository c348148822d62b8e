"""A run's page in a real browser: its tabs, its pictures over steps, and files that must not get out of their frame."""

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import NARROW, Visit
from tests.browser.pages import ML
from tests.browser.run_world import IID
from tests.browser.server import Site
from tests.chromium import LOCATOR_SECONDS

pytestmark = [pytest.mark.browser]

RUN = f"{ML}/candidates/{IID}"


def step(page: Page, key: str) -> Locator:
    return page.locator(f"section[aria-label='{key}'] .step")


def decoded_width(page: Page, key: str) -> int:
    """Return the width of the picture of a key once it is drawn; 0 if it is broken."""
    picture = page.locator(f"section[aria-label='{key}'] .big img")
    width: int = picture.evaluate("async (one) => { await one.decode(); return one.naturalWidth; }")
    return width


def test_the_picture_3000_steps_in(visit: Visit, past: Site) -> None:
    with visit() as page:
        page.goto(past.url + RUN)
        page.get_by_role("link", name="Media").click()
        page.wait_for_url("**/media")  # with the script that shows a step without a new page
        expect(step(page, "samples")).to_have_text("5,900")
        page.get_by_label("Step", exact=True).fill("3000")
        page.get_by_label("Step", exact=True).press("Enter")
        expect(step(page, "samples")).to_have_text("3,000")
        assert decoded_width(page, "samples") == 96
        page.wait_for_url("**/media?step=3000")
        page.keyboard.press("Tab")
        page.get_by_label("Steps, in order").focus()
        page.keyboard.press("ArrowRight")
        expect(step(page, "samples")).to_have_text("3,100")
        expect(step(page, "val/masks")).to_have_text("3,000")
        expect(page.locator("section[aria-label='val/masks'] .other")).to_have_text("(none at 3,100)")
        page.locator("section[aria-label='samples'] .thumbs a").first.click()
        expect(step(page, "samples")).not_to_have_text("3,100")
        chosen = step(page, "samples").inner_text()
        assert int(chosen.replace(",", "")) < 3000
        page.wait_for_url(f"**/media?step={chosen.replace(',', '')}")
        with visit(javascript=False, width=NARROW) as other:
            other.goto(page.url)
            expect(step(other, "samples")).to_have_text(chosen)
            other.get_by_label("Step", exact=True).fill("3000")
            other.get_by_role("button", name="Go").click()
            expect(step(other, "samples")).to_have_text("3,000")
            assert decoded_width(other, "samples") == 96
            other.get_by_role("link", name="Next step").click()
            expect(step(other, "samples")).to_have_text("3,100")


def test_run_job_and_merge_request_behind_a_version(visit: Visit, past: Site) -> None:
    with visit() as page:
        page.goto(f"{past.url}{ML}/models/churn/versions/1.1.0")
        page.locator("main a[href*='/candidates/']").first.click()
        trail = page.get_by_role("list", name="Where this run comes from")
        expect(trail.get_by_role("link", name=re.compile("churn 1.1.0"))).to_be_visible()
        expect(trail.get_by_text("verified by its job's token")).to_be_visible()
        job = trail.get_by_role("link", name=re.compile("train lr=0.1 #"))
        expect(job).to_have_attribute("href", re.compile("/-/jobs/"))
        page.goto(f"{past.url}{ML}/candidates/15")
        trail.get_by_role("link", name="!1").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Learn faster")


def test_names_are_found_while_one_types(visit: Visit, past: Site) -> None:
    with visit() as page:
        page.goto(past.url + RUN)
        rows = page.locator("#overview tr[data-name]:visible")
        page.get_by_label("Find by name").fill("class_13")
        expect(rows).to_have_count(1)
        page.get_by_label("Find by name").fill("")
        page.get_by_label("Find by name").fill("depth")
        expect(rows).to_have_count(1)
        expect(rows.first).to_contain_text("most others: 18")
        height: int = page.evaluate("document.documentElement.scrollHeight")
        assert height < 2000


def test_a_file_is_shown_beside_the_tree(visit: Visit, past: Site) -> None:
    with visit() as page:
        page.goto(f"{past.url}{RUN}/files")
        page.get_by_role("link", name="reports/").click()
        page.get_by_role("link", name="errors.html", exact=True).click()
        expect(page.get_by_role("link", name="errors.html", exact=True)).to_have_attribute("aria-current", "page")
        expect(page.locator("iframe")).to_have_count(0)
        page.get_by_role("link", name="Run its scripts").click()
        expect(page.frame_locator("iframe").locator("#scratch")).to_be_visible()
        page.get_by_role("link", name="config.json", exact=True).click()
        page.get_by_text("stem", exact=True).click()
        expect(page.locator(".json")).to_contain_text("64")
        page.get_by_role("link", name="analysis.ipynb", exact=True).click()
        expect(page.locator(".notebook h3")).to_have_text("What it misses")
        plot = page.locator(".notebook img")
        plot.scroll_into_view_if_needed()
        expect(plot).to_have_js_property("naturalWidth", 96)
        page.get_by_label("Find a file").fill("step_3000")
        page.get_by_label("Find a file").press("Enter")
        page.get_by_role("link", name="plots/step_3000.png", exact=True).click()
        expect(page.locator(".preview img")).to_be_visible()


def test_a_hostile_file_stays_in_its_frame(chromium: Browser, past: Site) -> None:
    context = chromium.new_context()
    context.set_default_timeout(LOCATOR_SECONDS * 1000)
    page = context.new_page()
    answered: list[str] = []
    page.goto(f"{past.url}/-/sign-in?next={RUN}")
    page.fill("#token", past.team.tokens["developer"])
    page.click("text=Sign in with a token")
    page.wait_for_url(f"**{RUN}")
    page.on("response", lambda answer: answered.append(answer.url))
    page.goto(f"{past.url}{RUN}/browse/hostile/reads.html?scripts=1")
    frame = page.frame_locator("iframe")
    expect(frame.locator("li", has_text="fetch: refused")).to_be_visible()
    expect(frame.locator("li", has_text="picture: refused")).to_be_visible()
    said = frame.locator("li").all_inner_texts()
    assert "origin: null" in said
    assert {"cookie: refused", "storage: refused", "parent: refused"} <= set(said)
    assert "window: null" in said
    assert "top: refused" in said or page.url.endswith("reads.html?scripts=1")
    assert not [one for one in answered if one.endswith(("/sign-out", "/ml/models", "/ml/none.png"))]
    page.goto(f"{past.url}{RUN}/browse/hostile/leaves.html?scripts=1")
    page.wait_for_load_state("networkidle")
    assert all(one.startswith((past.url, "chrome-error:", "about:")) for one in (frame.url for frame in page.frames))
    # In a window of its own the file is not served at all.
    page.goto(f"{past.url}{RUN}/framed/hostile/leaves.html?scripts=1")
    assert page.url == f"{past.url}{RUN}/browse/hostile/leaves.html"
    assert len(context.pages) == 1
    page.goto(past.url + RUN)
    expect(page.get_by_role("heading", name="resnet-50")).to_be_visible()
    context.close()


def test_the_tabs_scroll_on_a_phone(visit: Visit, past: Site) -> None:
    with visit(width=NARROW) as page:
        for tab in ("", "/charts", "/files", "/media?step=3000", "/models", "/system"):
            page.goto(past.url + RUN + tab)
            assert page.evaluate("document.documentElement.scrollWidth") == NARROW, tab
            expect(page.locator("nav[aria-label=Run] [aria-current=page]")).to_have_count(1)
