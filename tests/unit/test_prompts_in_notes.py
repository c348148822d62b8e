"""What a note says of the prompts that runs have loaded, and that nothing in a prompt gets out of its place.

https://mlflow.org/docs/latest/genai/prompt-registry/
"""

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mltrail_server.domain import prompts
from mltrail_server.domain.prompts import Linked, Prompt, PromptChange
from mltrail_server.services.review import note
from tests.fakes.gitlab import detectors
from tests.notes import MARK, SETTINGS, TAGS, hostile, names, rendered
from tests.reports import Sides, a_report, a_run


def note_of(changed: tuple[PromptChange, ...]) -> str:
    report = a_report({"qa": Sides([a_run(1, {"f1": 0.9})], [a_run(2, {"f1": 0.9})])})
    models = tuple(replace(model, prompts=changed) for model in report.models)
    return note.body(replace(report, models=models), settings=SETTINGS, project_path="team/churn")


def of(before: Mapping[str, int], now: Mapping[str, int], texts: Mapping[tuple[str, int], str]) -> str:
    sides = ([Linked(*pair) for pair in side.items()] for side in (before, now))
    read = {Linked(*key): prompts.prompt_of({prompts.TEXT_TAG: text}) for key, text in texts.items()}
    return note_of(prompts.changes(*sides, read))


def test_the_words_that_changed_are_shown_with_their_line() -> None:
    old = "You answer questions.\nAnswer in one sentence, and never promise a refund.\nQuestion: {{ question }}"
    new = old.replace("one sentence", "two sentences").replace("never", "only")
    body = of({"qa": 3}, {"qa": 4}, {("qa", 3): old, ("qa", 4): new})
    assert "**Changed:** files, prompt `qa` (3 → 4), " in body
    assert "<details><summary>Prompts: 1 changed</summary>" in body
    assert "[`qa`](https://mltrail.example.com/team/churn/-/ml/prompts/qa?from=3&to=4), version 3 → 4:\n" in body
    changed = "- `Answer in` ~~`one sentence`~~ <ins>`two sentences`</ins> `, and` ~~`never`~~ <ins>`only`</ins>"
    assert f"{changed} `promise a refund.`\n" in body
    assert "You answer" not in body


def test_what_replaces_several_lines_begins_in_the_first_of_them() -> None:
    old = "Answer in one sentence.\nIf the handbook does not say, answer: I don't know; please write to support.\n"
    new = "Answer in at most two sentences, so that customers can try something.\n"
    body = of({"qa": 1}, {"qa": 2}, {("qa", 1): old, ("qa", 2): new})
    first = "- `Answer in` ~~`one sentence.`~~ <ins>`at most two sentences, so that customers can try something`</ins>"
    rest = "- ~~`If the handbook does not say, answer: I don't know; please write to support`~~"
    assert f"{first}\n{rest}\n" in body


def test_new_gone_unchanged_and_unknown_prompts_are_told_apart() -> None:
    texts = {("same", 1): "a", ("same", 2): "a", ("lost", 2): "b", ("new", 1): "c"}
    before, now = {"same": 1, "old": 7, "lost": 1, "still": 5}, {"same": 2, "new": 1, "lost": 2, "still": 5}
    body = of(before, now, texts)
    assert "<summary>Prompts: 1 changed, 1 new, 1 no longer loaded, 2 unchanged</summary>" in body
    assert "prompts/new), version 1, new.\n" in body
    assert "prompts/old), version 7, no longer loaded.\n" in body
    assert "version 1 → 2: not compared, since version 1 is not in the registry any more.\n" in body
    assert "prompts/same?from=1&to=2) (version 1 → 2, same text), " in body
    assert "prompts/still) (version 5)\n" in body
    assert "3 prompts" in body


def test_a_chat_prompt_is_shown_as_its_messages() -> None:
    def chat(last: str) -> Prompt:
        messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": last}]
        return prompts.prompt_of({prompts.TEXT_TAG: json.dumps(messages), prompts.TYPE_TAG: "chat"})

    assert chat("Hi").text == "system:\nBe kind.\n\nuser:\nHi"
    changed = prompts.changes(
        [Linked("qa", 1)], [Linked("qa", 2)], {Linked("qa", 1): chat("Hi"), Linked("qa", 2): chat("Ho")}
    )
    assert "- ~~`Hi`~~ <ins>`Ho`</ins>\n" in note_of(changed)


def test_other_settings_of_the_model_are_no_unchanged_prompt() -> None:
    texts = {
        Linked("qa", number): prompts.prompt_of(
            {prompts.TEXT_TAG: "same", prompts.MODEL_TAG: f'{{"temperature": {number}}}'}
        )
        for number in (1, 2)
    }
    body = note_of(prompts.changes([Linked("qa", 1)], [Linked("qa", 2)], texts))
    assert "version 1 → 2: the same text, but different model settings.\n" in body


def test_what_no_reader_can_see_is_said() -> None:
    body = of({"qa": 1}, {"qa": 2}, {("qa", 1): "Be  kind", ("qa", 2): "Be \u200b kind"})
    assert "(only spaces, line breaks or invisible characters have changed)" in body


def test_a_long_prompt_is_shortened() -> None:
    old, new = ("\n".join(f"line {place} says {word * 100}" for place in range(500)) for word in ("a", "b"))
    body = of(
        {f"p{place}": 1 for place in range(40)},
        {f"p{place}": 2 for place in range(40)},
        {(f"p{place}", number): text for place in range(40) for number, text in ((1, old), (2, new))},
    )
    assert len(body) < 20_000
    assert "and 32 more prompts" in body


@pytest.mark.parametrize(
    "tag",
    [
        None,
        "",
        "null",
        "{}",
        "[",
        "[" * 100_000,
        '[{"name": 1, "version": "1"}]',
        '[{"name": "qa"}]',
        '[["qa", 1]]',
        '[{"name": "qa", "version": "\\u0661"}]',
        '[{"name": "qa", "version": "-1"}]',
    ],
)
def test_a_tag_that_can_t_be_read_names_no_prompt(tag: str | None) -> None:
    assert prompts.linked(tag) == []


def test_linked_prompts_are_read_as_the_client_writes_them() -> None:
    assert prompts.linked('[{"name": "qa", "version": "12"}, {"name": "qa", "version": "12"}]') == [Linked("qa", 12)]


@pytest.mark.parametrize("depth", [900, 5000])
@pytest.mark.parametrize("around", ["{}", '[{"role": "user", "content": {}}]'])
def test_a_chat_that_is_nested_too_deeply_is_shown_as_it_is(around: str, depth: int) -> None:
    """From Python 3.12 on, more deeply nested JSON can be read than written."""
    text = around.replace("{}", "[" * depth + "]" * depth)
    assert prompts.prompt_of({prompts.TEXT_TAG: text, prompts.TYPE_TAG: "chat"}).text


@settings(max_examples=60)
@given(names(), st.lists(hostile, max_size=4), st.lists(hostile, max_size=4))
@example("qa", ["/merge", "@all"], ["", "/close @root", "~bug !1"])
@example("\ud800", ["\ud800 \0"], ["\ud800"])
@example("qa", ["a `b` c"], ["a `` c", "</details>", "~~~", "**x**"])
def test_nothing_in_a_prompt_leaves_its_place(name: str, old: list[str], new: list[str]) -> None:
    texts = {Linked(name, place): Prompt(f"{MARK}".join(["", *text]), MARK) for place, text in ((1, old), (2, new))}
    body = note_of(prompts.changes([Linked(name, 1), Linked("x", 1)], [Linked(name, 2)], texts))
    assert {*detectors.read(body).live} <= {"element <del>", "element <ins>", "element <wbr>"}  # our own
    seen = rendered(body)
    assert seen.tags <= TAGS | {"del", "ins"}
    assert seen.outside == []
    assert all(link.startswith(("https://mltrail.example.com/", "https://gitlab.example.com/")) for link in seen.links)
    assert detectors.read(body).ragged == []
