"""The docs site: complete, unbroken, readable by everybody, and loading nothing from other sites."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser, expect
from scripts.docs_site.stage import Stage

from tests.chromium import ALL, findings, open_page
from tests.docs.conftest import REPOSITORY
from tests.docs.html_pages import Read, read
from tests.places import ROOT

pytestmark = [pytest.mark.browser]

WIDE, NARROW = 1440, 390
# One of each kind: cards, a comment with a chart and a table, tables, code, pictures, a long page, one of its own.
SAMPLE = [
    *("index", "tutorial", "gallery/failed", "gallery/truncated", "reference/settings", "how-to/add-to-a-pipeline"),
    *("how-to/pages", "explanation/compared", "decisions/index", "changelog", "search"),
]
# Every page of the sample in both themes and both widths; the other two pairs on the first pages.
LOOKS = [("light", WIDE, SAMPLE), ("dark", NARROW, SAMPLE), ("dark", WIDE, SAMPLE[:4]), ("light", NARROW, SAMPLE[:4])]


@pytest.fixture(scope="module")
def pages(built: Path) -> dict[Path, Read]:
    return {page: read(page) for page in built.rglob("*.html")}


def test_each_page_of_the_docs_is_on_the_site(built: Path, pages: dict[Path, Read]) -> None:
    expected = {built / page.replace(".md", ".html") for page in Stage(ROOT, built, "").pages.values()}
    assert expected <= pages.keys()
    assert {page.name for page, one in pages.items() if len(one.headings) != 1} == set()


def test_each_link_and_each_anchor_leads_somewhere(built: Path, pages: dict[Path, Read]) -> None:
    broken = []
    for page, one in pages.items():
        for link in one.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if not target.is_file():
                broken.append(f"{page.relative_to(built)}: no file {link}")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                broken.append(f"{page.relative_to(built)}: no anchor {link}")
    assert broken == []


def test_links_to_other_files_lead_to_the_repository(pages: dict[Path, Read]) -> None:
    found = {link for one in pages.values() for link in one.links if link.startswith(f"{REPOSITORY}/-/blob/main")}
    assert found
    files = [unquote(urlsplit(link).path).partition("/-/blob/main/")[2] for link in found]
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_external_links_are_addresses(pages: dict[Path, Read]) -> None:
    links = {link for one in pages.values() for link in one.links if re.match(r"[a-z]+:", link)}
    assert [link for link in links if not re.fullmatch(r"https?://[\w.-]+(:\d+)?(/\S*)?(#\S*)?|mailto:\S+", link)] == []


def test_nothing_is_fetched_from_elsewhere(built: Path, pages: dict[Path, Read]) -> None:
    fetched = {link for one in pages.values() for link in one.fetched}
    assert [link for link in fetched if re.match(r"([a-z]+:)?//", link) and not link.startswith("data:")] == []
    styles = "".join(file.read_text() for file in built.rglob("*.css"))
    assert re.findall(r"@import[^;]*|url\(['\"]?(?:https?:)?//[^)]*\)", styles) == []


@pytest.mark.parametrize(("scheme", "width", "sample"), LOOKS, ids=["day", "night", "late at a desk", "day on a phone"])
def test_everybody_can_read_it(
    chromium: Browser, served: str, axe: str, scheme: str, width: int, sample: list[str]
) -> None:
    page = open_page(chromium, viewport={"width": width, "height": 900}, color_scheme=scheme)
    found: list[str] = []
    page.on("request", lambda asked: found.append(asked.url) if not asked.url.startswith((served, "data:")) else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    for name in sample:
        answer = page.goto(f"{served}/latest/{name}.html")
        assert answer
        assert answer.status == 200, name
        found += [f"{name}: {one}" for one in findings(page, axe, ALL)]
        if (across := page.evaluate("document.documentElement.scrollWidth")) > width:
            found.append(f"{name}: {across} pixels wide")
        assert page.evaluate("[...document.images].every((image) => image.loading === 'lazy' || image.naturalWidth)"), (
            name
        )
    page.close()
    assert found == []


@pytest.mark.parametrize("name", ["reference/settings", "reference/components", "explanation/scale"])
def test_a_table_with_sentences_is_read_on_a_phone_without_pushing_it_about(
    chromium: Browser, served: str, name: str
) -> None:
    page = open_page(chromium, viewport={"width": NARROW, "height": 900})
    page.goto(f"{served}/latest/{name}.html")
    cells = page.locator("table.stackable td")
    assert cells.count() > 1
    assert cells.evaluate_all(
        "(all, width) => all.filter((one) => one.getBoundingClientRect().right > width).map((one) => one.innerText)",
        NARROW,
    ) == []  # fmt: skip
    page.close()


def test_the_search_works_from_a_folder(chromium: Browser, built: Path) -> None:
    """Without a server and without a network."""
    page = open_page(chromium)
    page.goto(f"{(built / 'search.html').as_uri()}?q=champion")
    found = page.locator("#search-results li")
    expect(found.nth(1)).to_be_visible()  # they come one after the other
    page.close()


def test_a_picture_has_a_dark_form_where_there_is_one(chromium: Browser, served: str) -> None:
    page = open_page(chromium, color_scheme="dark")
    page.goto(f"{served}/latest/explanation/reading-the-note.html")
    shown = [one for one in page.locator("article img").all() if one.is_visible()]
    assert any("note-dark" in (one.get_attribute("src") or "") for one in shown)
    assert not any("note-light" in (one.get_attribute("src") or "") for one in shown)
    page.close()
