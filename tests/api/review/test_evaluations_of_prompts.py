"""Evaluations of prompts and agents are compared case by case, by what a run's own jobs have logged alone."""

import json

import pytest

from mltrail_server.domain.comparison import NO_BASELINE
from tests.api.promotion.promoting import promote, statement
from tests.api.review.evaluated import USUAL, How, Said, answers, change, evaluate, evaluate_with, say
from tests.api.review.evaluated_sides import GOLDEN, Sides, a_contract
from tests.api.review.merge_requests import a_main, a_request
from tests.api.trail import SHAS, Trail
from tests.mlflow_client import Mlflow, good

pytestmark = pytest.mark.usefixtures("bot_is_a_developer")
BACKENDS = ("sqlite",)
ON_BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
NO_CONTRACT = "version: 1\nmodels: {other: {}}\n"


@ON_BOTH
def test_what_broke_and_what_was_fixed_by_each_scorer(trail: Trail) -> None:
    said: Said = {"correct": answers(wrong=[1, 2, 3]), "relevance": [0.5] * 20}
    model = Sides(trail).evaluate(said, {"correct": answers(wrong=[3, 10, 11, 12]), "relevance": [0.5] * 19 + [0.9]})
    cases = {one["name"]: one for one in model["cases"]}
    found = cases["golden-set · correct"]
    assert (found["broke"], found["fixed"], found["n"]) == (3, 2, 20)
    assert sorted(found["broken_ids"]) == ["q10", "q11", "q12"]
    assert (found["baseline"], found["current"]) == (0.85, 0.8)
    assert cases["golden-set · relevance"]["current"] == pytest.approx(0.52)
    (rule,) = model["rules"]
    assert (rule["outcome"], rule["sentence"]) == ("fail", "broke 3 of 20 cases (2 allowed)")
    # What the client computed from the same marks is not shown a second time.
    assert not [one["name"] for one in model["metrics"] if one["name"].endswith("/mean")]


@ON_BOTH
def test_without_a_contract_an_evaluation_is_found_by_itself_and_gates_nothing(trail: Trail) -> None:
    before, now = {"correct": answers(100)}, {"correct": answers(100, wrong=range(30))}
    model = Sides(trail, NO_CONTRACT).evaluate(before, now)
    (found,) = model["cases"]
    assert (found["name"], found["verdict"], found["broke"]) == ("golden · correct", "worse", 30)
    assert (model["gate"], model["rules"]) == (None, [])


def test_tests_are_known_by_their_node_ids(trail: Trail) -> None:
    """A session of tests fails if one does. Its job may succeed all the same, and its cases count then."""
    text = a_contract("{cases: golden-set, must_pass: ['tests/test_a.py::test_q1*']}", cases="{evaluation: tests}")
    how = How(tests=True, status="FAILED")
    model = Sides(trail, text).evaluate({"correct": answers(12)}, {"correct": answers(12, wrong=[1, 10])}, how, how)
    (found,) = model["cases"]
    assert sorted(found["broken_ids"]) == ["tests/test_a.py::test_q1", "tests/test_a.py::test_q10"]
    (rule,) = model["rules"]
    assert (rule["outcome"], rule["sentence"]) == ("fail", "2 of 3 cases that must pass do not")


@ON_BOTH
def test_people_s_feedback_and_other_jobs_never_count(trail: Trail) -> None:
    sides = Sides(trail)
    before = sides.evaluate({"correct": answers()}, {"correct": answers(wrong=[1, 2, 3])})
    assert sides.now is not None
    trace_id = sides.now.traces[1]
    for who in ("developer", "maintainer"):
        person = trail.person(who)
        say(person, trace_id, sides.now.run_id, "correct", value=True)
        say(person, trace_id, sides.now.run_id, "another", value=False)
    stranger = trail.team.gitlab.add_job(sides.pipeline, "other", "test", trail.team.users["developer"], "running")
    other = Mlflow(trail.client, project="42", token=trail.team.gitlab.mint(stranger, "https://mltrail.example.com"))
    other.call("POST", f"api/3.0/mlflow/traces/{trace_id}/assessments", json={})
    assert sides.model()["cases"] == before["cases"]
    assert sides.rule() == ("fail", True, "broke 3 of 20 cases (2 allowed)")


def test_the_newest_word_of_the_run_s_own_job_counts(trail: Trail) -> None:
    sides = Sides(trail)
    evaluate(trail, sides.main, {"correct": answers()})
    made = evaluate(trail, sides.pipeline, {"correct": answers(wrong=[1, 2, 3])}, How(job_status=None))
    own = Mlflow(trail.client, project="42", token=made.token)
    change(own, say(own, made.traces[1], made.run_id, "correct", value=False, create_time="2026-11-28T19:00:00Z"), True)
    trail.team.gitlab.set_job(made.job, "success")
    assert sides.rule() == ("pass", True, "broke 2 of 20 cases, fixed 0")


@pytest.mark.parametrize(
    ("here", "says"),
    [
        (How(digest="sha256:b"), "the scorer's code has changed since the baseline"),
        (How(digest="", judge="openai:/gpt-4.1"), "this scorer no longer says which code it runs"),
        (USUAL, "no model judges here, but one does in the baseline"),
        (How(judge="openai:/gpt-5"), "the judge model is not the baseline's"),
        (How(judge="openai:/gpt-4.1", expected=["x"] * 20), "the expectations of 20 cases are not the baseline's"),
    ],
)
def test_not_comparable_is_said_and_blocks_until_it_is_accepted(trail: Trail, here: How, says: str) -> None:
    sides = Sides(trail)
    sides.evaluate({"correct": answers()}, {"correct": answers()}, here, How(judge="openai:/gpt-4.1"))
    assert sides.rule() == ("fail", False, says)


def test_leaving_out_cases_or_the_whole_evaluation_is_no_way_to_pass(trail: Trail) -> None:
    sides = Sides(trail)
    sides.evaluate({"correct": answers()}, {"correct": answers(18)})
    assert sides.rule() == ("fail", False, "2 of the baseline's 20 cases are missing here")


def test_a_run_without_the_evaluation_breaks_its_rules(trail: Trail) -> None:
    sides = Sides(trail)
    evaluate(trail, sides.main, {"correct": answers()})
    trail.train(sides.pipeline, [0.9], experiment="answers")
    assert sides.rule() == ("fail", False, "the evaluation was not logged here")


def test_traces_that_somebody_has_deleted_are_missing_and_red_stays_red(trail: Trail) -> None:
    sides = Sides(trail)
    sides.evaluate({"correct": answers()}, {"correct": answers(wrong=[1, 2, 3])})
    assert sides.rule()[0] == "fail"
    trail.work()
    assert sides.now is not None
    assert sides.before is not None
    delete_traces(trail.person("maintainer"), sides.now.traces[1:3])
    assert sides.rule() == ("fail", False, "2 traces of this run were deleted")
    delete_traces(trail.person("maintainer"), sides.before.traces)
    assert sides.rule()[:2] == ("fail", False)


def delete_traces(mlflow: Mlflow, trace_ids: list[str]) -> None:
    good(
        mlflow.call(
            "POST", "api/3.0/mlflow/traces/delete-traces", json={"experiment_id": "2", "request_ids": trace_ids}
        )
    )


def test_without_a_baseline_a_pass_rate_holds(trail: Trail) -> None:
    text = a_contract("{cases: golden-set, pass_rate_at_least: 0.9}")
    sides = Sides(trail, text)
    model = sides.evaluate(None, {"correct": answers(wrong=[1, 2, 3])})
    assert sides.rule() == ("fail", True, "17 of 20 cases pass; must be at least 90 %")
    assert model["cases"][0]["problem"] == NO_BASELINE


def test_latency_tokens_and_cost_of_traces_can_be_limited(trail: Trail) -> None:
    text = a_contract(
        "{metric: traces/latency_p95_ms, better: lower, at_most: 2000}",
        "{metric: traces/cost_total, better: lower, at_most: 1}",
        "{metric: traces/tokens_mean, better: lower, at_most: 20}",
    )
    how = How(took=[100] * 18 + [3000] * 2, tokens=[10] * 20, costs=[0.01] * 20)
    model = Sides(trail, text).evaluate({"correct": answers()}, {"correct": answers()}, how, how)
    rules = {one["metric"]: (one["outcome"], one["sentence"]) for one in model["rules"]}
    assert rules["traces/latency_p95_ms"] == ("fail", "3000; must be at most 2000")
    assert rules["traces/cost_total"][0] == "pass"
    assert rules["traces/tokens_mean"][0] == "pass"


@pytest.mark.parametrize(("accepts", "gate"), [(True, "fail"), (False, None)])
def test_bars_that_a_run_declares_gate_only_once_the_contract_accepts_them(
    trail: Trail, accepts: bool, gate: str | None
) -> None:
    rules = [{"metricKey": "correct/mean", "comparator": "GTE", "threshold": 0.95}]
    how = How(tags={"mlflow.genaiEvaluate.qualityCriteria": json.dumps({"rules": rules})})
    text = a_contract(**({"quality_criteria": "accept"} if accepts else {}))
    sides = Sides(trail, text)
    model = sides.evaluate({"correct": answers()}, {"correct": answers(wrong=[1, 2])}, how)
    assert model["gate"] == gate
    assert [(one["metric"], one["sentence"]) for one in model["rules"]] == (
        [("correct/mean", "0.9000; must be at least 0.95")] if accepts else []
    )


def test_bars_that_others_declare_later_do_not_count(trail: Trail) -> None:
    sides = Sides(trail, a_contract(quality_criteria="accept"))
    sides.evaluate({"correct": answers()}, {"correct": answers(wrong=[1, 2])})
    assert sides.now is not None
    rules = {"rules": [{"metricKey": "correct/mean", "comparator": "GTE", "threshold": 0.95}]}
    tag = {"key": "mlflow.genaiEvaluate.qualityCriteria", "value": json.dumps(rules)}
    trail.person("maintainer").call("POST", "api/2.0/mlflow/runs/set-tag", json={"run_id": sides.now.run_id, **tag})
    assert sides.model()["rules"] == []


def test_several_evaluations_on_each_side_are_tested_together(trail: Trail) -> None:
    sides = Sides(trail, a_contract("{cases: golden-set, worse_by: 0.0}"))
    for seed, wrong in enumerate(([1], [3, 4], [5, 1, 6])):
        how = How(params={"seed": str(seed)}, job_name=f"evaluate-{seed}")
        evaluate(trail, sides.main, {"correct": answers(wrong=wrong)}, how)
        evaluate(trail, sides.pipeline, {"correct": answers(wrong=[*wrong, 7])}, how)
    (found,) = sides.model()["cases"]
    assert found["runs"] == {"current": 3, "baseline": 3}
    assert found["the_change"]["delta"] == pytest.approx(-0.05)


def test_hostile_marks_break_nothing(trail: Trail) -> None:
    hostile = ["<img src=x>", {"a": [None]}, "/close @all", 1e308, "yes" * 500, None, [], "no"]
    said: Said = {"correct": hostile, "a b/c:d": [True] * 8}
    model = Sides(trail).evaluate(said, said)
    assert {one["problem"] for one in model["cases"] if "correct" in one["name"]} != {""}
    assert model["rules"][0]["outcome"] in ("pass", "warn", "fail")


def test_other_evaluations_of_the_pipeline_are_found_beside_the_best_run(trail: Trail) -> None:
    """Tests of a commit have a run of their own, which is no candidate."""
    text = (
        a_contract(cases=GOLDEN)
        + "      tests: {evaluation: tests}\n    rules:\n      - {cases: tests, broke_at_most: 0}\n"
    )
    sides = Sides(trail, text)
    sides.evaluate({"correct": answers()}, {"correct": answers()})
    how = How(tests=True, params={"of": "tests"}, job_name="pytest")
    evaluate(trail, sides.main, {"exact": answers(5)}, how)
    evaluate(
        trail,
        sides.pipeline,
        {"exact": answers(5, wrong=[2])},
        How(tests=True, params={"of": "tests"}, job_name="pytest"),
    )
    assert {one["name"] for one in sides.model()["cases"]} == {"golden-set · correct", "tests · exact"}
    assert sides.rule() == ("fail", True, "broke 1 of 5 cases (0 allowed)")


def test_repeats_of_a_case_are_one(trail: Trail) -> None:
    how = How(repeats=3)
    model = Sides(trail).evaluate({"correct": answers(10)}, {"correct": answers(10, wrong=[4])}, how, how)
    (found,) = model["cases"]
    assert (found["n"], found["broke"]) == (10, 1)


def test_a_person_s_own_evaluation_is_shown_to_nobody_as_evidence(trail: Trail) -> None:
    sides = Sides(trail)
    evaluate_with(trail.person("developer"), {"correct": answers(wrong=[1])})
    sides.evaluate({"correct": answers()}, {"correct": answers()})
    assert sides.rule()[0] == "pass"


@pytest.mark.parametrize("evaluated", [False, True])
def test_a_promotion_may_need_an_evaluation(trail: Trail, evaluated: bool) -> None:
    """Without it the comment says so beforehand, and nothing is promoted."""
    text = a_contract(promote="{needs_evaluation: golden-set, reuse_reviewed: true}")
    main = a_main(trail, SHAS["b"], text, [])
    if evaluated:
        evaluate(trail, main, {"correct": answers()}, How(model=True))
    else:
        trail.train(main, [0.9], experiment="answers", model=True)
    (found,) = promote(trail, main)
    assert found["state"] == ("promoted" if evaluated else "refused")
    if evaluated:
        (byproduct,) = statement(trail, model=found["model"])["predicate"]["runDetails"]["byproducts"]
        assert byproduct["annotations"]["evaluation"] == "golden-set"
    else:
        assert "has no evaluation `golden-set`" in found["reason"]
    request, pipeline = a_request(trail, [])
    trail.train(pipeline, [0.9], experiment="answers", model=True)
    trail.work()
    assert "has no evaluation `golden-set`" in trail.notes(request)[0]


def test_an_evaluation_of_a_trained_model_is_that_model_s(trail: Trail) -> None:
    """A run that says which run's model it evaluates takes that run's place, with what its scorers said."""
    sides, known = Sides(trail), set[str]()
    for pipeline, wrong in ((sides.main, []), (sides.pipeline, [1, 2, 3])):
        trail.train(pipeline, [0.9], experiment="answers")
        runs = trail.person("guest").post("runs/search", experiment_ids=["2"])["runs"]
        (trained,) = {run["info"]["run_id"] for run in runs} - known
        known |= {trained}
        tags = {"mltrail.evaluates": trained}
        known |= {evaluate(trail, pipeline, {"correct": answers(wrong=wrong)}, How(tags=tags)).run_id}
    assert sides.rule() == ("fail", True, "broke 3 of 20 cases (2 allowed)")
