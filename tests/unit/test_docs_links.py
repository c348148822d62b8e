"""A reader finds each page of the docs, and each link leads somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.places import ROOT

DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md"), *ROOT.glob("examples/*/*.md")])
_CODE = re.compile(r"^ *```.*?^ *```|`[^`\n]*`", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """The files that a page links to, each with the heading in it."""
    for target in _LINK.findall(_CODE.sub("", page.read_text())):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = unquote(target).partition("#")
            yield (page.parent / path).resolve() if path else page, anchor


def anchors(page: Path) -> set[str]:
    """The headings of a page, as GitLab names them in an address."""
    headings = _HEADING.findall(re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_link_leads_somewhere(page: Path) -> None:
    for target, anchor in links(page):
        assert target.exists(), target
        if anchor:
            assert anchor in anchors(target), f"{target} has no heading #{anchor}"


def test_the_index_names_each_page() -> None:
    named = {target for target, _ in links(DOCS / "README.md")}
    pages = {page for page in DOCS.rglob("*.md") if page.parent.name not in {"decisions", "gallery"}}
    pages = pages - {DOCS / "README.md"} | {DOCS / "gallery/README.md"}
    assert pages <= named


def test_the_list_of_decisions_is_complete() -> None:
    """Each decision is listed under its own title and number, and a number without a decision is explained."""
    folder = DOCS / "decisions"
    page = (folder / "README.md").read_text()
    listed = re.findall(r"^\| (\d+) \| \[(.+)\]\((.+)\) \|$", page, re.MULTILINE)
    files = sorted(path for path in folder.glob("*.md") if path.name != "README.md")
    titles = [path.read_text().splitlines()[0] for path in files]
    assert [(f"# {number}. {title}", name) for number, title, name in listed] == [
        (title, path.name) for title, path in zip(titles, files, strict=True)
    ]
    numbers = [int(number) for number, _, _ in listed]
    assert numbers == [int(path.name[:4]) for path in files]
    unused = re.search(r"the numbers ([\d, and]+) were never used", page)
    assert unused
    assert sorted({*range(1, numbers[-1] + 1)} - {*numbers}) == [int(one) for one in re.findall(r"\d+", unused[1])]
