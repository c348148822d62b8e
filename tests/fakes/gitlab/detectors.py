"""What GitLab would do on reading a text: run quick actions, mention people, link references, render special blocks.

As GitLab's filters do, it looks at the rendered HTML, outside code and links; quick actions are looked for in what was
sent. Where GitLab has changed, the effects of both ways count, and patterns are a little wider than GitLab's, to cover
what it may find in the future.

https://docs.gitlab.com/user/markdown/#gitlab-specific-references, https://docs.gitlab.com/user/project/quick_actions/
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from . import rendering
from .rendering import Seen

_FENCED = re.compile(r"(?ms)^(?P<fence>`{3,}|~{3,}).*?^(?P=fence)[`~]*[ \t]*$|<!--.*?-->")
_QUICK_ACTION = re.compile(r"(?m)^[ ]{0,3}/(?P<name>[a-zA-Z][a-zA-Z_]*)\b")
_MENTION = re.compile(r"(?<!\w)@(?P<name>[A-Za-z0-9_.][\w.\-/]*)")
_REFERENCE = re.compile(
    r"""(?x)
      (?<![&\w]) [#!~%$&] [0-9]+ (?:\+s?)? \b          # issues, merge requests, labels, milestones, snippets, epics
    | (?<=[\w/]) [#!~%$&] [0-9]+ (?:\+s?)? \b          # the same of another project
    | [~%] (?: "[^"]+" | [A-Za-z_][\w.?&-]* )          # labels and milestones by name
    | \* iteration: | \^ alert \#
    | \[ (?: issue | work_item | epic | vulnerability | feature_flag | contact | cadence | wiki_page | alert )
      s? : [^\]]* \]
    | \b [A-Z][A-Z0-9_]+ - [0-9]+ \b                   # issues of another tracker
    | \b [\w./-]+ / [\w.-]+ >                          # projects
    | \b [0-9a-fA-F]{7,64} \b                          # commits
    """
)
_EMOJI = re.compile(r":[a-z0-9_+-]+:")
_ADDRESS = re.compile(r"(?i)\b(?:[a-z][a-z0-9+.-]*://\S|www\.\S)|\b[\w.+-]+@[\w-]+\.\w")
_DRAWN = {
    "inline diff": re.compile(r"\{[+-].*?[+-]\}|\[[+-].*?[+-]\]"),
    "placeholder": re.compile(r"%\{\w+\}"),
    "table of contents": re.compile(r"(?i)\[_?TOC_?\]"),
    "footnote": re.compile(r"\[\^[^\]]+\]"),
    "math": re.compile(r"\$\S.*\S\$"),
}
_INCLUDE = re.compile(r"(?m)^::include\{")
_FRONT_MATTER = re.compile(r"\A(?:[^\r\n]*coding:[^\r\n]*)?\s*^(?:---|\+\+\+|;;;)", re.MULTILINE)
_ELEMENTS = frozenset(
    {
        *("a", "p", "h1", "h2", "h3", "h4", "h5", "h6", "code", "pre", "strong", "em", "ul", "ol", "li", "blockquote"),
        *("table", "thead", "tbody", "tr", "th", "td", "caption", "div", "br", "sub", "details", "summary"),
    }
)
_BLOCKS = frozenset({"", "python", "shell", "json:table", "mermaid"})


@dataclass(frozen=True)
class Reading:
    """What GitLab finds in a text. `live` lists everything that would have an effect or be rendered, except links."""

    quick_actions: list[str]
    mentions: list[str]
    references: list[str]
    links: list[tuple[str, str]]  # text and target
    live: list[str]
    pages: tuple[Seen, ...]  # one for each way in which GitLab renders

    @property
    def ragged(self) -> list[list[int]]:
        """Tables whose rows don't all have the same number of cells."""
        return [rows for page in self.pages for rows in page.widths if len(set(rows)) > 1]


@lru_cache(maxsize=32)
def read(body: str) -> Reading:
    pages = tuple(rendering.look(rendering.page(body, tables)) for tables in rendering.WAYS)
    texts = list(dict.fromkeys(text for page in pages for text in page.texts))
    named = _found(_MENTION, texts, "name")
    references = _found(_REFERENCE, texts)
    actions = quick_actions(body)
    live = dict.fromkeys(
        [
            *(f"quick action /{one}" for one in actions),
            *(f"mention of {one}" for one in named),
            *(f"reference {one}" for one in references),
            *_drawings(body, texts, pages),
        ]
    )
    links = [one for page in pages for one in page.links]
    return Reading(actions, named, references, list(dict.fromkeys(links)), list(live), pages)


def _found(pattern: re.Pattern[str], texts: list[str], group: str | int = 0) -> list[str]:
    return list(dict.fromkeys(match[group] for text in texts for match in pattern.finditer(text)))


def _drawings(body: str, texts: list[str], pages: tuple[Seen, ...]) -> Iterator[str]:
    for page in pages:
        yield from _drawn_on(page)
    yield from (f"emoji {one}" for one in _found(_EMOJI, texts))
    yield from (f"address {one}" for one in _found(_ADDRESS, texts))
    for kind, pattern in _DRAWN.items():
        yield from (f"{kind} {one}" for one in _found(pattern, texts))
    if _INCLUDE.search(body):
        yield "include"
    if _FRONT_MATTER.search(body):
        yield "front matter"


def _drawn_on(page: Seen) -> Iterator[str]:
    yield from (f"element <{one}>" for one in sorted(page.elements - _ELEMENTS))
    yield from (f"image {one}" for one in page.images)
    yield from (f"math, {one}" for one in page.math)
    yield from (f"wiki link {one}" for one in page.wiki)
    yield from (f"block of {one}" for one in page.blocks if one.split()[:1] and one not in _BLOCKS)
    # Where GitLab turns an address into a link by itself, the text is the target.
    yield from (f"address {text}" for text, url in page.links if url in (text, f"mailto:{text}", f"http://{text}"))


def titled(text: str) -> list[str]:
    """List what GitLab finds in an issue's title, where code spans and Markdown have no meaning."""
    patterns = (_MENTION, _REFERENCE, _EMOJI, _ADDRESS, *_DRAWN.values())
    return [match for pattern in patterns for match in _found(pattern, [text])]


def quick_actions(body: str) -> list[str]:
    """List the quick actions: lines that begin with a slash, outside code blocks."""
    return [match["name"] for match in _QUICK_ACTION.finditer(_FENCED.sub("", body.replace("\r", "")))]


def only_quick_actions(body: str) -> bool:
    """Whether a body contains only quick actions: then no note is created."""
    lines = [line for line in body.splitlines() if line.strip()]
    return bool(lines) and all(_QUICK_ACTION.match(line) for line in lines)


def mentions(body: str) -> list[str]:
    return read(body).mentions


def references(body: str) -> list[str]:
    return read(body).references
