"""What people do with models: find where a version comes from, roll back, annotate, create, upload, promote, undo."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import NARROW, WIDE
from tests.browser.models_world import Registry
from tests.browser.pages import ML
from tests.browser.server import Site, site
from tests.clock import FrozenClock
from tests.processes import PATIENCE_SECONDS

pytestmark = [pytest.mark.browser]

Desk = Callable[..., AbstractContextManager[Page]]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("registry"), FrozenClock()) as served:
        Registry(served).make()
        yield served


@pytest.fixture
def desk(chromium: Browser, registry: Site) -> Desk:
    """Answers a context manager that signs somebody in and opens a page of the project."""

    @contextmanager
    def sit_down(role: str, path: str, *, width: int = WIDE, javascript: bool = True) -> Iterator[Page]:
        viewport = {"width": width, "height": 900}
        context = chromium.new_context(viewport=viewport, java_script_enabled=javascript)  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        problems: list[str] = []
        page = context.new_page()
        page.on("console", lambda said: problems.append(said.text) if said.type in ("error", "warning") else None)
        page.goto(f"{registry.url}/-/sign-in?next={ML}/{path}")
        page.fill("#token", registry.team.tokens[role])
        page.click("text=Sign in with a token")
        page.wait_for_url(f"**/-/ml/{path}")
        yield page
        context.close()
        assert problems == []

    return sit_down


def said(page: Page, text: str) -> None:
    expect(page.locator("main > .alert")).to_contain_text(text)


def test_find_run_job_and_merge_request_behind_a_version(desk: Desk) -> None:
    with desk("reporter", "models/churn") as page:
        event = page.locator(".event", has_text="moved from 1.1.0 to 1.2.0").filter(has_text="promoted")
        expect(event.get_by_role("link", name="!1")).to_be_visible()
        rows = page.locator("section[aria-labelledby=versions] tbody tr")
        row = rows.filter(has=page.get_by_role("link", name="1.2.0", exact=True))
        expect(row).to_contain_text("2 fields → leaves")
        row.get_by_role("link", name="1.2.0").click()
        trail = page.locator(".trail")
        for text in ("!1", "train lr=0.05", "gbt-lr0.05", "verified"):
            expect(trail).to_contain_text(text)
        expect(page.locator("section[aria-labelledby=signature]")).to_contain_text("tenure")
        trail.get_by_role("link", name="gbt-lr0.05").click()
        expect(page.get_by_role("heading", name="gbt-lr0.05")).to_be_visible()


@pytest.mark.parametrize(("width", "javascript"), [(WIDE, True), (NARROW, False)], ids=["desk", "phone"])
def test_roll_back_with_a_reason_and_undo(desk: Desk, width: int, javascript: bool) -> None:
    with desk("maintainer", "models/churn", width=width, javascript=javascript) as page:
        page.get_by_label("Reason for rolling back champion").fill("too many false alarms")
        page.get_by_role("button", name="Roll back to 1.1.0").click()
        said(page, "Rolled “champion” back from 1.2.0 to 1.1.0.")
        expect(page.locator(".alias-cards")).to_contain_text("rolled back from 1.2.0: too many false alarms")
        page.get_by_role("button", name="Undo").click()
        said(page, "Moved “champion” from 1.1.0 to 1.2.0.")
        page.get_by_role("button", name="Remove…").click()
        expect(page.get_by_role("heading", name="Remove the alias “champion” of “churn”?")).to_be_visible()
        page.get_by_role("link", name="Cancel").click()
        expect(page.locator(".alias-cards .now")).to_have_text("1.2.0")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_annotate_a_verified_run_and_see_that_it_still_counts(desk: Desk) -> None:
    with desk("maintainer", "candidates/4") as page:
        offered = page.locator("summary", has_text="Promote to churn 1.3.0")
        expect(offered).to_be_visible()
        page.get_by_text("Edit", exact=True).click()
        expect(page.get_by_text("This is a note: it does not change what counts.")).to_be_visible()
        page.get_by_label("Tag name").fill("looked at")
        page.get_by_label("Tag value", exact=True).fill("by Mia")
        page.get_by_role("button", name="Set", exact=True).click()
        said(page, "Set “looked at” of the run “gbt-lr0.02” to “by Mia”.")
        expect(page.get_by_text("verified by its job's token").first).to_be_visible()
        offered.click()
        expect(page.locator("details[open]")).to_contain_text(
            "Creates churn 1.3.0 (minor: lr 0.05 → 0.02, other code) and moves “champion” to it from 1.2.0."
        )
        page.locator("details[open]").get_by_role("button", name="Promote").click()
        said(page, "and moved “champion” to it from 1.2.0.")
        page.get_by_role("button", name="Roll back to 1.2.0").click()
        said(page, "Rolled “champion” back from 1.3.0 to 1.2.0.")


@pytest.mark.parametrize("javascript", [True, False], ids=["scripts", "no scripts"])
def test_create_a_version_and_upload_a_file(desk: Desk, tmp_path: Path, javascript: bool) -> None:
    large, small = tmp_path / "weights.bin", tmp_path / "MLmodel"
    large.write_bytes(b"\0" * 3_000_000)
    small.write_bytes(b"flavors: {}\n")
    semver = "2.0.0" if javascript else "2.1.0"
    with desk("developer", "models/churn", javascript=javascript) as page:
        page.locator("summary", has_text="New version").click()
        page.get_by_label("Version", exact=True).fill(semver)
        page.get_by_role("button", name="Create version").click()
        said(page, f"Created churn {semver}; upload its files below.")
        page.locator("summary", has_text="Upload files").click()
        page.locator("input[type=file]").set_input_files([large, small])
        page.get_by_role("button", name="Upload", exact=True).click()
        said(page, f"Uploaded “weights.bin”, “MLmodel” to churn {semver}.")
        page.get_by_role("link", name="weights.bin", exact=True).click()
        page.get_by_role("button", name="Delete file…").click()
        page.get_by_role("button", name="Delete file").click()
        said(page, f"Deleted the file “weights.bin” of churn {semver}.")
        page.get_by_text("Edit", exact=True).click()
        page.get_by_role("button", name="Delete version…").click()
        page.get_by_role("button", name="Delete version").click()
        said(page, f"Deleted “churn {semver}”.")
