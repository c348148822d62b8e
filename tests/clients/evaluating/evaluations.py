"""https://mlflow.org/docs/latest/genai/eval-monitor/: `mlflow.genai.evaluate`, in all the ways it takes cases."""

import contextlib
import io
import json

import mlflow
from evaluating.normal import assessment_order
from evaluating.registry import Desk, answer, check
from mlflow.entities import AssessmentSource, Feedback
from mlflow.genai.datasets import create_dataset
from mlflow.genai.scorers import scorer

CASES = [
    {"inputs": {"question": "a"}, "expectations": {"answer": "A"}},
    {"inputs": {"question": "b"}, "expectations": {"answer": "x"}},
    {"inputs": {"question": "c"}, "expectations": {"answer": "C"}, "tags": {"kind": "third"}},
]


def predict(question: str) -> str:
    with mlflow.start_span("inside", span_type="RETRIEVER") as span:
        span.set_inputs({"question": question})
        span.set_outputs([])
    return question.upper()


def always_a(question: str) -> str:
    return "A" if question else ""


@scorer
def exact(outputs: str, expectations: dict[str, str]) -> bool:
    return outputs == expectations["answer"]


@scorer(aggregations=["mean", "min", "p90"])
def length(outputs: str) -> int:
    return len(outputs)


@scorer
def reasoned(inputs: dict[str, str], outputs: str) -> Feedback:
    return Feedback(
        value="yes" if inputs["question"] < "c" else "no",
        rationale=f"{outputs} is *fine*",
        source=AssessmentSource(source_type="LLM_JUDGE", source_id="local"),
        metadata={"temperature": "0"},
    )


@scorer
def several(outputs: str) -> list[Feedback]:
    return [Feedback(name="first", value=1), Feedback(name="second", value=False)]


@scorer
def breaks(outputs: str) -> bool:
    raise RuntimeError(f"no opinion on {outputs}")


@scorer
def of_the_trace(trace: mlflow.entities.Trace) -> int:
    return len(trace.data.spans)


def evaluated(desk: Desk, **how: object) -> object:
    with contextlib.redirect_stdout(io.StringIO()):
        result = mlflow.genai.evaluate(**how)
    run = desk.client.get_run(result.run_id)
    traces = desk.traces(run_id=result.run_id, order_by=["timestamp ASC"])
    return {
        "metrics": result.metrics,
        "passed": getattr(result, "passed", None),
        "status": run.info.status,
        "logged": run.data.metrics,
        "tags": {key: value for key, value in run.data.tags.items() if "git" not in key},
        "inputs": [
            (one.dataset.name, one.dataset.source_type, {tag.key: tag.value for tag in one.tags})
            for one in run.inputs.dataset_inputs
        ],
        "columns": sorted(result.result_df.columns) if result.result_df is not None else None,
        "traces": sorted((case(one) for one in traces), key=lambda one: json.dumps(one["request"])),
    }


def case(trace: mlflow.entities.Trace) -> dict[str, object]:
    info = trace.info.to_dict()
    return {
        "request": info["request_preview"],
        "response": info.get("response_preview"),
        "state": info["state"],
        "tags": {key: value for key, value in info["tags"].items() if key != "mlflow.artifactLocation"},
        "metadata": {key: value for key, value in info["trace_metadata"].items() if "git" not in key},
        "spans": [(span.name, span.span_type, span.inputs, span.outputs) for span in trace.data.spans],
        "assessments": sorted(info.get("assessments", []), key=assessment_order),
    }


@check(since=(3, 5))
def by_predicting(desk: Desk) -> object:
    scorers = [exact, length, reasoned, several, of_the_trace]
    return evaluated(desk, data=CASES, predict_fn=predict, scorers=scorers)


@check(since=(3, 5))
def of_answers(desk: Desk) -> object:
    data = [one | {"outputs": one["inputs"]["question"].upper()} for one in CASES]
    return evaluated(desk, data=data, scorers=[exact, length])


@check(since=(3, 5))
def of_traces(desk: Desk) -> object:
    for one in CASES:
        with mlflow.start_span("predict") as span:
            span.set_inputs(one["inputs"])
            span.set_outputs(predict(one["inputs"]["question"]))
        mlflow.log_expectation(trace_id=span.trace_id, name="answer", value=one["expectations"]["answer"])
    data = mlflow.search_traces(locations=[desk.experiment_id])
    return evaluated(desk, data=data, scorers=[exact, length, of_the_trace])


@check(since=(3, 5))
def of_a_managed_dataset(desk: Desk) -> object:
    golden = create_dataset(name=desk.name("golden"), experiment_id=desk.experiment_id)
    golden.merge_records(CASES)
    first = evaluated(desk, data=golden, predict_fn=predict, scorers=[exact])
    return first, evaluated(desk, data=golden, predict_fn=always_a, scorers=[exact, length])


@check(since=(3, 5))
def with_scorers_that_break(desk: Desk) -> object:
    return evaluated(desk, data=CASES, predict_fn=predict, scorers=[breaks, exact])


@check(since=(3, 5))
def with_predictions_that_break(desk: Desk) -> object:
    def fails_on_b(question: str) -> str:
        if question == "b":
            raise ValueError("no answer")
        return question.upper()

    return evaluated(desk, data=CASES, predict_fn=fails_on_b, scorers=[length])


@check(since=(3, 5))
def inside_of_a_run(desk: Desk) -> object:
    with mlflow.start_run(run_name="outer") as run:
        mlflow.log_param("model", "upper")
        saw = evaluated(desk, data=CASES[:1], predict_fn=predict, scorers=[exact])
    return saw, desk.client.get_run(run.info.run_id).data.params


@check(since=(3, 5))
def of_a_traced_function(desk: Desk) -> object:
    traced = mlflow.trace(predict, name="the model", span_type="AGENT")
    return evaluated(desk, data=CASES, predict_fn=traced, scorers=[exact])


@check(since=(3, 18))
def with_quality_criteria(desk: Desk) -> object:
    how = {"data": CASES, "predict_fn": predict, "scorers": [exact, length]}
    return [
        evaluated(desk, quality_criteria="exact >= 0.6 AND `length/p90` <= 2", **how),
        evaluated(desk, quality_criteria="exact >= 0.9", **how),
        answer(lambda: evaluated(desk, quality_criteria="nonsense", **how)),
    ]
