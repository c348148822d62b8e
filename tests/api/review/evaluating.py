"""Runs of `mlflow.genai.evaluate`, as MLflow's client logs them: traces, what scorers say of them, and their run.

https://mlflow.org/docs/latest/genai/eval-monitor/
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from tests.api.traces.calls import post, start_trace
from tests.api.trail import Trail
from tests.fakes.gitlab import Pipeline
from tests.mlflow_client import Mlflow
from tests.team import EXTERNAL_URL

Marks = Mapping[str, Sequence[Any]]
"""What each scorer says of each case: a value, or an exception that it raised."""


def marks(count: int, *, wrong: Sequence[int]) -> list[bool]:
    """Pass all cases except some."""
    missed = set(wrong)
    return [place not in missed for place in range(count)]


def evaluate(
    trail: Trail,
    pipeline: Pipeline,
    said: Marks,
    *,
    dataset: str = "golden-set",
    judge: str | None = None,
    tags: Mapping[str, str] | None = None,
    case_tags: Sequence[Mapping[str, str]] = (),
    metadata: Mapping[str, str] | None = None,
) -> str:
    """Evaluate in a job of this pipeline, and return the run's id. `tags` are the run's, `case_tags` those of each
    case's trace, and `metadata` what all traces have.
    """
    gitlab = trail.team.gitlab
    job = gitlab.add_job(pipeline, "evaluate", "test", trail.team.users["developer"], "running")
    mlflow = Mlflow(trail.client, project="42", token=gitlab.mint(job, EXTERNAL_URL))
    named = mlflow.call("GET", "api/2.0/mlflow/experiments/get-by-name", query_string={"experiment_name": "answers"})
    found = named.get_json().get("experiment") or mlflow.post("experiments/create", name="answers")
    experiment = found["experiment_id"]
    run_id: str = mlflow.post("runs/create", experiment_id=experiment, run_name=dataset)["run"]["info"]["run_id"]
    data = {"name": dataset, "digest": "9c0f3a11", "source_type": "local", "source": "{}"}
    mlflow.post("runs/log-inputs", run_id=run_id, datasets=[{"dataset": data, "tags": []}])
    for key, value in {"mlflow.runType": "genai_evaluate", **(tags or {})}.items():
        mlflow.post("runs/set-tag", run_id=run_id, key=key, value=value)
    cases = len(next(iter(said.values())))
    traces = []
    for place in range(cases):
        trace_id = start_trace(
            mlflow,
            experiment,
            client_request_id=f"question-{place}",
            trace_metadata={"mlflow.sourceRun": run_id, **(metadata or {})},
            # The client finds the trace again by this; it is another one each time.
            tags={"mlflow.eval.requestId": str(uuid4()), **(case_tags[place] if case_tags else {})},
            request_preview='"SECRET QUESTION"',
            response_preview='"SECRET ANSWER"',
        )
        traces.append(trace_id)
        for scorer, values in said.items():
            post(mlflow, f"traces/{trace_id}/assessments", assessment=_said(scorer, values[place], run_id, judge))
    mlflow.post("traces/link-to-run", run_id=run_id, trace_ids=traces)
    mlflow.post("runs/update", run_id=run_id, status="FINISHED")
    gitlab.set_job(job, "success")
    return run_id


def _said(scorer: str, value: Any, run_id: str, judge: str | None) -> dict[str, Any]:
    source = {"source_type": "LLM_JUDGE", "source_id": judge} if judge else {"source_type": "CODE", "source_id": scorer}
    if isinstance(value, Exception):
        feedback: dict[str, Any] = {"error": {"error_code": type(value).__name__, "error_message": str(value)}}
    else:
        feedback = {"value": value}
    return {
        "assessment_name": scorer,
        "source": source,
        "feedback": feedback,
        "rationale": "SECRET REASON",
        "metadata": {"mlflow.assessment.sourceRunId": run_id, "mlflow.assessment.scorerDigest": f"digest-of-{scorer}"},
        "create_time": "2026-11-28T18:24:19.505Z",
        "last_update_time": "2026-11-28T18:24:19.505Z",
    }


def loading(**versions: int) -> dict[str, str]:
    """The run's tag that names the prompts that it has loaded."""
    linked = [{"name": name, "version": str(number)} for name, number in versions.items()]
    return {"mlflow.linkedPrompts": json.dumps(linked)}
