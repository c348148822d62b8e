"""Evaluations and traces in the contract file: what is wrong is named, and the schema agrees."""

import jsonschema
import pytest
import yaml
from scripts import contract_schema

from mltrail_contract import (
    ContractError,
    Evaluation,
    HigherOrLower,
    QualityCriteria,
    Rule,
    Tolerance,
    TraceSettings,
    read,
)

VALIDATOR = jsonschema.Draft202012Validator(contract_schema.schema())
WHOLE = """\
version: 1
models:
  answers:
    cases:
      golden-set: {evaluation: golden-set, scorers: [exact, "rel*"], pass_at: {relevance: 4}, better: {slow: lower}}
      judged: {table: judged.json, id: id, score: mark}
    rules:
      - {cases: golden-set, scorer: correctness, worse_by: 0.02}
      - {cases: golden-set, pass_rate_at_least: 0.8, must_pass: ["tests/test_a.py::test_refund*"]}
      - {cases: golden-set, broke_at_most: 2}
      - {metric: traces/latency_p95_ms, better: lower, at_most: 2000}
    quality_criteria: accept
    promote: {needs_evaluation: golden-set}
    prompts: {qa: {alias: production}}
traces: {redact: ['\\b\\d{16}\\b'], keep: 90d}
"""


def a_contract(
    cases: str = "{evaluation: golden}", rule: str = "{cases: golden, broke_at_most: 1}", more: str = ""
) -> str:
    lines = ["version: 1", "models:", "  a:", "    cases:", f"      golden: {cases}", "    rules:", f"      - {rule}"]
    return "\n".join([*lines, *([more] if more else [])]) + "\n"


def problems(text: str) -> list[str]:
    with pytest.raises(ContractError) as caught:
        read(text)
    return [str(problem) for problem in caught.value.problems]


def test_everything_is_read() -> None:
    found = read(WHOLE)
    model = found.models["answers"]
    assert model.evaluations == {
        "golden-set": Evaluation(
            "golden-set",
            "golden-set",
            ("exact", "rel*"),
            {"relevance": 4.0},
            {"slow": HigherOrLower.LOWER},
            line=5,
        )
    }
    assert list(model.cases) == ["judged"]
    assert model.case_rules == (
        Rule("", worse_by=Tolerance(0.02), cases="golden-set", scorer="correctness", line=8),
        Rule(
            "",
            cases="golden-set",
            pass_rate_at_least=0.8,
            must_pass=("tests/test_a.py::test_refund*",),
            line=9,
        ),
        Rule("", cases="golden-set", broke_at_most=2, line=10),
    )
    assert model.quality_criteria is QualityCriteria.ACCEPT
    assert model.promote is not None
    assert model.promote.needs_evaluation == "golden-set"
    assert model.prompts == {"qa": "production"}
    assert found.traces == TraceSettings((r"\b\d{16}\b",), 90 * 24 * 3_600_000)
    VALIDATOR.validate(yaml.safe_load(WHOLE))


def test_without_these_keys_nothing_is_accepted_kept_short_or_redacted() -> None:
    found = read("version: 1\nmodels: {a: {}}\n")
    assert found.traces == TraceSettings()
    assert found.models["a"].quality_criteria is QualityCriteria.IGNORE
    assert not found.models["a"].evaluations


WRONG = [
    (a_contract("{evaluation: golden, id: x}"), "line 5: models.a.cases.golden.id: unknown key; the known ones are"),
    (a_contract("{evaluation: golden, pass_at: 4}"), "golden.pass_at: expected a mapping"),
    (a_contract("{evaluation: golden, pass_at: {mark: good}}"), "pass_at.mark: expected a number, found 'good'"),
    (a_contract("{evaluation: golden, better: {mark: up}}"), "better.mark: expected one of higher, lower"),
    (a_contract("{evaluation: golden, scorers: mark}"), "golden.scorers: expected a list"),
    (a_contract(rule="{cases: golden}"), "line 7: models.a.rules[0]: the rule has no bound"),
    (a_contract(rule="{cases: golden, pass_rate_at_least: 80}"), "expected a share from 0 to 1, such as 0.8, found 80"),
    (a_contract(rule="{cases: golden, must_pass: []}"), "must_pass: is empty: name the cases"),
    (a_contract(rule="{cases: golden, must_pass: a}"), "must_pass: expected a list"),
    (a_contract(rule="{scorer: mark, broke_at_most: 1}"), "cases is missing"),
    (a_contract(rule="{metric: b, at_least: 1, scorer: mark}"), "a rule is about a metric or about cases"),
    (
        a_contract("{table: a.csv, id: id, label: y, prediction: p}", "{cases: golden, must_pass: [a]}"),
        "rules[0].must_pass: is for evaluations, and 'golden' is a table",
    ),
    (
        a_contract(more="    promote: {needs_evaluation: silver}"),
        "needs_evaluation: the model has no evaluation 'silver'",
    ),
    (a_contract(more="    prompts: {qa: {}}"), "prompts.qa: alias is missing"),
    (a_contract(more="    prompts: {qa: {alias: a b}}"), "an alias consists of letters, digits, - and _"),
    (a_contract(more="    quality_criteria: yes"), "expected one of ignore, accept"),
    (a_contract(more="traces: {keep: long}"), "traces.keep: expected a time such as 12h, 30d or 8w"),
    (a_contract(more="traces: {redakt: []}"), "traces.redakt: unknown key; the known ones are redact, keep. Did you"),
]
OF_SCHEMA = {"needs_evaluation: the model"}
"""What a schema can't know: which other keys there are."""


@pytest.mark.parametrize(("text", "says"), WRONG)
def test_a_problem_names_its_line_and_key_and_the_schema_refuses_it_too(text: str, says: str) -> None:
    assert any(says in problem for problem in problems(text)), problems(text)
    if not any(says.startswith(one) for one in OF_SCHEMA) and "is for evaluations" not in says:
        assert not VALIDATOR.is_valid(yaml.safe_load(text))


@pytest.mark.parametrize(
    "pattern",
    [
        r"\b\d{16}\b",
        r"[\w.+-]{1,64}@[\w.-]{1,100}",
        r"\(?\d{3}\)?[ -]?\d{4}",
        r"(?i)password: \S{1,200}",
        r"[]^a]{2}",
        r"(?:secret|key)=\w{8,64}",
        r"\d{4}( \d{4}){3}",
    ],
)
def test_patterns_that_end_soon_are_taken(pattern: str) -> None:
    assert read(a_contract(more=f"traces: {{redact: ['{pattern}']}}")).traces.redact == (pattern,)


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        (r"(a", "not a regular expression"),
        (r"\d*", "matches the empty text"),
        (r"\d+", "write {1,100} instead of +"),
        (r"\d{3,}", "sets no limit to a match's length"),
        (r"(a{1,9}){1,9}b", "repeats a group that can match in several ways"),
        (r"(a|a){30}b", "repeats a group that can match in several ways"),
        (r"(x(a?)){30}b", "repeats a group that can match in several ways"),
        (r"a{0,200}a{0,200}b", "at most 20,000 are allowed"),
        (r"(a)\1", "without look-around, flags or references"),
        (r"(?=a)a", "without look-around, flags or references"),
        ("a" * 501, "longer than 500 characters"),
    ],
)
def test_patterns_that_could_take_for_ever_are_refused(pattern: str, says: str) -> None:
    text = a_contract(more=f"traces: {{redact: ['{pattern}']}}")
    assert any(says in problem and "traces.redact[0]" in problem for problem in problems(text)), problems(text)
