"""Take the pictures of the pages for the docs: `python -m scripts.screenshots`.

The pages are those of the browser tests' project; the stand-in for GitLab and the server run meanwhile.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright
from tests.browser.across_world import Others
from tests.browser.answers import Answers
from tests.browser.charts_world import Trainings
from tests.browser.pages import ML, settled
from tests.browser.run_world import IID, Laptop
from tests.browser.server import Site, site
from tests.browser.sweep_world import Changes
from tests.browser.world import Past
from tests.clock import FrozenClock

FOLDER = Path(__file__).parents[1] / "docs/images/pages"
WORLDS = (Past, Answers, Others, Trainings, Laptop, Changes)
PAGES = {
    "home": "/",
    "runs": f"{ML}/experiments/1?filter=metrics.val_accuracy+%3E+0.5&order=metrics.val_accuracy+DESC",
    "sweep": f"{ML}/experiments/6/sweep",
    "run": f"{ML}/candidates/15",
    "charts": f"{ML}/candidates/{IID}/charts?smooth=0.6",
    "media": f"{ML}/candidates/{IID}/media?step=3000",
    "files": f"{ML}/candidates/{IID}/browse/reports/errors.html?scripts=1",
    "compare": f"{ML}/compare?run=15&run=14&run=8&run=1",
    "model": f"{ML}/models/churn",
    "version": f"{ML}/models/churn/versions/1.1.0",
    "merge-request": f"{ML}/merge_requests/1",
    "evaluation": f"{ML}/candidates/18/evaluation?against=17",
    "trace": f"{ML}/traces/tr-0000000000000000000000000000000c?span=0000000000000003",
    "prompt": f"{ML}/prompts/qa?from=1&to=2",
}
DESK, PHONE = (1280, 720), (390, 800)


def main() -> None:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        sys.exit("Chromium not found: apt-get install chromium, or set CHROMIUM to its path.")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, site(Path(scratch), FrozenClock()) as served:
        for world in WORLDS:
            world(served).make()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium)
            for name in PAGES:
                _take(browser, served, name, DESK)
            _take(browser, served, "merge-request", PHONE, "-phone")
            browser.close()


def _take(browser: Browser, served: Site, name: str, size: tuple[int, int], suffix: str = "") -> None:
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme="light")
    page = context.new_page()
    _sign_in(page, served)
    page.goto(served.url + PAGES[name])
    page.wait_for_load_state("networkidle")
    settled(page)
    page.evaluate("window.scrollTo(0, 0)")
    page.screenshot(path=FOLDER / f"{name}{suffix}.png")
    context.close()


def _sign_in(page: Page, served: Site) -> None:
    page.goto(f"{served.url}/-/sign-in?next={ML}/experiments")
    page.fill("#token", served.team.tokens["maintainer"])
    page.click("text=Sign in with a token")
    page.wait_for_url("**/-/ml/experiments")


if __name__ == "__main__":
    main()
