"""What a contract file says about imported runs and versions."""

import pytest

from mltrail_contract import ContractError, Imported, read

ONE = "version: 1\n%smodels: {churn: {%s}}\n"


@pytest.mark.parametrize(
    ("defaults", "own", "meant"),
    [
        ("", "", Imported()),
        ("", "imported: {}", Imported()),
        ("", "imported: {baseline: true}", Imported(baseline=True)),
        ("", "imported: {champion: false}", Imported(champion=False)),
        ("imported: {baseline: true, champion: true}", "", Imported(baseline=True, champion=True)),
        ("imported: {baseline: true, champion: true}", "imported: {champion: false}", Imported(True, champion=False)),
        ("imported: {baseline: true}", "imported: {baseline: false}", Imported()),
    ],
)
def test_a_model_has_the_keys_of_the_defaults_that_it_does_not_set(defaults: str, own: str, meant: Imported) -> None:
    given = f"defaults: {{{defaults}}}\n" if defaults else ""
    assert read(ONE % (given, own)).models["churn"].imported == meant


@pytest.mark.parametrize(
    ("own", "says"),
    [
        ("imported: yes", "expected a mapping"),
        ("imported: {baseline: yes}", "expected true or false, found 'yes'"),
        ("imported: {champion: champion}", "expected true or false, found 'champion'"),
        ("imported: {baselines: true}", "baselines"),
    ],
)
def test_a_mistake_is_named(own: str, says: str) -> None:
    with pytest.raises(ContractError, match=says):
        read(ONE % ("", own))
