"""Runs that evaluate an application, with the calls that `mlflow.genai.evaluate` and `@mlflow.test` make."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.api.traces.calls import patch, post, start_trace
from tests.api.trail import Trail
from tests.fakes.gitlab import Job, Pipeline
from tests.mlflow_client import FILES, Mlflow, good
from tests.team import EXTERNAL_URL

Said = Mapping[str, Sequence[Any]]
"""What each scorer says of the cases, in their order: a value, an exception for an error, or `...` for nothing."""
TIMES = {"create_time": "2026-11-28T18:24:19.505Z", "last_update_time": "2026-11-28T18:24:20Z"}


@dataclass(frozen=True)
class Evaluated:
    job: Job
    token: str
    run_id: str
    traces: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class How:
    """`digest` is that of all scorers' code, `judge` the model that judges, `expected` what should have been answered
    to each case. `took` are milliseconds a case, `tokens` and `costs` what each cost.
    """

    dataset: str = "golden"
    digest: str = "sha256:a"
    judge: str = ""
    expected: Sequence[str] = ()
    took: Sequence[int] = ()
    tokens: Sequence[int] = ()
    costs: Sequence[float] = ()
    tests: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    status: str = "FINISHED"
    job_status: str | None = "success"
    repeats: int = 1
    model: bool = False  # whether the run logs one
    experiment: str = "answers"
    job_name: str = "evaluate"  # of the same name, a later job is another attempt of the first


USUAL = How()


def evaluate(trail: Trail, pipeline: Pipeline, said: Said, how: How = USUAL) -> Evaluated:
    """Evaluate in a job of a pipeline. Cases are called `q0`, `q1`, …, or `tests/test_a.py::test_q0`, …"""
    gitlab = trail.team.gitlab
    job = gitlab.add_job(pipeline, how.job_name, "test", trail.team.users["developer"], "running")
    token = gitlab.mint(job, EXTERNAL_URL)
    found = evaluate_with(Mlflow(trail.client, project="42", token=token), said, how)
    if how.job_status is not None:
        gitlab.set_job(job, how.job_status)
    return Evaluated(job, token, *found)


def evaluate_with(mlflow: Mlflow, said: Said, how: How = USUAL) -> tuple[str, list[str]]:
    named = mlflow.call(
        "GET", "api/2.0/mlflow/experiments/get-by-name", query_string={"experiment_name": how.experiment}
    )
    experiment = named.get_json().get("experiment") or mlflow.post("experiments/create", name=how.experiment)
    experiment_id = experiment["experiment_id"]
    run_id = mlflow.post("runs/create", experiment_id=experiment_id)["run"]["info"]["run_id"]
    tags = {"mlflow.runType": "test" if how.tests else "genai_evaluate", **how.tags}
    mlflow.post(
        "runs/log-batch",
        run_id=run_id,
        tags=[{"key": key, "value": value} for key, value in tags.items()],
        params=[{"key": key, "value": value} for key, value in how.params.items()],
    )
    dataset = {
        "name": "dataset" if how.tests else how.dataset,
        "digest": "1a2b3c4d",
        "source_type": "code",
        "source": "{}",
    }
    mlflow.post("runs/log-inputs", run_id=run_id, datasets=[{"dataset": dataset}])
    traces = [
        _answered(mlflow, experiment_id, run_id, case, {name: values[case] for name, values in said.items()}, how)
        for _ in range(how.repeats)
        for case in range(max(map(len, said.values())))
    ]
    for start in range(0, len(traces), 100):
        mlflow.post("traces/link-to-run", trace_ids=traces[start : start + 100], run_id=run_id)
    means = {f"{name}/mean": _mean(values) for name, values in said.items()}
    logged = {**{key: value for key, value in means.items() if value is not None}, **how.metrics}
    mlflow.post(
        "runs/log-batch",
        run_id=run_id,
        metrics=[{"key": key, "value": value, "timestamp": 1} for key, value in logged.items()],
    )
    if how.model:
        good(mlflow.call("PUT", f"{FILES}/{experiment_id}/{run_id}/artifacts/model/MLmodel", data=b"flavors: {}"))
    mlflow.post("runs/update", run_id=run_id, status=how.status)
    return run_id, traces


def _answered(mlflow: Mlflow, experiment_id: str, run_id: str, case: int, said: Mapping[str, Any], how: How) -> str:
    metadata = {"mlflow.sourceRun": run_id}
    if how.tokens:
        metadata["mlflow.trace.tokenUsage"] = json.dumps({"total_tokens": how.tokens[case]})
    if how.costs:
        metadata["mlflow.trace.cost"] = json.dumps({"total_cost": how.costs[case]})
    took = how.took[case] if how.took else 13
    trace_id = start_trace(
        mlflow,
        experiment_id,
        execution_duration=f"{took / 1000:.3f}s",
        trace_metadata=metadata,
        client_request_id=None if how.tests else f"q{case}",
        # The client finds the trace again by this; it is another one each time.
        tags={"mlflow.eval.requestId": uuid4().hex},
    )
    if how.tests:
        for key, value in (("name", f"tests/test_a.py::test_q{case}"), ("session_id", "s")):
            tagged = mlflow.call(
                "PATCH", f"api/2.0/mlflow/traces/{trace_id}/tags", json={"key": f"mlflow.test.{key}", "value": value}
            )
            assert tagged.status_code == 200, tagged.get_data(as_text=True)
    for name, value in said.items():
        if value is not ...:
            say(mlflow, trace_id, run_id, name, value, how)
    if how.expected:
        expectation = {"value": how.expected[case]}
        assessment = {
            "assessment_name": "expected_response",
            "source": {"source_type": "HUMAN", "source_id": "root"},
            **TIMES,
        }
        post(
            mlflow,
            f"traces/{trace_id}/assessments",
            assessment={**assessment, "expectation": expectation, "metadata": _from(run_id)},
        )
    return trace_id


def say(mlflow: Mlflow, trace_id: str, run_id: str, name: str, value: Any, how: How = USUAL, **times: str) -> Any:
    """Record what a scorer says of a trace."""
    error = {"error": {"error_code": "SCORER_ERROR", "error_message": str(value)}}
    assessment = {
        "assessment_name": name,
        "source": {"source_type": "LLM_JUDGE", "source_id": how.judge}
        if how.judge
        else {"source_type": "CODE", "source_id": name},
        "feedback": error if isinstance(value, Exception) else {"value": value},
        "metadata": {**_from(run_id), "mlflow.assessment.scorerDigest": how.digest},
        **TIMES,
        **times,
    }
    return post(mlflow, f"traces/{trace_id}/assessments", assessment=assessment)["assessment"]


def change(mlflow: Mlflow, said: Any, value: Any) -> Any:
    path = f"traces/{said['trace_id']}/assessments/{said['assessment_id']}"
    return patch(mlflow, path, assessment={"feedback": {"value": value}}, update_mask="feedback")


def _from(run_id: str) -> dict[str, str]:
    return {"mlflow.assessment.sourceRunId": run_id}


def _mean(values: Sequence[Any]) -> float | None:
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    return sum(numbers) / len(numbers) if numbers else None


def answers(cases: int = 20, *, wrong: Sequence[int] = ()) -> list[bool]:
    return [case not in wrong for case in range(cases)]
