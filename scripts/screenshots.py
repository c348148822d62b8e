"""Take the pictures of the pages for the docs: `python -m scripts.screenshots`.

The pages are those of the browser tests' project; the stand-in for GitLab and the server run meanwhile.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright
from tests.browser.answers import Answers
from tests.browser.server import Site, site
from tests.browser.world import Past
from tests.clock import FrozenClock

FOLDER = Path(__file__).parents[1] / "docs/images/pages"
ML = "/team/churn/-/ml"
PAGES = {
    "runs": f"{ML}/experiments/1?filter=metrics.val_accuracy+%3E+0.5&order=metrics.val_accuracy+DESC",
    "run": f"{ML}/candidates/15",
    "compare": f"{ML}/compare?run=15&run=14&run=8&run=1",
    "model": f"{ML}/models/churn",
    "version": f"{ML}/models/churn/versions/1.1.0",
    "merge-request": f"{ML}/merge_requests/1",
    "evaluation": f"{ML}/candidates/18/evaluation?against=17",
    "trace": f"{ML}/traces/tr-0000000000000000000000000000000c?span=0000000000000003",
    "prompt": f"{ML}/prompts/qa?from=1&to=2",
}
LOOKS = (("", "light", 1080, 680), ("-dark", "dark", 1080, 680))
NARROW = ("-narrow", "light", 390, 680)


def main() -> None:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        sys.exit("Chromium not found: apt-get install chromium, or set CHROMIUM to its path.")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, site(Path(scratch), FrozenClock()) as served:
        Past(served).make()
        Answers(served).make()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium)
            for look in LOOKS:
                for name in PAGES if not look[0] else ("runs",):
                    _take(browser, served, name, look)
            _take(browser, served, "runs", NARROW)
            browser.close()


def _take(browser: Browser, served: Site, name: str, look: tuple[str, str, int, int]) -> None:
    suffix, scheme, width, height = look
    size = {"width": width, "height": height}
    context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type] # light or dark
    page = context.new_page()
    _sign_in(page, served)
    page.goto(served.url + PAGES[name])
    page.wait_for_load_state("networkidle")
    page.screenshot(path=FOLDER / f"{name}{suffix}.png")
    context.close()


def _sign_in(page: Page, served: Site) -> None:
    page.goto(f"{served.url}/-/sign-in?next={ML}/experiments")
    page.fill("#token", served.team.tokens["maintainer"])
    page.click("text=Sign in with a token")
    page.wait_for_url("**/-/ml/experiments")


if __name__ == "__main__":
    main()
