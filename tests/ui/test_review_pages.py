"""The page of a merge request says everything that the comment says, in every situation of the gallery."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import pytest
from flask import Flask
from scripts.gallery import SITUATIONS, Situation

from mltrail_server.app import create_app, create_deps
from mltrail_server.domain.identity import Role
from mltrail_server.domain.verdict import Verdict
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.review import note, rows
from mltrail_server.services.review.rows import Row
from mltrail_server.ui import interval_plot
from mltrail_server.ui.interval_plot import Plotted
from tests.reports import Sides, a_report, a_run
from tests.ui.review_pages import PATH, SETTINGS, page_of, view_of

_SIGNS = re.compile("[\\s❌⚠❔✅☑⏳\N{VARIATION SELECTOR-16}\N{HEAVY MINUS SIGN}\N{WORD JOINER}]")
_LINK = re.compile(r"\]\((https?://[^)\s]+)\)")
_SAID_OTHERWISE = re.compile(r"Blue: |Rules$|\d+ more rows?|And \d+ more rows?|updated in place", re.IGNORECASE)
"""The legend of a chart that is drawn otherwise, and how much of a table is folded."""
_VOID = frozenset({"br", "wbr", "hr", "img", "input", "link", "meta"})
HOSTILE = "</code></script><img src=x onerror=alert(1)>`**[x](javascript:alert(1))|{{7*7}}"


class _Page(HTMLParser):
    """Gathers what a page shows, apart from the comment's own text, and where its links lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self.links: set[str] = set()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self._skipped = 0
        self.feed(text)

    @property
    def said(self) -> str:
        return _squeezed("".join(self.pieces))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        self.attributes |= {(tag, name) for name in values}
        if tag == "a":
            self.links.add(urljoin(f"https://mltrail.example.com/{PATH}/-/ml/merge_requests/7", values.get("href", "")))
        if self._skipped:
            self._skipped += tag not in _VOID
        elif tag == "details" and values.get("class") == "comment":
            self._skipped = 1

    def handle_endtag(self, tag: str) -> None:
        if self._skipped and tag not in _VOID:
            self._skipped -= 1

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self.pieces.append(data)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Flask, Deps]]:
    deps = create_deps(replace(SETTINGS, data_dir=str(tmp_path_factory.mktemp("review")), gitlab_token="x" * 20))
    yield create_app(deps), deps
    deps.db.dispose()


def _squeezed(text: str) -> str:
    """Leave out what layout adds: spaces and signs."""
    return _SIGNS.sub("", text)


def _plain(markdown: str) -> str:
    """Read a piece of a note as people see it."""
    text = re.sub(r"</?(?:sub|ins|code)>|<wbr>", "", markdown)
    text = re.sub(r"(?<!\\)\[((?:`[^`]*`|[^\]`])+)\]\(https?://[^)\s]+\)", r"\1", text)
    spans = re.split(r"(`+)(.+?)\1", text)
    # Text, fence and content follow each other.
    return "".join(
        part.replace("\\|", "|") if place % 3 == 2 else re.sub(r"\*\*|~~|\*", "", part)
        for place, part in enumerate(spans)
        if place % 3 != 1
    )


def _pieces(body: str) -> Iterator[str]:
    """List what a note says, piece by piece: sentences, cells, items, and what is in its tables of runs."""
    for block in re.findall(r"```json:table\n(.*?)\n```", body, re.DOTALL):
        for item in json.loads(block)["items"]:
            yield from (_plain(value) for value in item.values())
    left = re.sub(r"```.*?```|<!--.*?-->|</?details>", "", body, flags=re.DOTALL)
    for line in re.sub(r"</?summary>", "\n", left).splitlines():
        text = re.sub(r"^(?:#+|-) ", "", line.strip())
        if re.fullmatch(r"[|: -]*", text):
            continue
        cells = re.split(r"(?<!\\)\|", text) if text.startswith("|") else [text]
        for cell in cells:
            yield from (_plain(piece) for piece in cell.split("<br>"))


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda one: one.name)
def test_the_page_says_what_the_comment_says(situation: Situation, served: tuple[Flask, Deps]) -> None:
    report = situation.make()
    body = note.body(report, settings=SETTINGS, project_path=PATH)
    shown = _Page(page_of(*served, view_of(report)))
    said = shown.said
    missing = [piece for piece in _pieces(body) if not _SAID_OTHERWISE.search(piece) and _squeezed(piece) not in said]
    assert missing == []
    assert set(_LINK.findall(body)) - shown.links == set()


def test_reading_a_comment_finds_what_is_in_it() -> None:
    """Else the test above would pass whatever the page says."""
    for situation in SITUATIONS:
        pieces = [
            _squeezed(piece) for piece in _pieces(note.body(situation.make(), settings=SETTINGS, project_path=PATH))
        ]
        assert len([piece for piece in pieces if piece]) >= 3, situation.name


def _plotted(situation: Situation) -> Iterator[tuple[Row, Plotted]]:
    for model in situation.make().models:
        for row in rows.of(model):
            drawn = interval_plot.plotted(row)
            if drawn is not None:
                yield row, drawn


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda one: one.name)
def test_only_what_a_test_has_decided_has_a_coloured_bar(situation: Situation) -> None:
    for row, drawn in _plotted(situation):
        places = [drawn.zero, drawn.point, *([drawn.limit.x] if drawn.limit else [])]
        assert all(0 <= place <= 100 for place in places), row.metric
        if drawn.interval is None:
            assert not (row.is_tested and row.verdict in (Verdict.WORSE, Verdict.BETTER)), row.metric
        else:
            assert drawn.interval.kind == (drawn.kind if row.is_tested else "quiet"), row.metric


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda one: one.name)
def test_no_bar_shows_more_than_its_verdict(situation: Situation) -> None:
    """It leaves out no change exactly when the metric is better, and what is allowed exactly when it is worse."""
    for row, drawn in _plotted(situation):
        bar, limit = drawn.interval, drawn.limit.x if drawn.limit is not None else drawn.zero
        if bar is None or bar.alone or not row.is_tested or (drawn.limit is not None and drawn.limit.beyond):
            continue
        assert (bar.left > drawn.zero) is (row.verdict is Verdict.BETTER), row.metric
        assert (bar.right < limit) is row.is_found_worse, row.metric
        assert row.verdict is not Verdict.WITHIN_LIMIT or bar.left >= limit, row.metric


def test_without_a_known_chance_there_is_no_bar(served: tuple[Flask, Deps]) -> None:
    report = next(one for one in SITUATIONS if one.name == "one-run").make()
    shown = page_of(*served, view_of(report))
    assert "chance unknown" in shown
    assert 'class="bar ' not in shown


def test_whoever_sees_no_traces_gets_no_links_to_answers(served: tuple[Flask, Deps]) -> None:
    report = next(one for one in SITUATIONS if one.name == "evaluation-fails").make()
    assert any("/evaluation" in link for link in _Page(page_of(*served, view_of(report))).links)
    shown = _Page(page_of(*served, view_of(report), Role.GUEST))
    assert not any("/evaluation" in link for link in shown.links)
    assert "4b2277" in shown.said


def test_names_are_inert(served: tuple[Flask, Deps], tmp_path: Path) -> None:
    """Whatever a user or a model has named, the page has no other elements and attributes than with plain names."""

    def made(name: str) -> _Page:
        def runs(first: int, value: float) -> list[object]:
            return [
                a_run(
                    first + seed,
                    {name: value + seed / 1000, "val_loss": 0.3},
                    name=name,
                    job_name=name,
                    job_url=f"javascript:{name}" if name == HOSTILE else "x",
                    params={name: f"{name}{first}", "seed": str(seed)},
                    datasets={name: f"{name}{first}"},
                )
                for seed in range(3)
            ]

        sides = Sides(runs(100, 0.8), runs(200, 0.9), [runs(300, 0.9)])  # type: ignore[arg-type] # runs
        local = [a_run(900, {name: 0.5}, name=name)]
        report = a_report({name: sides}, local=local, target=name)
        view = view_of(report)
        request = replace(view.known.request, title=name, source_branch=name, target_branch=name)
        return _Page(page_of(*served, replace(view, known=replace(view.known, request=request))))

    plain, hostile = made("plain"), made(HOSTILE)
    assert hostile.tags <= plain.tags
    assert hostile.attributes <= plain.attributes
    assert all(one.startswith("https://") for one in hostile.links)
    assert _squeezed("onerror=alert(1)") in hostile.said
    assert "49" not in hostile.said.replace("0.49", "")
