"""The contract file of a project: where it is read from, what it selects, and what it says."""

from typing import Any

import pytest
from werkzeug.test import TestResponse

from mltrail_contract import FILE_NAME
from mltrail_server.services.contract import contracts
from tests.api.review.merge_requests import RULE, a_main, a_request, contract
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import Pipeline
from tests.mlflow_client import Mlflow, good
from tests.team import EXTERNAL_URL


def rulings(trail: Trail, pipeline: Pipeline) -> dict[str, tuple[str, str]]:
    """What the rules say, by metric."""
    report = trail.report(pipeline)
    return {rule["metric"]: (rule["outcome"], rule["sentence"]) for one in report["models"] for rule in one["rules"]}


def test_a_drop_breaks_the_rule(trail: Trail) -> None:
    a_main(trail, SHAS["b"], contract(RULE), [0.80, 0.81, 0.82])
    _, pipeline = a_request(trail, [0.70, 0.71, 0.72])
    report = trail.report(pipeline)
    assert report["gate"] == {"outcome": "fail", "sentence": "gate failed: 1 rule broken", "problems": []}
    (model,) = report["models"]
    (rule,) = model["rules"]
    assert (rule["metric"], rule["line"], rule["outcome"]) == ("val_accuracy", 5, "fail")
    assert (rule["expects"], rule["sentence"]) == (
        "must not drop by more than 0.01",
        "\N{MINUS SIGN}10 pp, clearly more than allowed: \N{MINUS SIGN}1 pp",
    )
    assert trail.report(pipeline, "GET")["gate"] == report["gate"]


def test_without_a_file_nothing_gates(trail: Trail) -> None:
    a_main(trail, SHAS["b"], None, [0.80, 0.81, 0.82])
    _, pipeline = a_request(trail, [0.10, 0.11, 0.12])
    assert trail.report(pipeline)["gate"] == {"outcome": None, "sentence": "no contract file", "problems": []}


def test_a_merge_request_cannot_relax_its_own_gate(trail: Trail) -> None:
    a_main(trail, SHAS["b"], contract(RULE), [0.80, 0.81, 0.82])
    relaxed = contract("{metric: val_accuracy, better: higher, worse_by: 0.5}")
    _, pipeline = a_request(trail, [0.70, 0.71, 0.72], {FILE_NAME: relaxed})
    report = trail.report(pipeline)
    assert report["gate"]["outcome"] == "fail"
    assert report["proposed"]["outcome"] == "pass"


def test_a_merge_request_that_adds_the_file_sees_what_it_would_say(trail: Trail) -> None:
    a_main(trail, SHAS["b"], None, [0.80, 0.81, 0.82])
    _, pipeline = a_request(trail, [0.70, 0.71, 0.72], {FILE_NAME: contract(RULE)})
    report = trail.report(pipeline)
    assert report["gate"]["outcome"] is None
    assert report["proposed"]["sentence"] == "gate failed: 1 rule broken"


def test_a_file_that_can_t_be_read_is_reported_with_line_and_key(trail: Trail) -> None:
    a_main(trail, SHAS["b"], contract("{metric: val_accuracy, beter: higher}"), [0.80, 0.81])
    _, pipeline = a_request(trail, [0.70, 0.71])
    gate = trail.report(pipeline)["gate"]
    assert (gate["outcome"], gate["sentence"]) == ("fail", "contract invalid")
    (problem,) = gate["problems"]
    assert (problem["line"], problem["key"]) == (5, "models.churn.rules[0].beter")
    assert "Did you mean better?" in problem["message"]


def test_a_file_of_any_size_is_taken_as_a_mistake(trail: Trail) -> None:
    a_main(trail, SHAS["b"], "#" * 3_000_000, [0.80])
    _, pipeline = a_request(trail, [0.70])
    assert "longer than 262144 characters" in trail.report(pipeline)["gate"]["problems"][0]["message"]


def test_when_gitlab_does_not_answer_the_last_file_stays(trail: Trail) -> None:
    a_main(trail, SHAS["b"], contract(RULE), [0.80, 0.81, 0.82])
    _, pipeline = a_request(trail, [0.70, 0.71, 0.72])
    trail.team.gitlab.fail_next("GET", "/raw$", 503)
    gate = trail.report(pipeline)["gate"]
    assert (gate["outcome"], gate["sentence"]) == ("fail", "the contract file has not been read yet")
    assert trail.report(pipeline)["gate"]["outcome"] == "fail"
    trail.clock.advance(contracts.REREAD_AFTER_MS)
    trail.team.gitlab.fail_next("GET", "/raw$", 503)
    assert trail.report(pipeline)["gate"]["outcome"] == "fail"


def test_a_new_file_on_the_target_branch_counts(trail: Trail) -> None:
    a_main(trail, SHAS["b"], None, [0.80, 0.81, 0.82])
    _, pipeline = a_request(trail, [0.70, 0.71, 0.72])
    assert trail.report(pipeline)["gate"]["outcome"] is None
    a_main(trail, SHAS["d"], contract(RULE), [])
    trail.clock.advance(contracts.REREAD_AFTER_MS)
    assert trail.report(pipeline)["gate"]["outcome"] == "fail"


def test_the_default_branch_is_held_to_its_own_commit(trail: Trail) -> None:
    a_main(trail, SHAS["b"], None, [0.80, 0.81, 0.82])
    pipeline = a_main(trail, SHAS["d"], contract(RULE), [0.60, 0.61, 0.62])
    report = trail.report(pipeline)
    assert report["gate"]["outcome"] == "fail"
    assert report["models"][0]["baseline"]["sha"] == SHAS["b"]


def test_runs_are_selected_by_experiment_and_tags(trail: Trail) -> None:
    text = (
        "version: 1\nmodels:\n"
        f"  churn: {{runs: {{experiment: 'churn-*'}}, rules: [{RULE}]}}\n"
        f"  price: {{runs: {{tags: {{stage: 'ev*'}}}}, rules: [{RULE}]}}\n"
    )
    main = a_main(trail, SHAS["b"], text, [])
    trail.train(main, [0.8, 0.81], experiment="churn-eu")
    _, pipeline = a_request(trail, [0.8, 0.81], experiment="churn-us")
    job = trail.train(pipeline, [], experiment="other", job_name="evaluate", status=None)
    mlflow = Mlflow(trail.client, project="42", token=trail.team.gitlab.mint(job, EXTERNAL_URL))
    for value in ("eval", "train"):
        run = mlflow.post("runs/create", experiment_id="0", tags=[{"key": "stage", "value": value}])["run"]["info"]
        mlflow.post("runs/update", run_id=run["run_id"], status="FINISHED")
    trail.team.gitlab.set_job(job, "success")
    models = {model["name"]: len(model["candidates"]) for model in trail.report(pipeline)["models"]}
    assert models == {"churn": 2, "price": 1, "Default": 1}


@pytest.mark.parametrize(("changed", "outcome"), [("models/churn/train.py", "fail"), ("docs/readme.md", None)])
def test_a_model_that_is_not_touched_is_not_gated(trail: Trail, changed: str, outcome: str | None) -> None:
    a_main(trail, SHAS["b"], contract(RULE, paths='["models/churn/**"]'), [0.80, 0.81, 0.82])
    _, pipeline = a_request(trail, [0.70, 0.71, 0.72], {changed: "x"})
    report = trail.report(pipeline)
    assert report["gate"]["outcome"] == outcome
    assert report["models"][0]["touched"] is (outcome is not None)


def test_a_touched_model_without_a_run_is_not_passed_in_silence(trail: Trail) -> None:
    a_main(trail, SHAS["b"], contract(RULE, paths='["models/**"]', if_unknown="fail"), [0.80])
    _, pipeline = a_request(trail, [], {"models/churn.py": "x"})
    report = trail.report(pipeline)
    assert (report["state"], report["gate"]["outcome"]) == ("empty", "fail")


def test_rules_of_other_target_branches_do_not_count(trail: Trail) -> None:
    rules = ('{metric: val_accuracy, at_least: 0.99, target: "release/*"}', "{metric: val_accuracy, at_least: 0.5}")
    a_main(trail, SHAS["b"], contract(*rules), [0.80])
    _, pipeline = a_request(trail, [0.80])
    assert rulings(trail, pipeline) == {"val_accuracy": ("pass", "0.8000; must be at least 0.5")}


def test_runs_of_a_failed_job_pass_no_gate_and_are_no_baseline(trail: Trail) -> None:
    a_main(trail, SHAS["b"], contract("{metric: val_accuracy, at_least: 0.9}"), [0.80, 0.81])
    later = a_main(trail, SHAS["d"], None, [])
    trail.train(later, [0.99, 0.98], status="failed")
    _, pipeline = a_request(trail, [0.99], status="failed")
    report = trail.report(pipeline)
    assert report["gate"]["sentence"] == "no rule could be checked: no run has succeeded"
    assert report["models"][0]["baseline"]["sha"] == SHAS["b"]
    assert report["models"][0]["rules"] == []


def test_the_best_value_of_a_history_counts_where_a_rule_says_so(trail: Trail) -> None:
    rules = ("{metric: loss, better: lower, at_most: 0.4, value: best}", "{metric: loss, better: lower, at_most: 0.4}")
    a_main(trail, SHAS["b"], contract(*rules), [])
    _, pipeline = a_request(trail, [])
    job = trail.team.gitlab.add_job(pipeline, "train", "train", trail.team.users["developer"], "running")
    mlflow = Mlflow(trail.client, project="42", token=trail.team.gitlab.mint(job, EXTERNAL_URL))
    experiment = mlflow.post("experiments/create", name="churn")["experiment_id"]
    run_id = mlflow.post("runs/create", experiment_id=experiment)["run"]["info"]["run_id"]
    for step, value in enumerate((0.9, 0.3, 0.5)):
        mlflow.post("runs/log-metric", run_id=run_id, key="loss", value=value, timestamp=1, step=step)
    mlflow.post("runs/update", run_id=run_id, status="FINISHED")
    trail.team.gitlab.set_job(job, "success")
    rules = [(rule["outcome"], rule["sentence"]) for rule in trail.report(pipeline)["models"][0]["rules"]]
    assert rules == [("pass", "0.3000; must be at most 0.4"), ("fail", "0.5000; must be at most 0.4")]


def test_the_history_of_the_target_branch_shows_what_chance_does(trail: Trail) -> None:
    text = contract(RULE)
    for place, value in enumerate((0.80, 0.81, 0.79, 0.80, 0.81, 0.80)):
        trail.report(a_main(trail, f"{place:040x}", text, [value]))
    _, pipeline = a_request(trail, [0.78])
    outcome, sentence = rulings(trail, pipeline)["val_accuracy"]
    assert (outcome, "too few runs to tell" in sentence) == ("warn", True)
    files = {"train.py": "another attempt"}
    trail.team.gitlab.add_commit(trail.team.project, SHAS["d"], parents=(SHAS["c"],), branch="faster", files=files)
    later = trail.of_request(trail.team.project.merge_requests[1], SHAS["d"])
    trail.train(later, [0.60])
    assert rulings(trail, later)["val_accuracy"] == (
        "fail",
        "\N{MINUS SIGN}20 pp, clearly more than allowed: \N{MINUS SIGN}1 pp",
    )


def test_one_run_without_history_warns_at_most(trail: Trail) -> None:
    a_main(trail, SHAS["b"], contract(RULE), [0.80])
    _, pipeline = a_request(trail, [0.70])
    said = "\N{MINUS SIGN}10 pp, allowed: \N{MINUS SIGN}1 pp; one run on each side can't show how much is chance"
    assert rulings(trail, pipeline) == {"val_accuracy": ("warn", said)}


def test_a_deleted_experiment_is_a_baseline_still(trail: Trail) -> None:
    text = contract(RULE).replace("    rules:", "    runs: {experiment: 'churn*'}\n    rules:")
    a_main(trail, SHAS["b"], text, [0.80, 0.81, 0.82])
    person = trail.person("maintainer")
    person.post("experiments/delete", experiment_id="1")
    _, pipeline = a_request(trail, [0.70, 0.71, 0.72], experiment="churn2")
    assert trail.report(pipeline)["gate"]["outcome"] == "fail"


def test_a_contract_can_be_tried_before_it_is_in_any_branch(trail: Trail) -> None:
    a_main(trail, SHAS["b"], None, [0.80, 0.81, 0.82])
    _, pipeline = a_request(trail, [0.70, 0.71, 0.72])
    trail.report(pipeline)
    url = f"/api/v4/projects/42/ml/pipelines/{pipeline.id}/contract"

    def asked(text: str, who: str) -> TestResponse:
        headers = {"Authorization": f"Bearer {trail.team.tokens[who]}"}
        return trail.client.post(url, json={"contract": text}, headers=headers)

    def tried(text: str) -> Any:
        return good(asked(text, "developer"))

    answer = tried(contract(RULE))
    assert answer["gate"]["sentence"] == "gate failed: 1 rule broken"
    assert answer["models"][0]["rules"][0]["metric"] == "val_accuracy"
    assert tried("version: 2")["gate"]["problems"][0]["key"] == "version"
    assert trail.report(pipeline, "GET")["gate"]["outcome"] is None
    # It is work that readers could have the server do without end.
    assert asked(contract(RULE), "reporter").status_code == 403
