"""The stand-in finds in a text what GitLab would: a test that finds nothing must mean that there is nothing.

https://docs.gitlab.com/user/markdown/
"""

import json

import pytest

from tests.fakes.gitlab import detectors

LIVE = [
    ("/merge", "quick action /merge"),
    ("a\n/close\n", "quick action /close"),
    ("\r\n/close", "quick action /close"),
    ("hello @all", "mention of all"),
    ("(@group/sub)", "mention of group/sub"),
    ("see #12", "reference #12"),
    ("!12+s", "reference !12+s"),
    ("team/churn!12", "reference !12"),
    ("~bug", "reference ~bug"),
    ('%"Next one"', 'reference %"Next one"'),
    ("&3 $4 %5", "reference &3"),
    ("[vulnerability:1]", "reference [vulnerability:1]"),
    ("[contact:a@b.de]", "address a@b.de"),
    ("*iteration:1", "reference *iteration:"),
    ("^alert#1", "reference ^alert#"),
    ("ABC-123", "reference ABC-123"),
    ("fixed in deadbeef", "reference deadbeef"),
    ("team/churn>", "reference team/churn>"),
    ("![x](https://evil.example/x.png)", "image https://evil.example/x.png"),
    ("a <img src=x> b", "image x"),
    ("<b>bold</b>", "element <b>"),
    ("well done :tada:", "emoji :tada:"),
    ("costs $`x^2`$ much", "math, inline"),
    ("$$x$$", "math, display"),
    ("[[page]]", "wiki link page"),
    ("write to a@b.de", "address a@b.de"),
    ("www.b.de", "address www.b.de"),
    ("<https://b.de>", "address https://b.de"),
    ("{+ new +}", "inline diff {+ new +}"),
    ("%{project_path}", "placeholder %{project_path}"),
    ("[[_TOC_]]", "wiki link _TOC_"),
    ("[TOC]", "table of contents [TOC]"),
    ("::include{file=secret.md}", "include"),
    ("---\na: 1\n---\n", "front matter"),
    ("```plantuml\na\n```", "block of plantuml"),
    ("```suggestion:-0+0\na\n```", "block of suggestion:-0+0"),
    ("~~gone~~", "element <del>"),
    ("- [ ] task", "element <input>"),
]


@pytest.mark.parametrize(("body", "what"), LIVE)
def test_what_is_live_is_found(body: str, what: str) -> None:
    assert what in detectors.read(f"Text.\n\n{body}\n" if what != "front matter" else body).live


@pytest.mark.parametrize(("body", "_what"), [one for one in LIVE if "`" not in one[0] and "\n" not in one[0]])
def test_in_code_it_is_not(body: str, _what: str) -> None:
    # Addresses of mail are looked for once entities are read, even in an element of HTML.
    spelled = body.translate(ENTITIES).replace("&#64;", "<!---->&#64;")
    assert detectors.read(f"Text `{body}` and <code>{spelled}</code>.").live == []


ENTITIES = {number: f"&#{number};" for number in range(33, 127) if not chr(number).isalnum()}


@pytest.mark.parametrize(
    ("cell", "ways"),
    [
        ("`a|@all`", (True, False)),
        ("@all", (True, True)),
        ("`a\\|@all`", (False, False)),
        ("[`a | b](https://evil.example) @all`", (True, False)),
        ("`@all`", (False, False)),
    ],
)
def test_tables_of_json_are_read_in_both_of_gitlabs_ways(cell: str, ways: tuple[bool, bool]) -> None:
    table = {"fields": [{"key": "a", "label": "A"}, {"key": "b"}], "items": [{"a": cell}], "markdown": True}
    reading = detectors.read(f"```json:table\n{json.dumps(table)}\n```\n")
    assert tuple(any("@all" in text for text in page.texts) for page in reading.pages) == ways
    assert (reading.mentions == ["all"]) == any(ways)


@pytest.mark.parametrize(
    ("label", "live"),
    [("A @all", True), ("#1", True), ("`@all`", True), ("A | B", False), ("100 %", False), ("loss", False)],
)
def test_labels_are_read_too(label: str, live: bool) -> None:
    table = {"fields": [{"key": "a", "label": label}, {"key": "b"}], "items": [{"a": 1, "b": None}], "markdown": True}
    assert bool(detectors.read(f"```json:table\n{json.dumps(table)}\n```").live) == live


def test_a_label_with_a_pipe_breaks_the_table() -> None:
    table = {"fields": [{"key": "a", "label": "A | B"}], "items": [{"a": "x"}], "markdown": True}
    joined, by_cell = detectors.read(f"```json:table\n{json.dumps(table)}\n```").pages
    assert (joined.widths, by_cell.widths) == ([], [[1, 1]])


@pytest.mark.parametrize(
    "text", ["{}", "[", '{"items": [{"a": "@all"}]}', '{"markdown": true}', '{"markdown": true, "items": 1}']
)
def test_what_is_no_table_of_markdown_stays_code(text: str) -> None:
    reading = detectors.read(f"```json:table\n{text}\n```")
    assert (reading.live, {block for page in reading.pages for block in page.blocks}) == ([], {"json:table"})


def test_links_are_listed_with_text_and_target() -> None:
    reading = detectors.read("[a `b`](https://x.example/y) https://z.example")
    assert reading.links == [("a b", "https://x.example/y"), ("https://z.example", "https://z.example")]
    assert reading.live == ["address https://z.example"]


def test_too_many_unclosed_images_hide_all() -> None:
    assert "Unable to render" in detectors.read("![a" * 30).pages[0].shown
    assert "Unable to render" in detectors.read("`![a` " * 30).pages[0].shown
