"""Lay the repository's pages out for Sphinx, with links that lead to pages of the site or to files of the repository.

The Markdown itself is written for GitLab, where it must read well, too: links are relative, between files.
"""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from . import notes

_ABOUT = {"README.md": "about.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
_CODE = re.compile(r"(^ *```.*?^ *```|`[^`\n]*`)", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\((?!<)([^)\s]+)\)")
_ENTRY = re.compile(r"\]\(([^)\s#]+\.md)\)")


@dataclass(frozen=True)
class Stage:
    """A tree of the repository, and the folder from which Sphinx builds."""

    tree: Path
    folder: Path
    repository: str  # its address and the commit, tag or branch: https://gitlab.example.com/mlops/mltrail/-/blob/main

    def fill(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        shutil.copytree(self.tree / "docs/images", self.folder / "images")
        for source, page in self.pages.items():
            target = self.folder / page
            target.parent.mkdir(parents=True, exist_ok=True)
            text = (self.tree / source).read_text()
            if source.startswith("docs/gallery/") and page != "gallery/index.md":
                text = notes.framed(text)
            target.write_text(self.relinked(text, source) + self._contents(source, text))

    @property
    def pages(self) -> dict[str, str]:
        """Map each Markdown file that is published to its place on the site."""
        found = {name: page for name, page in _ABOUT.items() if (self.tree / name).exists()}
        if (self.tree / "SECURITY.md").exists():
            found["SECURITY.md"] = "security.md"
        for path in sorted((self.tree / "examples").glob("*/README.md")):
            found[self._name(path)] = f"examples/{path.parent.name}.md"
        for path in sorted((self.tree / "docs").rglob("*.md")):
            page = self._name(path).removeprefix("docs/")
            found[self._name(path)] = re.sub(r"(^|/)README\.md$", r"\1index.md", page)
        return found

    def relinked(self, text: str, source: str) -> str:
        """Replace the links of a page, except those in code."""
        parts = _CODE.split(text)
        parts[::2] = [_LINK.sub(lambda found: f"]({self.target(source, found[1])})", part) for part in parts[::2]]
        return "".join(parts)

    def target(self, source: str, link: str) -> str:
        """Where a page's link leads on the site."""
        if re.match(r"[a-z]+:|#", link):
            return link
        path, _, anchor = unquote(link).partition("#")
        file = os.path.normpath(os.path.join(os.path.dirname(source), path))  # noqa: PTH118, PTH120 - a name, no file
        place = self.pages.get(file) or self.pages.get(f"{file}/README.md")
        if place is None and file.startswith("docs/images/"):
            place = file.removeprefix("docs/")
        if place is None:
            lines = f"#{anchor}" if anchor else ""
            return f"{self.repository}/{'' if file == '.' else file}{lines}"
        here = os.path.dirname(self.pages[source])  # noqa: PTH120
        return os.path.relpath(place, here or ".") + (f"#{anchor}" if anchor else "")

    def _name(self, path: Path) -> str:
        return path.relative_to(self.tree).as_posix()

    def _contents(self, source: str, text: str) -> str:
        """The tables of contents that this page adds to the sidebar."""
        if source == "docs/README.md":
            rest = ("The project", [page for name, page in self.pages.items() if not name.startswith("docs/")])
            return "".join(_toctree(title, pages) for title, pages in _unique([*self._sections(text), rest]))
        if source in {"docs/decisions/README.md", "docs/gallery/README.md"}:
            names = _ENTRY.findall(text)
            return _toctree("", [name for name in dict.fromkeys(names) if "/" not in name])
        return ""

    def _sections(self, text: str) -> Iterator[tuple[str, list[str]]]:
        """The headings of the list of all pages, each with the pages below it."""
        for section in f"Start here\n{text}".split("\n## "):
            title, _, body = section.partition("\n")
            linked = [self.pages.get(os.path.normpath(f"docs/{name}")) for name in _ENTRY.findall(body)]
            yield title, [page for page in linked if page]


def _unique(sections: list[tuple[str, list[str]]]) -> Iterator[tuple[str, list[str]]]:
    """Leave each page where it comes first; the project's own pages are listed last."""
    last = set(sections[-1][1])
    seen: set[str] = set()
    for number, (title, pages) in enumerate(sections):
        here = [page for page in dict.fromkeys(pages) if page not in seen]
        if number < len(sections) - 1:
            here = [page for page in here if page not in last]
        seen |= {*here}
        if here:
            yield title, here


def _toctree(title: str, pages: list[str]) -> str:
    caption = f":caption: {title}\n" if title else ""
    entries = "\n".join(page.removesuffix(".md") for page in pages)
    return f"\n```{{toctree}}\n:hidden:\n{caption}\n{entries}\n```\n"
