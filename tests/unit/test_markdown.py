"""What a user names stays inert in a note.

https://docs.gitlab.com/user/markdown/, https://docs.gitlab.com/user/project/quick_actions/
"""

import html
import random
import re

import comrak
import pytest

from mltrail_server.domain.markdown import Markdown, code, link
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
    *("", " ", "\0", "\ud800", "x" * 500, "é" * 79, "😀" * 200, "|\n|---|\n|x|", "--- | ---", "\\`", "\\`|`/merge"),
]
_ALPHABET = "`|\\/@#!~<>[]()*_-\n\r\t \u2028\u202e&$:{}+=ab1😀"


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
