"""Which model a run becomes, and what is no mistake of a job that promotes."""

import pytest

from tests.api.promotion.merges import elsewhere, merged, open_request
from tests.api.promotion.promoting import aliases, by_hand, promote
from tests.api.trail import SHAS, Trail

CHURN = "version: 1\nmodels: {churn: {rules: [{metric: val_accuracy, better: higher, at_least: 0.1}], promote: {}}}\n"
REUSED = "version: 1\nmodels: {churn: {promote: {reuse_reviewed: true}}, fraud: {promote: {reuse_reviewed: true}}}\n"


@pytest.mark.parametrize("experiments", [["fraud"], ["churn-training"], ["fraud", "price"], ["Default", "fraud"]])
def test_another_experiments_run_never_becomes_the_only_model(trail: Trail, experiments: list[str]) -> None:
    pipeline = trail.main(SHAS["b"], CHURN)
    for name in experiments:
        trail.train(pipeline, [0.9], experiment=name, job_name=f"train {name}")
    promotions = {one["model"]: one for one in promote(trail, pipeline)}
    assert promotions["churn"]["state"] == "refused"
    assert f"runs: {{experiment: {min(experiments)}}}" in promotions["churn"]["reason"]
    for name in experiments:
        assert (promotions[name]["state"], promotions[name]["reason"]) == (
            "nothing",
            "the contract file does not name it",
        )


def test_later_another_experiment_alone_fails_no_job(trail: Trail) -> None:
    first = trail.main(SHAS["b"], CHURN)
    trail.train(first, [0.9])
    promote(trail, first)
    second = trail.main(SHAS["d"], CHURN)
    trail.train(second, [0.9], experiment="fraud")
    assert {one["state"] for one in promote(trail, second)} == {"nothing"}
    assert aliases(trail) == {"champion": "1"}


def test_both_experiments_in_one_pipeline(trail: Trail) -> None:
    pipeline = trail.main(SHAS["b"], CHURN)
    trail.train(pipeline, [0.9])
    trail.train(pipeline, [0.99], experiment="fraud", job_name="train fraud")
    states = {one["model"]: one["state"] for one in promote(trail, pipeline)}
    assert states == {"churn": "promoted", "fraud": "nothing"}


@pytest.mark.parametrize(
    ("experiment", "runs"),
    [("Default", ""), ("Default", "runs: {experiment: Default}, "), ("x", "runs: {experiment: x}, ")],
)
def test_runs_of_no_named_experiment_and_those_that_the_contract_names_are_its(
    trail: Trail, experiment: str, runs: str
) -> None:
    pipeline = trail.main(SHAS["b"], CHURN.replace("rules:", f"{runs}rules:"))
    trail.train(pipeline, [0.9], experiment=experiment)
    (done,) = promote(trail, pipeline)
    assert (done["state"], done["model"]) == ("promoted", "churn")


def test_the_gate_note_and_report_ask(trail: Trail) -> None:
    trail.main(SHAS["b"], CHURN)
    request = trail.request(SHAS["c"])
    pipeline = trail.of_request(request, SHAS["c"])
    trail.train(pipeline, [0.05], experiment="renamed")
    report = trail.report(pipeline)
    assert report["gate"]["outcome"] != "pass"
    assert "runs: {experiment: renamed}" in report["questions"][0]
    assert "No run here is known to belong to `churn`" in trail.notes(request)[0]


class TestWhatTheContractDoesNotPromoteHere:
    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("{}", "the contract file has no `promote:` for it"),
            ("{rules: [{metric: val_accuracy, at_least: 0.99}]}", "the contract file has no `promote:` for it"),
            ("{promote: {from: [tags]}}", "promotion is for tags, not for 'main'"),
            (
                "{promote: {from: [tags, 'release/*']}}",
                "promotion is for tags, branches like release/*, not for 'main'",
            ),
        ],
    )
    def test_is_no_error_on_the_default_branch(self, trail: Trail, text: str, says: str) -> None:
        pipeline = trail.main(SHAS["b"], f"version: 1\nmodels: {{churn: {text}}}\n")
        trail.train(pipeline, [0.9])
        (promotion,) = promote(trail, pipeline)
        assert (promotion["state"], promotion["reason"]) == ("nothing", says)

    def test_is_one_for_a_person_who_names_the_run(self, trail: Trail) -> None:
        pipeline = trail.main(SHAS["b"], "version: 1\nmodels: {churn: {}}\n")
        trail.train(pipeline, [0.9])
        assert by_hand(trail, candidate=1)[0]["state"] == "refused"


@pytest.mark.parametrize("contract", [None, REUSED])
@pytest.mark.parametrize("wish", [{}, {"model": "churn"}])
def test_after_a_merge_with_other_changes_the_job_fails(
    trail: Trail, contract: str | None, wish: dict[str, str]
) -> None:
    request = open_request(trail)
    trail.train(trail.of_request(request, SHAS["c"]), [0.9])
    if contract is None:
        elsewhere(trail)
    else:
        trail.main(SHAS["d"], contract)
    pipeline = merged(trail, request)
    (promotion,) = promote(trail, pipeline, **wish)
    assert (promotion["state"], promotion["model"]) == ("refused", "churn")
    assert promotion["reason"].startswith("the merged files differ (in ")


def test_what_was_trained_again_is_promoted_and_what_was_not_is_refused(trail: Trail) -> None:
    request = open_request(trail)
    reviewed = trail.of_request(request, SHAS["c"])
    trail.train(reviewed, [0.9])
    trail.train(reviewed, [0.9], experiment="fraud", job_name="train fraud")
    elsewhere(trail)
    pipeline = merged(trail, request)
    trail.train(pipeline, [0.9])
    states = {one["model"]: one["state"] for one in promote(trail, pipeline)}
    assert states == {"churn": "promoted", "fraud": "refused"}


def test_a_rerun_after_a_rollback_says_what_the_alias_holds_now(trail: Trail) -> None:
    first, second = trail.main(SHAS["b"]), trail.main(SHAS["d"])
    for pipeline, value in ((first, 0.8), (second, 0.9)):
        trail.train(pipeline, [value])
        promote(trail, pipeline)
    rolled = trail.client.post(
        "/api/v4/projects/42/ml/models/churn/aliases/champion/rollback",
        headers={"Authorization": f"Bearer {trail.team.tokens['maintainer']}"},
        json={},
    )
    assert rolled.status_code == 200
    (again,) = promote(trail, second)
    assert (again["state"], again["version"], again["alias"]) == ("already", "1.0.1", "champion")
    assert again["holder"]["version"] == "1.0.0"
    assert again["holder"]["url"].endswith("/-/ml/models/churn/versions/1.0.0")
    assert again["url"].endswith("/-/ml/models/churn/versions/1.0.1")
    assert aliases(trail) == {"champion": "1"}
