"""https://mlflow.org/docs/latest/genai/assessments/feedback/: feedback and expectations."""

import mlflow
from evaluating.registry import Desk, answer, check
from mlflow.entities import AssessmentSource, Expectation, Feedback

JUDGE = AssessmentSource(source_type="LLM_JUDGE", source_id="gpt-judge")
HUMAN = AssessmentSource(source_type="HUMAN", source_id="ann@example.com")


def traced() -> tuple[str, str]:
    with mlflow.start_span("root"), mlflow.start_span("child") as child:
        pass
    return str(mlflow.get_last_active_trace_id()), str(child.span_id)


def assessed(trace_id: str) -> object:
    return mlflow.get_trace(trace_id).info


@check(since=(3, 5))
def values_of_all_kinds(desk: Desk) -> object:
    trace_id, span_id = traced()
    values = {
        "yes": True,
        "number": 3,
        "share": 0.25,
        "word": "good ünï 🙂",
        "list": ["a", 1, None],
        "object": {"a": {"b": [1, 2]}},
        "empty": "",
    }
    made = [mlflow.log_feedback(trace_id=trace_id, name=name, value=value) for name, value in values.items()]
    made.append(
        mlflow.log_feedback(
            trace_id=trace_id,
            name="judged",
            value=0.5,
            source=JUDGE,
            rationale="because\n*it* <b>is</b>",
            metadata={"model": "m", "n": "1"},
            span_id=span_id,
        )
    )
    made.append(mlflow.log_feedback(trace_id=trace_id, name="failed", source=JUDGE, error=ValueError("no answer")))
    return made, assessed(trace_id)


@check(since=(3, 5))
def expectations(desk: Desk) -> object:
    trace_id, _ = traced()
    made = [
        mlflow.log_expectation(trace_id=trace_id, name="answer", value="42", source=HUMAN, metadata={"a": "b"}),
        mlflow.log_expectation(trace_id=trace_id, name="facts", value=["a", "b"]),
        mlflow.log_expectation(trace_id=trace_id, name="deep", value={"a": {"b": [1, None]}}),
        mlflow.log_expectation(trace_id=trace_id, name="number", value=1.5),
    ]
    return made, assessed(trace_id)


@check(since=(3, 5))
def updated_overridden_deleted(desk: Desk) -> object:
    trace_id, _ = traced()
    first = mlflow.log_feedback(trace_id=trace_id, name="right", value=False, source=JUDGE, rationale="no")
    wanted = mlflow.log_expectation(trace_id=trace_id, name="answer", value="a", source=HUMAN)
    saw = [
        mlflow.update_assessment(
            trace_id, first.assessment_id, Feedback(name="right", value=True, rationale="yes", metadata={"k": "v"})
        ),
        mlflow.update_assessment(trace_id, wanted.assessment_id, Expectation(name="answer", value={"a": 1})),
    ]
    second = mlflow.override_feedback(
        trace_id=trace_id, assessment_id=first.assessment_id, value="maybe", rationale="a person", source=HUMAN
    )
    saw += [second, assessed(trace_id), mlflow.get_assessment(trace_id, first.assessment_id)]
    mlflow.delete_assessment(trace_id, second.assessment_id)
    saw.append(assessed(trace_id))
    mlflow.delete_assessment(trace_id, wanted.assessment_id)
    mlflow.delete_assessment(trace_id, first.assessment_id)
    saw.append(assessed(trace_id))
    return saw


@check(since=(3, 5))
def the_same_name_twice(desk: Desk) -> object:
    trace_id, _ = traced()
    for value in (1, 2):
        mlflow.log_feedback(trace_id=trace_id, name="twice", value=value)
    return assessed(trace_id)


@check(since=(3, 5))
def what_is_refused(desk: Desk) -> object:
    trace_id, _ = traced()
    other_trace, _ = traced()
    made = mlflow.log_feedback(trace_id=other_trace, name="x", value=1)
    nobody = f"tr-{'0' * 32}"
    unknown = f"a-{'0' * 32}"
    expectation = mlflow.log_expectation(trace_id=trace_id, name="e", value=1)
    return [
        answer(lambda: mlflow.log_feedback(trace_id=nobody, name="x", value=1)),
        answer(lambda: mlflow.get_assessment(trace_id, unknown)),
        answer(lambda: mlflow.get_assessment(trace_id, made.assessment_id)),
        answer(lambda: mlflow.delete_assessment(trace_id, unknown)),
        answer(lambda: mlflow.update_assessment(trace_id, unknown, Feedback(name="x", value=2))),
        answer(lambda: mlflow.override_feedback(trace_id=trace_id, assessment_id=unknown, value=2)),
        answer(lambda: mlflow.log_feedback(trace_id=trace_id, name="x" * 200, value=1)),
        answer(lambda: mlflow.log_feedback(trace_id=trace_id, name="nowhere", value=1, span_id="0" * 16)),
        answer(lambda: mlflow.update_assessment(trace_id, expectation.assessment_id, Feedback(name="x", value=2))),
        assessed(trace_id),
    ]


@check(since=(3, 5))
def on_a_trace_of_a_run(desk: Desk) -> object:
    with mlflow.start_run() as run:
        trace_id, _ = traced()
        mlflow.log_feedback(trace_id=trace_id, name="x", value=1, metadata={"run": run.info.run_id})
    return assessed(trace_id)
