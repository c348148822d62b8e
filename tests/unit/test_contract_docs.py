"""The contract file's page and schema say what the reader does."""

import re

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scripts import contract_schema

from mltrail_contract import FILE_NAME, ContractError, read, reading

PAGE = contract_schema.FILE.with_name("contract.md")
EXAMPLES = re.findall(r"(?s)```yaml\n(.*?)```", PAGE.read_text())
HOW_TO = contract_schema.FILE.parents[1] / "how-to"
PAGES = [PAGE, *(HOW_TO / name for name in ("compare-cases.md", "evaluate-prompts-and-agents.md"))]
VALIDATOR = jsonschema.Draft202012Validator(contract_schema.schema())


def test_the_schema_is_the_one_that_the_reader_makes() -> None:
    assert contract_schema.FILE.read_text() == contract_schema.text(), "run: python -m scripts.contract_schema"
    VALIDATOR.check_schema(VALIDATOR.schema)


def contracts() -> list[str]:
    """All blocks of the pages that are contract files."""
    blocks = [block for page in PAGES for block in re.findall(r"(?s)```yaml\n(.*?)```", page.read_text())]
    return [block for block in blocks if "include:" not in block]


@pytest.mark.parametrize("example", contracts())
def test_each_example_of_the_page_is_a_contract(example: str) -> None:
    assert read(example).models
    VALIDATOR.validate(yaml.safe_load(example))


@pytest.mark.parametrize(
    "key", sorted({*reading.TOP, *reading.DEFAULTS, *reading.GATE, *reading.MODEL, *reading.RULE, *reading.PROMOTE})
)
def test_each_key_has_an_example(key: str) -> None:
    assert any(re.search(rf"\b{key}:", example) for example in EXAMPLES)
    assert f"`{key}`" in PAGE.read_text() or f".{key}`" in PAGE.read_text()


@pytest.mark.parametrize(
    ("example", "ruled"),
    [("churn", ["val_auc", "val_f1", "val_log_loss"]), ("answers", ["traces/tokens_mean", "golden-set", "golden-set"])],
)
def test_the_example_s_contract_is_one(example: str, ruled: list[str]) -> None:
    text = (contract_schema.FILE.parents[2] / "examples" / example / FILE_NAME).read_text()
    model = read(text).models[example]
    assert [rule.cases or rule.metric for rule in (*model.rules, *model.case_rules)] == ruled
    VALIDATOR.validate(yaml.safe_load(text))


WRONG = """
version: 2
version: 1, models: {a: {ruls: []}}
version: 1, models: {a: {rules: [{metric: a}]}}
version: 1, models: {a: {rules: [{at_least: 1}]}}
version: 1, models: {a: {rules: [{metric: a, worse_by: 1}]}}
version: 1, models: {a: {rules: [{metric: a, better: up, at_least: 1}]}}
version: 1, models: {a: {rules: [{metric: a, better: higher, worse_by: {percent: -1}}]}}
version: 1, models: {a: {rules: [{metric: a, better: higher, worse_by: {}}]}}
version: 1, models: {a: {keep: {losers: 3y}}}
version: 1, models: {a: {if_unknown: maybe}}
version: 1, models: {a: {rank_by: {better: higher}}}
version: 1, models: {a: {rank_by: {metric: a, better: up}}}
version: 1, models: {a: {promote: {bump: huge}}}
version: 1, gate: {thread: maybe}, models: {}
version: 1
models: {}
"""


@pytest.mark.parametrize("text", WRONG.strip().splitlines())
def test_schema_and_reader_refuse_the_same(text: str) -> None:
    with pytest.raises(ContractError):
        read(f"{{{text}}}")
    assert not VALIDATOR.is_valid(yaml.safe_load(f"{{{text}}}"))


_WORDS = st.sampled_from(["accuracy", "f1/*", "no", "1.10", "higher", "warn", "target", "30d", "x"])
_VALUES = st.recursive(
    st.one_of(_WORDS, st.integers(-2, 2), st.booleans()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(st.sampled_from([*reading.MODEL, *reading.RULE, "percent"]), inner, max_size=4),
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(reading.MODEL), _VALUES, max_size=3))
@settings(max_examples=60)
def test_what_the_reader_takes_the_schema_takes(model: dict[str, object]) -> None:
    document = {"version": 1, "models": {"churn": model}}
    try:
        read(yaml.safe_dump(document))
    except ContractError:
        return
    VALIDATOR.validate(document)
