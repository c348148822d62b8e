"""`.mltrail.yml` means what DESIGN shows, and whatever is wrong with it is reported by line and key."""

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltrail_contract import (
    Baseline,
    BaselineKind,
    ContractError,
    HigherOrLower,
    Outcome,
    Promote,
    Rule,
    Runs,
    Then,
    Tolerance,
    Value,
    read,
)

WHOLE = """\
version: 1
defaults: {repeat_over: [seed, random_state], pair_by: [fold], if_unknown: warn}
models:
  churn:
    runs: {experiment: "churn-*", tags: {stage: eval}}
    paths: ["models/churn/**"]
    baseline: target
    same_dataset: test
    rank_by: val_accuracy
    rules:
      - {metric: accuracy, better: higher, worse_by: 0.002, then: fail}
      - {metric: "f1/*", better: higher, at_least: 0.70, then: warn}
      - {metric: val_loss, better: lower, at_most: 0.40, value: best}
      - {metric: latency_ms, better: lower, worse_by: {percent: 10}, then: warn}
      - {metric: accuracy, better: higher, at_least: 0.92, target: "release/*"}
    promote: {from: [default, tags], reuse_reviewed: true, alias: champion, bump: auto}
    keep: {losers: 30d}
  fraud:
    baseline: version:1.4.0
    if_unknown: fail
"""


def problems(text: str) -> list[str]:
    with pytest.raises(ContractError) as caught:
        read(text)
    return [str(problem) for problem in caught.value.problems]


def model(lines: str) -> str:
    return f"version: 1\nmodels:\n  churn:\n    {lines}\n"


def test_the_whole_file_is_read() -> None:
    churn, fraud = read(WHOLE).models.values()
    assert (churn.name, churn.runs) == ("churn", Runs("churn-*", {"stage": "eval"}))
    assert (churn.paths, churn.baseline, churn.same_dataset) == (("models/churn/**",), Baseline(), "test")
    assert churn.rank_by == "val_accuracy"
    assert churn.rules == (
        Rule("accuracy", better=HigherOrLower.HIGHER, worse_by=Tolerance(0.002), line=11),
        Rule("f1/*", better=HigherOrLower.HIGHER, at_least=0.7, then=Then.WARN, line=12),
        Rule("val_loss", better=HigherOrLower.LOWER, at_most=0.4, value=Value.BEST, line=13),
        Rule("latency_ms", better=HigherOrLower.LOWER, worse_by=Tolerance(10, percent=True), then=Then.WARN, line=14),
        Rule("accuracy", better=HigherOrLower.HIGHER, at_least=0.92, target="release/*", line=15),
    )
    assert churn.promote == Promote(reuse_reviewed=True)
    assert churn.keep.losers_ms == 30 * 24 * 3_600_000
    assert fraud.baseline == Baseline(BaselineKind.VERSION, "1.4.0")
    assert (churn.if_unknown, fraud.if_unknown) == (Outcome.WARN, Outcome.FAIL)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1: the file is empty; begin with `version: 1`"),
        ("models: {}", "line 1: version: is missing; write `version: 1`"),
        ("version: 2\nmodels: {}", "line 1: version: this mltrail reads version 1, not '2'"),
        ("version: 1", "line 1: models: is missing: name at least one model"),
        ("- a", "line 1: expected a mapping (`name: value` lines), found a list"),
        ("version: 1\nmodels:\n  churn: [", "line 3: not YAML: expected the node content, but found"),
        (
            model("rulse: []"),
            "line 4: models.churn.rulse: unknown key; the known ones are runs, paths, baseline, same_dataset,",
        ),
        (model("rules: 1"), "line 4: models.churn.rules: expected a list (`[a, b]` or `- a` lines), found '1'"),
        (model("rules: [{at_least: 1}]"), "line 4: models.churn.rules[0]: metric is missing:"),
        (model("rules: [{metric: a}]"), "line 4: models.churn.rules[0]: the rule has no bound: add worse_by, at_least"),
        (model("rules: [{metric: a, worse_by: 1}]"), "line 4: models.churn.rules[0]: better is missing:"),
        (
            model("rules: [{metric: a, better: on, at_most: 1}]"),
            "rules[0].better: expected one of higher, lower, found",
        ),
        (model("rules: [{metric: a, better: lower, worse_by: -1}]"), "expected a number of at least 0, found '-1'"),
        (model("rules: [{metric: a, at_least: '1'}]"), "rules[0].at_least: expected a number, found '1'"),
        (model("rules: [{metric: a, at_least: .inf}]"), "rules[0].at_least: expected a number, found '.inf'"),
        (model("rules: [{metric: a, at_least: 2, at_most: 1}]"), "rules[0]: no value can be at least 2 and at most 1"),
        (model("rules: [{metric: a, better: lower, worse_by: {}}]"), "worse_by: expected a number, or {percent: 10}"),
        (model("rank_by: a\n    rank_by: b"), "line 5: models.churn.rank_by: is given twice, first on line 4"),
        (model("keep: {losers: 30 days}"), "models.churn.keep.losers: expected a time such as 12h, 30d or 8w"),
        (model("promote: {reuse_reviewed: yes}"), "promote.reuse_reviewed: expected true or false, found 'yes'"),
        (model("promote: {alias: a b}"), "an alias consists of letters, digits, - and _, found 'a b'"),
        (model("baseline: version:1.4"), "models.churn.baseline: expected target, an alias such as champion, or"),
        (model("rank_by: ~"), "models.churn.rank_by: expected text, found nothing"),
        (model("? [a]\n    : b"), "line 4: models.churn: a key must be plain text"),
        ("a: " + "[" * 5000, "not YAML"),
        ("x" * 300_000, "line 1: longer than 262144 characters"),
    ],
)
def test_a_problem_names_its_line_and_key(text: str, says: str) -> None:
    assert any(says in problem for problem in problems(text)), problems(text)


def test_all_problems_are_listed_at_once() -> None:
    text = model("rank: a\n    rules:\n      - {metric: a, better: up, at_least: x}\n    keep: 1")
    assert [problem.split(":")[0] for problem in problems(text)] == ["line 4", "line 6", "line 6", "line 7"]


@pytest.mark.parametrize("word", ["no", "on", "off", "yes", "true", "1.10", "2026-11-21", "0x1F", "null "])
def test_a_name_is_a_name_whatever_yaml_takes_it_for(word: str) -> None:
    contract = read(f"version: 1\nmodels:\n  {word}: {{same_dataset: {word.strip()}x, rank_by: '{word}'}}\n")
    (found,) = contract.models.values()
    assert (found.name, found.rank_by) == (word.strip(), word)


def is_read_or_explained(text: str) -> bool:
    try:
        read(text)
    except ContractError as error:
        return bool(error.problems) and all(one.line >= 1 and one.message for one in error.problems)
    return True


@given(st.text(alphabet=string.printable + "äß€\u2028", max_size=200))
def test_any_text_is_a_contract_or_an_explained_error(text: str) -> None:
    assert is_read_or_explained(text)


@given(st.recursive(st.text(max_size=5), lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner)))
def test_any_document_under_models_is_a_contract_or_an_explained_error(document: object) -> None:
    assert is_read_or_explained(f"version: 1\nmodels: {json.dumps(document)}")  # JSON is YAML


def test_aliases_do_not_make_a_small_file_large() -> None:
    rules = "&r {metric: x, at_least: 1}" + ", *r" * 30_000
    models = "".join(f"  m{number}: *m\n" for number in range(8_000))
    with pytest.raises(ContractError, match="more than 20000 values, including aliases") as caught:
        read(f"version: 1\nmodels:\n  m: &m {{rules: [{rules}]}}\n{models}")
    assert len(caught.value.problems) == 1


def test_a_file_full_of_mistakes_names_the_first_hundred() -> None:
    with pytest.raises(ContractError) as caught:
        read("version: 1\nmodels:\n  churn:\n" + "".join(f"    rule{number}: x\n" for number in range(10_000)))
    assert len(caught.value.problems) == 100


@pytest.mark.parametrize(
    ("models", "rules", "says"),
    [
        (101, 1, "101 models; at most 100 are allowed"),
        (1, 101, "a model has 101 rules"),
        (11, 99, "1089 rules; at most 1000"),
    ],
)
def test_what_every_report_has_to_go_through_is_bounded(models: int, rules: int, says: str) -> None:
    of_one = "".join(f"    - {{metric: m{number}, at_least: 1}}\n" for number in range(rules))
    with pytest.raises(ContractError, match=says):
        read("version: 1\nmodels:\n" + "".join(f"  m{number}:\n    rules:\n{of_one}" for number in range(models)))


def test_escapes_of_json_are_read_as_json_means_them() -> None:
    names = {"models": {"\N{GRINNING FACE}": {"rules": [{"metric": "x\U0001f3f4", "at_least": 1}]}}}
    (model,) = read(json.dumps({"version": 1, **names})).models.values()
    assert (model.name, model.rules[0].metric) == ("\N{GRINNING FACE}", "x\U0001f3f4")


@pytest.mark.parametrize("half", ["\\ud83d", "\\ude00", "\\ude00\\ud83d", "x\\ud800y"])
@pytest.mark.parametrize("text", ['version: 1\nmodels: {{"{half}": {{}}}}\n', 'version: 1\n"{half}": 1\n'])
def test_half_a_character_is_no_text(text: str, half: str) -> None:
    with pytest.raises(ContractError) as caught:
        read(text.format(half=half))
    (problem,) = caught.value.problems
    assert problem.line == 2
    assert "half a character" in problem.message
    problem.message.encode()
