"""How GitLab's pages render a text: its Markdown as HTML, with tables from JSON.

GitLab has two ways to render a `json:table` block with `"markdown": true`. Older versions join the cells of a row with
pipes and render all of it as one Markdown table; newer ones render each cell by itself. Labels are Markdown in the
first way and text in the second, in which mentions are still looked for. https://docs.gitlab.com/user/markdown/#json
"""

import html
import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, Literal

import comrak

Tables = Literal["joined", "by cell"]
WAYS: tuple[Tables, ...] = ("joined", "by cell")
_VOID = frozenset({"area", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})
_UNREAD = frozenset({"pre", "code", "a", "style", "tt", "kbd", "script"})
_EXTENSIONS = (
    *("table", "autolink", "strikethrough", "tasklist", "footnotes", "math_dollars", "math_code", "alerts"),
    *("multiline_block_quotes", "description_lists", "wikilinks_title_before_pipe", "cjk_friendly_emphasis"),
)
_JSON_TABLE = re.compile(r'<pre lang="json:table[^"]*"[^>]*><code>(.*?)</code></pre>', re.DOTALL)
_TOO_MANY_IMAGES = re.compile(r"!\[[^\]]+?!\[")
_MOST_UNCLOSED_IMAGES = 10


def _options() -> dict[str, Any]:
    extensions, parse, render = comrak.ExtensionOptions(), comrak.ParseOptions(), comrak.RenderOptions()
    for name in _EXTENSIONS:
        setattr(extensions, name, True)
    parse.relaxed_autolinks = parse.tasklist_in_table = True
    render.unsafe_ = render.github_pre_lang = True
    return {"extension_options": extensions, "parse_options": parse, "render_options": render}


_OPTIONS = _options()


def markdown(text: str) -> str:
    return comrak.render_markdown(text.encode(errors="replace").decode(), **_OPTIONS)


def page(body: str, tables: Tables) -> str:
    """Render a note's body. GitLab shows nothing of one that looks like an attack on the renderer."""
    if len(_TOO_MANY_IMAGES.findall(body)) > _MOST_UNCLOSED_IMAGES:
        return "<p><em>Unable to render markdown - too many unclosed markdown image links detected.</em></p>"
    return _JSON_TABLE.sub(lambda match: _drawn(html.unescape(match[1]), tables) or match[0], markdown(body))


def _drawn(text: str, tables: Tables) -> str | None:
    """Render a JSON table; None if GitLab leaves that to the browser, which shows it as text."""
    try:
        table = json.loads(text)
        if not table["markdown"]:
            return None
        items = table["items"]
        fields = table.get("fields") or [{"key": key} for key in items[0]]
        draw = _joined if tables == "joined" else _by_cell
        return f"<div>{draw(fields, items)}</div>"
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None


def _joined(fields: list[dict[str, Any]], items: list[dict[str, Any]]) -> str:
    lines = [" | ".join(_text(one.get("label")) for one in fields), " | ".join("---" for _ in fields)]
    lines += [" | ".join(_text(item.get(one["key"]) or " ") for one in fields) for item in items]
    return markdown("".join(f"| {line} |\n" for line in lines))


def _by_cell(fields: list[dict[str, Any]], items: list[dict[str, Any]]) -> str:
    head = "".join(f"<th>{html.escape(_text(one.get('label') or one['key']))}</th>" for one in fields)
    rows = ["".join(f"<td>{_cell(_text(item.get(one['key'])))}</td>" for one in fields) for item in items]
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(text: str) -> str:
    html = markdown(text).strip()
    alone = html.startswith("<p>") and html.endswith("</p>") and html.count("<p") == 1
    return html.removeprefix("<p>").removesuffix("</p>") if alone else html


def _text(value: object) -> str:
    return "" if value is None else str(value)


@dataclass
class Seen:
    """What a page contains: texts in which GitLab looks for references, all text, elements, links and images."""

    texts: list[str] = field(default_factory=list)
    shown: str = ""
    elements: set[str] = field(default_factory=set)
    links: list[tuple[str, str]] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    math: list[str] = field(default_factory=list)
    wiki: list[str] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)
    widths: list[list[int]] = field(default_factory=list)  # of each table's rows


def look(rendered: str) -> Seen:
    reader = _Reader()
    reader.feed(rendered)
    reader.close()
    return reader.seen


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen = Seen()
        self._open: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        seen = self.seen
        seen.elements.add(tag)
        if tag == "a":
            seen.links.append(("", attributes.get("href", "")))
            if "data-wikilink" in attributes:
                seen.wiki.append(attributes.get("href", ""))
        if tag in ("img", "video", "audio", "iframe"):
            seen.images.append(attributes.get("src", ""))
        if "data-math-style" in attributes:
            seen.math.append(attributes["data-math-style"])
        if tag == "pre":
            seen.blocks.append(attributes.get("lang", ""))
        if tag == "table":
            seen.widths.append([])
        if tag == "tr" and seen.widths:
            seen.widths[-1].append(0)
        if tag in ("td", "th") and seen.widths and seen.widths[-1]:
            seen.widths[-1][-1] += 1
        if tag not in _VOID:
            self._open.append((tag, attributes))

    def handle_endtag(self, tag: str) -> None:
        if any(name == tag for name, _ in self._open):
            while self._open.pop()[0] != tag:
                pass

    def handle_data(self, data: str) -> None:
        names = [name for name, _ in self._open]
        self.seen.shown += data
        if "a" in names and self.seen.links:
            text, where = self.seen.links[-1]
            self.seen.links[-1] = (text + data, where)
        if not _UNREAD & set(names):
            self.seen.texts.append(data)
