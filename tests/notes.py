"""Hostile names for tests of notes, and what is in a note once it is rendered.

https://docs.gitlab.com/user/markdown/
"""

from html.parser import HTMLParser

import comrak
from hypothesis import strategies as st

from mltrail_server.settings import Settings

SETTINGS = Settings(external_url="https://mltrail.example.com", gitlab_url="https://gitlab.example.com")
MARK = "Zq9"
TAGS = {
    *("a", "h3", "h4", "p", "code", "pre", "strong", "em", "ul", "li", "sub", "details", "summary"),
    *("table", "thead", "tbody", "tr", "th", "td", "br", "wbr"),
}
PIECES = [
    *("`", "``", "```", "|", "\\", "\n", "\r", "\u2028", "\u202e", "\t", "@all", "#1", "!2", "~bug", "%v1", "&3", "$5"),
    *("/merge", "\n/close\n", "<img src=x>", "</code>", "</details>", "<!--", "-->", "](https://evil.example)", "[x]"),
    *("**", "_", "~~~", "---", "- [ ]", ">", "\N{GRINNING FACE}", "\x00", "\ud800", '"', "'", "{", "}", ":table", "é"),
]
hostile = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=6).map("".join)


def names() -> st.SearchStrategy[str]:
    return st.tuples(hostile, hostile).map(lambda pair: f"{pair[0]}{MARK}{pair[1]}")


class Seen(HTMLParser):
    """Collects the tags of a rendered note, and where the mark stands."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.outside: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]
        assert not [value for name, value in attrs if name != "href" and MARK in (value or "")]

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if MARK in data and "code" not in self.open:
            self.outside.append(data)


def rendered(body: str) -> Seen:
    extensions, options = comrak.ExtensionOptions(), comrak.RenderOptions()
    extensions.table = extensions.autolink = extensions.strikethrough = extensions.tasklist = True
    options.unsafe_ = True
    seen = Seen()
    seen.feed(comrak.render_markdown(body, extension_options=extensions, render_options=options))
    return seen
