"""Tables of cases in the contract file, and the rules about them: what is wrong is named, and the schema agrees."""

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scripts import contract_schema

from mltrail_contract import CaseTable, ContractError, Measure, Outcome, Rule, Then, Tolerance, cases, read

VALIDATOR = jsonschema.Draft202012Validator(contract_schema.schema())
GOLDEN = "{table: eval_results_table.json, id: id, label: target, prediction: prediction}"


def a_contract(table: str, *rules: str) -> str:
    lines = ["version: 1", "models:", "  churn:", "    cases:", f"      golden: {table}", "    rules:"]
    return "\n".join([*lines, *(f"      - {rule}" for rule in rules or ("{metric: a, at_least: 1}",))]) + "\n"


def test_tables_and_rules_are_read() -> None:
    rule = "{cases: golden, broke_at_most: 2, then: warn, target: main}"
    model = read(a_contract(GOLDEN, rule, "{metric: a, at_least: 1}")).models["churn"]
    table = CaseTable("golden", "eval_results_table.json", "id", label="target", prediction="prediction", line=5)
    assert model.cases == {"golden": table}
    assert model.case_rules == (Rule("", then=Then.WARN, target="main", line=7, cases="golden", broke_at_most=2),)
    assert [rule.metric for rule in model.rules] == ["a"]
    assert model.if_unknown is Outcome.WARN


def test_a_rule_may_hold_the_measure_to_the_baseline_s() -> None:
    """Which way it is better is known from the table, and a score needs no threshold."""
    rules = ("{cases: golden, worse_by: 0.01}", "{cases: golden, worse_by: {percent: 2}}")
    model = read(a_contract("{table: a.csv, id: id, score: p}", *rules)).models["churn"]
    assert [rule.worse_by for rule in model.case_rules] == [Tolerance(0.01), Tolerance(2.0, percent=True)]
    both = read(a_contract(GOLDEN, "{cases: golden, broke_at_most: 2, worse_by: 0}")).models["churn"].case_rules
    assert [(rule.broke_at_most, rule.worse_by) for rule in both] == [(2, Tolerance(0.0))]


@pytest.mark.parametrize(
    ("table", "measure", "right_or_wrong"),
    [
        ("label: y, prediction: p", Measure.ACCURACY, True),
        ("label: y, score: p", Measure.AUC, False),
        ("label: y, score: p, threshold: 0.5", Measure.ACCURACY, True),
        ("score: p", Measure.MEAN_SCORE, False),
        ("score: p, threshold: 3, better: lower", Measure.ACCURACY, True),
        ("label: y, prediction: p, measure: macro_f1", Measure.MACRO_F1, True),
        ("label: y, prediction: p, measure: mean_absolute_error", Measure.MEAN_ABSOLUTE_ERROR, False),
        ("label: y, score: p, threshold: 0.5, measure: auc", Measure.AUC, True),
    ],
)
def test_the_columns_decide_what_is_computed(table: str, measure: Measure, right_or_wrong: bool) -> None:
    found = read(a_contract(f"{{table: a.csv, id: id, {table}}}")).models["churn"].cases["golden"]
    assert (found.measure, found.right_or_wrong) == (measure, right_or_wrong)


TABLES = [
    ("{id: id, label: y, prediction: p}", "line 5: models.churn.cases.golden: table is missing"),
    ("{table: a.csv, label: y, prediction: p}", "golden: id is missing"),
    ("{table: a.csv, id: id, label: y}", "golden: expected either prediction or score"),
    ("{table: a.csv, id: id, label: y, prediction: p, score: s}", "golden: expected either prediction or score"),
    ("{table: a.csv, id: id, prediction: p}", "golden: label is missing"),
    ("{table: a.xlsx, id: id, label: y, prediction: p}", "golden.table: expected a file that ends with .json, .jsonl"),
    ("{table: a.csv, id: id, label: y, prediction: p, threshold: 1}", "golden.threshold: belongs to a score"),
    ("{table: a.csv, id: id, label: y, score: p, better: lower}", "golden.better: with a label, a higher score means"),
    ("{table: a.csv, id: id, score: p, positive: x}", "golden.positive: is the label that a high score means"),
    ("{table: a.csv, id: id, lable: y, prediction: p}", "golden.lable: unknown key; the known ones are table, id,"),
    ("{table: a.csv, id: id, score: p, threshold: high}", "golden.threshold: expected a number, found 'high'"),
    ("{table: a.csv, id: id, score: p, measure: rocauc}", "golden.measure: expected one of accuracy, f1,"),
]
MEASURES = [
    ("{table: a.csv, id: id, score: p, measure: accuracy}", "accuracy needs right and wrong answers"),
    ("{table: a.csv, id: id, score: p, measure: auc}", "auc needs a score and a label"),
    ("{table: a.csv, id: id, score: p, measure: mean_absolute_error}", "mean_absolute_error needs a prediction"),
    ("{table: a.csv, id: id, label: y, prediction: p, measure: mean_score}", "mean_score needs a score"),
    ("{table: ../a.csv, id: id, score: p}", "golden.table: expected a path in the run's artifacts, found '../a.csv'"),
    ("{table: /a.csv, id: id, score: p}", "expected a path in the run's artifacts"),
    ('{table: "a\\\\b.csv", id: id, score: p}', "expected a path in the run's artifacts"),
]
RULES = [
    ("{cases: golden}", "line 7: models.churn.rules[0]: the rule has no bound: add broke_at_most or worse_by"),
    ("{broke_at_most: 2}", "line 7: models.churn.rules[0]: cases is missing"),
    ("{cases: golden, broke_at_most: 1.5}", "rules[0].broke_at_most: expected a whole number of cases, found 1.5"),
    ("{cases: golden, broke_at_most: -1}", "expected a number of at least 0, found '-1'"),
    ("{cases: golden, broke_at_most: 1, metric: a}", "rules[0].metric: a rule is about a metric or about cases"),
    ("{cases: golden, worse_by: -1}", "expected a number of at least 0, found '-1'"),
    ("{cases: golden, worse_by: 0.01, better: higher}", "rules[0].better: a rule is about a metric or about cases"),
    ("{cases: golden, broke_at_most: 1, value: best}", "rules[0].value: a rule is about a metric or about cases"),
]
OF_OTHER_TABLES = [
    (GOLDEN, "{cases: silver, broke_at_most: 1}", "rules[0].cases: the model has no table of cases 'silver'"),
    ("{table: a.csv, id: id, score: p}", "{cases: golden, broke_at_most: 1}", "a score needs a `threshold`"),
    (
        "{table: a.csv, id: id, label: y, prediction: p, measure: mean_absolute_error}",
        "{cases: golden, broke_at_most: 1}",
        "a number is only near or far",
    ),
]


def problems(text: str) -> list[str]:
    with pytest.raises(ContractError) as caught:
        read(text)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(("table", "says"), [*TABLES, *MEASURES])
def test_a_problem_of_a_table_names_its_line_and_key(table: str, says: str) -> None:
    found = problems(a_contract(table))
    assert len(found) == 1
    assert says in found[0]


@pytest.mark.parametrize(("rule", "says"), RULES)
def test_a_problem_of_a_rule_names_its_line_and_key(rule: str, says: str) -> None:
    assert any(says in problem for problem in problems(a_contract(GOLDEN, rule)))


@pytest.mark.parametrize(("table", "rule", "says"), OF_OTHER_TABLES)
def test_a_rule_fits_its_table(table: str, rule: str, says: str) -> None:
    assert any(says in problem for problem in problems(a_contract(table, rule)))


def test_what_has_to_be_read_is_bounded() -> None:
    many = "".join(f"      t{number}: {GOLDEN}\n" for number in range(21))
    assert any("21 tables of cases" in one for one in problems(f"version: 1\nmodels:\n  churn:\n    cases:\n{many}"))
    rules = ["{cases: golden, broke_at_most: 1}"] * 101
    assert any("a model has 101 rules" in one for one in problems(a_contract(GOLDEN, *rules)))


@pytest.mark.parametrize(
    "text", [*(a_contract(table) for table, _ in TABLES), *(a_contract(GOLDEN, rule) for rule, _ in RULES)]
)
def test_the_schema_refuses_the_same(text: str) -> None:
    assert not VALIDATOR.is_valid(yaml.safe_load(text))


_NAMES = st.sampled_from(["golden", "a.csv", "y", "1", "accuracy", "auc", "mean_score", "lower"])
_TABLE = st.dictionaries(st.sampled_from(cases.TABLE), st.one_of(_NAMES, st.integers(0, 2)), max_size=6)
_RULE = st.dictionaries(st.sampled_from([*cases.RULE, "metric"]), st.one_of(_NAMES, st.integers(0, 2)), max_size=4)


@given(_TABLE.map(lambda found: {"table": "a.csv", "id": "id", **found}), st.lists(_RULE, max_size=1))
@settings(max_examples=200)
def test_what_the_reader_takes_the_schema_takes(table: dict[str, object], rules: list[dict[str, object]]) -> None:
    document = {"version": 1, "models": {"churn": {"cases": {"golden": table}, "rules": rules}}}
    try:
        read(yaml.safe_dump(document))
    except ContractError:
        return
    VALIDATOR.validate(document)


def test_the_schema_is_made_by_the_script() -> None:
    assert contract_schema.FILE.read_text() == contract_schema.text()
