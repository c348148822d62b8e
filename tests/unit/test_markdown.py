"""What a user names stays inert in a note.

https://docs.gitlab.com/user/markdown/, https://docs.gitlab.com/user/project/quick_actions/
"""

import html
import json
import random
import re

import comrak
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltrail_server.domain.markdown import Markdown, cell, code, link, title
from tests.fakes.gitlab import detectors

NASTY = [
    *("/merge", "x\n/close", "\r/merge", "\u2028/merge", "\x85/merge", "@all", "#1", "!2", "~bug", "%v1", "$5", "&3"),
    *(
        "a|b",
        "a\\|b",
        "a\\\\|b",
        "|",
        "\\",
        "ends with \\",
        "`",
        "``",
        "`a`",
        " ` ",
        "`" * 20,
        "`" * 90,
        "```\n/merge\n```",
    ),
    *("<img src=x onerror=alert(1)>", "<!--", "-->", "</details>", "&lt;b&gt;", "<https://evil.example>"),
    *(
        "[x](javascript:alert(1))",
        "](https://evil.example)",
        "**b**",
        "_i_",
        "$`x`$",
        "\u202eevil",
        "\u200b@all",
        "\ufeff",
    ),
    *(
        "![a",
        "![a" * 20,
        "!1+s",
        "[[wiki]]",
        "[vulnerability:1]",
        "::include{file=x}",
        ":tada:",
        "[^1]",
        "{+x+}",
        "$x$",
    ),
    *(
        "x|@all",
        "`|@all",
        "\\`|@all",
        "a&#124;@all",
        "a | b@c.de | [x](https://evil.example)",
        "ABC-123",
        "deadbeef1234",
    ),
    *("", " ", "\0", "\ud800", "x" * 500, "é" * 79, "😀" * 200, "|\n|---|\n|x|", "--- | ---", "\\`", "\\`|`/merge"),
]
_ALPHABET = "`|\\/@#!~<>[]()*_-\n\r\t \u2028\u202e&$:{}+=ab1😀"


_PIECES = st.sampled_from([*NASTY, *_ALPHABET, "www.", "://", "&#64;", "0a1b2c3", "-1", "[", "![", "\\|"]) | st.text(
    max_size=4
)
texts = st.lists(_PIECES, max_size=8).map("".join)


def _rendered(text: str) -> str:
    options = comrak.ExtensionOptions()
    options.table = True
    options.strikethrough = options.autolink = True
    return comrak.render_markdown(text, extension_options=options)


def _check(text: str) -> None:
    span = code(text)
    body = f"### Ours {span} end\n\nfirst {span}, then {link(text, 'https://ok.example/x')}.\n\n"
    body += (
        f"| A | B | C |\n|:--|:--|:--|\n| {span} | {link(text, 'https://ok.example/x')} | ours |\n| 1 | {span} | 3 |\n"
    )
    assert "\n" not in span
    assert (detectors.quick_actions(body), detectors.mentions(body), detectors.references(body)) == ([], [], [])
    shown = _rendered(body)
    rows = re.findall(r"<tr>(.*?)</tr>", shown, re.DOTALL)
    assert [len(re.findall(r"<t[dh]\b", row)) for row in rows] == [3, 3, 3]
    assert "ours</td>" in rows[1]
    assert re.findall(r'href="([^"]*)"', shown) == ["https://ok.example/x"] * 2
    outside = re.sub(r"<code>.*?</code>", "", shown, flags=re.DOTALL)
    tags = set(re.findall(r"</?([a-z0-9]+)", outside))
    assert tags <= {"h3", "p", "a", "table", "thead", "tbody", "tr", "th", "td", "em"}
    words = re.sub(r"<[^>]*>", " ", outside).split()
    assert set(words) <= {"Ours", "end", "first", ",", "then", ".", "A", "B", "C", "ours", "1", "3", "empty"}


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_nothing_leaves_its_cell(text: str) -> None:
    _check(text)


def test_nothing_leaves_its_cell_whatever_is_put_together() -> None:
    chance = random.Random(20261121)  # the same texts at every run
    for _ in range(1500):
        _check("".join(chance.choices(_ALPHABET, k=chance.randrange(1, 100))))


def a_json_table(text: str) -> str:
    """A block as notes have it, with a text in both kinds of places."""
    table = {
        "fields": [{"key": "a", "label": title(text) or "empty"}, {"key": "b", "label": "ours"}],
        "items": [{"a": cell(text), "b": link(cell(text), "https://ok.example/x")}, {"a": "1", "b": cell(text)}],
        "markdown": True,
    }
    return f"Text.\n\n```json:table\n{json.dumps(table)}\n```\n"


def _check_json_table(text: str) -> None:
    reading = detectors.read(a_json_table(text))
    assert reading.live == []
    assert {url for _, url in reading.links} <= {"https://ok.example/x"}
    assert [page.widths for page in reading.pages] == [[[2, 2, 2]], [[2, 2, 2]]]


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_nothing_leaves_its_cell_of_a_json_table(text: str) -> None:
    _check_json_table(text)


def test_nothing_leaves_its_cell_of_a_json_table_whatever_is_put_together() -> None:
    chance = random.Random(20261128)
    for _ in range(800):
        _check_json_table("".join(chance.choices(_ALPHABET, k=chance.randrange(1, 100))))


@pytest.mark.parametrize("text", ["a|b", "a\\|b", "|", "`|`", "x | y", "<b>|&amp;", "me@example.com|@all", "1|2|3"])
def test_a_json_table_shows_names_as_they_are(text: str) -> None:
    for page in detectors.read(a_json_table(text)).pages:
        assert page.links == [(text, "https://ok.example/x")]


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_a_title_says_nothing_to_gitlab(text: str) -> None:
    escaped = title(text)
    assert detectors.titled(escaped) == []
    assert len(escaped) <= 80 + 80 // 6
    assert escaped.isprintable() or "\u200b" in escaped


def test_a_title_looks_like_the_name() -> None:
    for text in ("val_accuracy", "f1/macro", "модель-1", "精度", "loss (test)"):
        assert title(text).replace("\u2011", "-") == text
    assert title("accuracy @ 5 %") == "accuracy ＠ 5 ％"  # noqa: RUF001 - that is what it is about
    assert title("ABC-123") == "ABC\u2011123"
    assert title("\u200b\n\0") == ""


@given(texts)
def test_whatever_a_text_holds_it_does_nothing_anywhere(text: str) -> None:
    _check(text)
    _check_json_table(text)
    assert detectors.titled(f"Training of {title(text) or 'a model'} got worse") == []


def test_of_many_unclosed_images_the_note_is_still_shown() -> None:
    body = " ".join(code(f"![a{number}") for number in range(30))
    assert "Unable to render" not in detectors.read(body).pages[0].shown


def test_emoji_and_words_with_joiners_stay_whole() -> None:
    family, persian = "👨\u200d👩\u200d👧", "می\u200cخواهم"  # noqa: RUF001 - Persian
    assert (code(family), code(persian)) == (f"`{family}`", f"`{persian}`")
    assert code("a\u200db") == "`a b`"


def test_what_is_harmless_is_shown_as_it_is() -> None:
    for text in ("learning_rate", "1e-3", "модель", "a b", "feature/x#2"):
        assert code(text) == f"`{text}`"
    (shown,) = re.findall("<code>(.*?)</code>", _rendered(code("a ``b`` <c> & d")))
    assert html.unescape(shown) == "a ``b`` <c> & d"


def test_a_long_text_is_cut() -> None:
    assert code("x" * 81) == f"`{'x' * 79}…`"
    assert code("x" * 80) == f"`{'x' * 80}`"


@pytest.mark.parametrize("url", [None, "", "javascript:alert(1)", "//evil.example", "data:text/html,x", "/merge"])
def test_only_web_pages_are_linked(url: str | None) -> None:
    assert link("name", url) == "`name`"


def test_a_url_can_not_end_its_link() -> None:
    assert link(Markdown("ours"), "https://x/a b)(c|d<e>`") == "[ours](https://x/a%20b%29%28c%7Cd%3Ce%3E%60)"
