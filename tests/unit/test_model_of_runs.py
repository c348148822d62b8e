"""Whose runs are these? The contract says it, else the experiment's name; never that a model is the only one."""

import pytest

import mltrail_contract
from mltrail_contract import Contract
from mltrail_server.domain import selection
from mltrail_server.domain.grouping import Run, RunState


def contract(text: str) -> Contract:
    return mltrail_contract.read(f"version: 1\nmodels: {text}\n")


def run(iid: int, experiment: str, **tags: str) -> Run:
    return Run(iid, f"run-{iid}", RunState.SUCCEEDED, {}, {}, experiment=experiment, tags=tags)


@pytest.mark.parametrize(
    ("models", "experiment", "is_churn"),
    [
        ("{churn: {}}", "churn", True),
        ("{churn: {}}", "[model]churn", True),
        ("{churn: {}}", "fraud", False),
        ("{churn: {}}", "Default", True),
        ("{churn: {}, price: {}}", "Default", False),
        ("{churn: {runs: {experiment: churn}}}", "Default", False),
        ("{churn: {}}", "churn-training", False),
        ("{churn: {}}", "Churn", False),
        ("{churn: {runs: {experiment: Default}}}", "Default", True),
        ("{churn: {runs: {experiment: 'churn-*'}}}", "churn-training", True),
        ("{churn: {runs: {experiment: 'churn-*'}}}", "churn", False),
        ("{churn: {runs: {tags: {stage: eval}}}}", "anything", True),
        ("{churn: {runs: {tags: {stage: train}}}}", "churn", False),
    ],
)
def test_a_run_is_a_models_by_the_contract_or_by_its_experiment(models: str, experiment: str, is_churn: bool) -> None:
    found = selection.select(contract(models), [run(1, experiment, stage="eval")])
    assert [one.iid for one in found["churn"]] == ([1] if is_churn else [])
    assert sum(map(len, found.values())) == 1
    names = [one.name for one in selection.models_of(contract(models), [experiment])]
    assert names == (["churn"] if is_churn or "tags" in models else [])


def asked(models: str, *experiments: str, changed: list[str] | None = None) -> list[str]:
    runs = [run(number, name) for number, name in enumerate(experiments)]
    return [one.sentence(repr) for one in selection.unmatched_models(contract(models), runs, changed)]


def test_what_is_not_known_is_asked_with_the_line_to_write() -> None:
    (question,) = asked("{churn: {}}", "churn-2")
    assert "No run here is known to belong to 'churn'" in question
    assert "'runs: {experiment: churn-2}' below 'models: churn:'" in question
    assert "'Default', 'fraud'" in asked("{churn: {}}", "Default", "fraud")[0]
    (question,) = asked("{churn: {}}", "fraud", "b: c", "fraud")
    assert "'b: c', 'fraud'" in question
    assert 'runs: {experiment: "b: c"}' in question
    (question,) = asked("{churn: {runs: {experiment: churn-*}}}", *map(str, range(30)))
    assert "and 27 more" in question
    assert len(asked("{churn: {}, price: {}}", "Default")) == 2


def test_nothing_is_asked_where_it_is_known() -> None:
    assert asked("{churn: {}}", "churn") == []
    assert asked("{churn: {}}", "Default", "Default") == []
    assert asked("{churn: {}}", "churn", "fraud") == []
    assert asked("{churn: {}, fraud: {}}", "fraud") == []
    assert asked("{churn: {}}") == []
    assert asked("{churn: {paths: [churn/**]}}", "fraud", changed=["fraud/train.py"]) == []
    assert asked("{churn: {paths: [churn/**]}}", "fraud", changed=["churn/train.py"]) != []
    assert selection.unmatched_models(None, [run(1, "fraud")], None) == []


def test_runs_without_an_experiments_name_never_join_named_ones() -> None:
    runs = [run(1, "Default"), run(2, "churn")]
    found = selection.select(contract("{churn: {}}"), runs)
    assert {name: [one.iid for one in of] for name, of in found.items()} == {"churn": [2], "Default": [1]}
    found = selection.select(contract("{churn: {}}"), [run(1, "Default"), run(2, "fraud")])
    assert {name: [one.iid for one in of] for name, of in found.items()} == {"churn": [], "Default": [1], "fraud": [2]}
