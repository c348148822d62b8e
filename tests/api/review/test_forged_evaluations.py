"""What an author may try to turn a red evaluation green: none of it changes what the run's own jobs have said."""

from typing import Any

import pytest

from tests.api.review.evaluated import How, answers, evaluate, evaluate_with, say
from tests.api.review.evaluated_sides import Sides, a_contract
from tests.api.traces.caller import a_trace
from tests.api.traces.calls import post, start_trace
from tests.api.trail import Trail
from tests.mlflow_client import Mlflow, failure, good
from tests.team import EXTERNAL_URL

pytestmark = pytest.mark.usefixtures("bot_is_a_developer")
BACKENDS = ("sqlite",)
FORBIDDEN = (403, "PERMISSION_DENIED")
RED = ("fail", True, "broke 3 of 20 cases (2 allowed)")


def detached(trail: Trail, token: str, run_id: str) -> Mlflow:
    answer = trail.client.post(
        "/api/v4/projects/42/ml/detachments",
        json={"seconds": 72 * 3600, "run_id": run_id},
        headers={"Authorization": f"Bearer {token}"},
    )
    return Mlflow(trail.client, project="42", token=good(answer)["token"])


def refused(mlflow: Mlflow, method: str, path: str, **fields: Any) -> tuple[int, str]:
    return failure(mlflow.call(method, path, json=fields))[:2]


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
@pytest.mark.parametrize("same_run", [True, False])
def test_the_token_of_a_detached_run_rewrites_no_evaluation_that_has_ended(trail: Trail, same_run: bool) -> None:
    """It is valid for weeks: neither the run that it is for, once it has ended, nor another run of its job changes."""
    sides = Sides(trail)
    evaluate(trail, sides.main, {"correct": answers()})
    made = evaluate(trail, sides.pipeline, {"correct": answers(wrong=[1, 2, 3])}, How(job_status=None))
    own = Mlflow(trail.client, project="42", token=made.token)
    run_id = made.run_id if same_run else own.post("runs/create", experiment_id="2")["run"]["info"]["run_id"]
    later = detached(trail, made.token, run_id)
    trace_id = made.traces[1]
    assessment = own.call("GET", f"api/3.0/mlflow/traces/{trace_id}").get_json()["trace"]["trace_info"]["assessments"][
        0
    ]
    trail.team.gitlab.set_job(made.job, "success")

    again = a_trace(trace_id, experiment="2", client_request_id="q0")
    again["trace_info"]["assessments"] = [{**assessment, "feedback": {"value": True}}]
    assert refused(later, "POST", "api/3.0/mlflow/traces", trace=again) == FORBIDDEN
    tag = {"key": "mlflow.test.name", "value": "q0"}
    assert refused(later, "PATCH", f"api/2.0/mlflow/traces/{trace_id}/tags", **tag) == FORBIDDEN
    assert refused(later, "PATCH", f"api/2.0/mlflow/traces/{trace_id}", timestamp_ms=1, status="OK") == FORBIDDEN
    say(later, trace_id, made.run_id, "correct", value=True, create_time="2026-11-29T18:24:19Z")

    if not same_run:
        later.post("runs/update", run_id=run_id, status="FAILED")
    assert sides.rule() == RED


def test_a_detached_run_logs_its_own_traces_until_it_ends_and_sends_spans_afterwards(trail: Trail) -> None:
    job = trail.team.gitlab.add_job(Sides(trail).main, "launch", "test", trail.team.users["developer"], "running")
    token = trail.team.gitlab.mint(job, EXTERNAL_URL)
    run_id = Mlflow(trail.client, project="42", token=token).post("runs/create", experiment_id="0")["run"]["info"][
        "run_id"
    ]
    training = detached(trail, token, run_id)
    trail.team.gitlab.set_job(job, "success")
    made = a_trace("tr-1", trace_metadata={"mlflow.sourceRun": run_id})
    for _ in range(2):
        post(training, "traces", trace=made)
    say(training, "tr-1", run_id, "correct", value=True)
    training.post("runs/update", run_id=run_id, status="FINISHED")
    for _ in range(2):
        post(training, "traces", trace=a_trace("tr-2"))  # clients send traces in the background
    assert refused(training, "POST", "api/3.0/mlflow/traces", trace=made) == FORBIDDEN


@pytest.mark.parametrize("by_metadata", [True, False])
@pytest.mark.parametrize("end", ["failed", "running"])
def test_a_later_job_of_the_baseline_s_pipeline_makes_no_case_fail_there(
    trail: Trail, end: str, by_metadata: bool
) -> None:
    """What fails in the baseline can't break any more."""
    how = How(tests=True, params={"of": "tests"})
    text = a_contract("{cases: golden-set, broke_at_most: 2}", cases="{evaluation: tests}")
    sides = Sides(trail, text)
    sides.evaluate({"correct": answers()}, {"correct": answers(wrong=[1, 2, 3])}, how, how)
    assert sides.before is not None
    before = sides.model()["cases"]
    assert sides.rule() == RED
    job = trail.team.gitlab.add_job(sides.main, "manual", "test", trail.team.users["developer"], "running")
    other = Mlflow(trail.client, project="42", token=trail.team.gitlab.mint(job, EXTERNAL_URL))
    run_id = sides.before.run_id
    for case in (1, 2, 3):
        trace_id = start_trace(
            other,
            "2",
            state="ERROR",
            tags={"mlflow.test.name": f"tests/test_a.py::test_q{case}"},
            trace_metadata={"mlflow.sourceRun": run_id} if by_metadata else {},
        )
        if not by_metadata:
            other.post("traces/link-to-run", trace_ids=[trace_id], run_id=run_id)
        say(other, trace_id, run_id, "correct", value=False)
    if end != "running":
        trail.team.gitlab.set_job(job, end)
    assert sides.model()["cases"] == before
    assert sides.rule() == RED


def test_a_later_job_lends_a_run_no_traces_of_another(trail: Trail) -> None:
    """A job of the target branch has tried twice, and somebody links the bad traces to the good run."""
    sides = Sides(trail)
    made = evaluate(trail, sides.main, {"correct": answers()}, How(job_status=None))
    own = Mlflow(trail.client, project="42", token=made.token)
    _, bad = evaluate_with(own, {"other": answers()}, How(dataset="other", status="FAILED"))
    for trace_id in bad[1:4]:
        say(own, trace_id, made.run_id, "correct", value=False)
    trail.team.gitlab.set_job(made.job, "success")
    evaluate(trail, sides.pipeline, {"correct": answers(wrong=[1, 2, 3])})
    job = trail.team.gitlab.add_job(sides.main, "later", "test", trail.team.users["developer"], "running")
    later = Mlflow(trail.client, project="42", token=trail.team.gitlab.mint(job, EXTERNAL_URL))
    later.post("traces/link-to-run", trace_ids=bad, run_id=made.run_id)
    trail.team.gitlab.set_job(job, "failed")
    assert sides.rule() == RED
    assert sides.model()["cases"][0]["baseline"] == 1


def test_what_is_said_of_a_person_s_traces_later_makes_no_other_cases(trail: Trail) -> None:
    """Jobs evaluate traces of production, too, which whoever can write may change."""
    sides = Sides(trail)
    person = trail.person("developer")
    trail.train(sides.main, [0.9], experiment="answers")
    made = [start_trace(person, "2", client_request_id=f"q{case}") for case in range(4)]
    for case, trace_id in enumerate(made):
        spans = {"spans": [span(case)]}
        good(
            person.call(
                "PUT", f"api/2.0/mlflow-artifacts/artifacts/2/traces/{trace_id}/artifacts/traces.json", json=spans
            )
        )
    for pipeline, wrong in ((sides.main, []), (sides.pipeline, [0, 1, 2])):
        job = trail.team.gitlab.add_job(pipeline, "evaluate", "test", trail.team.users["developer"], "running")
        mlflow = Mlflow(trail.client, project="42", token=trail.team.gitlab.mint(job, EXTERNAL_URL))
        run_id = mlflow.post("runs/create", experiment_id="2")["run"]["info"]["run_id"]
        dataset = {"name": "golden", "digest": "1", "source_type": "code", "source": "{}"}
        mlflow.post("runs/log-inputs", run_id=run_id, datasets=[{"dataset": dataset}])
        mlflow.post("traces/link-to-run", trace_ids=made, run_id=run_id)
        for case, trace_id in enumerate(made):
            say(mlflow, trace_id, run_id, "correct", value=case not in wrong)
        say(mlflow, made[3], run_id, "polite", value=True)
        mlflow.post("runs/log-metric", run_id=run_id, key="correct/mean", value=1, timestamp=1)
        mlflow.post("runs/update", run_id=run_id, status="FINISHED")
        trail.team.gitlab.set_job(job, "success")
    assert sides.rule() == ("fail", True, "broke 3 of 4 cases (2 allowed)")
    before = in_any_order(sides.model()["cases"])
    for trace_id in made[:2]:
        post(person, "traces", trace=a_trace(trace_id, experiment="2", client_request_id="q3"))
        good(
            person.call(
                "PATCH", f"api/2.0/mlflow/traces/{trace_id}/tags", json={"key": "mlflow.test.name", "value": "q3"}
            )
        )
    assert sides.rule() == ("fail", True, "broke 3 of 4 cases (2 allowed)")
    for trace_id in made:
        person.call("PATCH", f"api/2.0/mlflow/traces/{trace_id}", json={"timestamp_ms": 1, "status": "ERROR"})
    assert in_any_order(sides.model()["cases"]) == before


def in_any_order(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Cases come in the order of their traces' start, which whoever can write may change, and of random ids."""
    return [{**one, "broken_ids": sorted(one["broken_ids"] or ())} for one in cases]


def span(case: int) -> dict[str, Any]:
    return {
        "trace_id": "AAAAAAAAAAAAAAAAAAAAAQ==",
        "span_id": "AAAAAAAAAAE=",
        "name": "agent",
        "start_time_unix_nano": 1,
        "end_time_unix_nano": 2,
        "attributes": {"mlflow.spanInputs": f'{{"question": {case}}}'},
    }


def test_another_run_keeps_what_a_job_takes_back(trail: Trail) -> None:
    """A job deletes its own traces as if they had never been, but not those that another job's run rests on."""
    sides = Sides(trail)
    author = trail.team.gitlab.add_job(sides.pipeline, "author", "test", trail.team.users["developer"], "running")
    own = Mlflow(trail.client, project="42", token=trail.team.gitlab.mint(author, EXTERNAL_URL))
    trail.train(sides.main, [0.9], experiment="answers")
    made = [start_trace(own, "2", client_request_id=f"q{case}") for case in range(4)]
    evaluate(trail, sides.main, {"correct": answers(4)})
    now = evaluate(trail, sides.pipeline, {"correct": answers(4)}, How(job_status=None))
    mlflow = Mlflow(trail.client, project="42", token=now.token)
    mlflow.post("traces/link-to-run", trace_ids=made, run_id=now.run_id)
    for trace_id in made:
        say(mlflow, trace_id, now.run_id, "correct", value=False)
    trail.team.gitlab.set_job(now.job, "success")
    post(own, "traces/delete-traces", experiment_id="2", request_ids=made)
    assert sides.rule() == ("fail", False, "4 traces of this run were deleted")
