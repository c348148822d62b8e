"""What a page of the site refers to: addresses that a reader can follow, and files that a browser fetches by itself."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

_FETCHED = {"img": "src", "script": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src"}
_RELATIONS = {"stylesheet", "icon", "preload", "prefetch", "preconnect", "dns-prefetch", "manifest", "shortcut"}


@dataclass
class Read(HTMLParser):
    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    headings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and not _RELATIONS.isdisjoint(given.get("rel", "").split()):
            self.fetched.append(given.get("href", ""))
        if _FETCHED.get(tag) in given:
            self.fetched.append(given[_FETCHED[tag]])
        if tag == "h1":
            self.headings.append(tag)


def read(page: Path) -> Read:
    found = Read()
    found.feed(page.read_text())
    return found
