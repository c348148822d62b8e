from typing import Any

from tests.differential.model import Call, World

from .base import get3, post3, send3

ASSESSMENT = ("said", ("assessment", "assessment_id"))
VALUES: tuple[Any, ...] = (True, False, 0.25, "yes", "", None, ["a", True], {"a": {"b": ["c"]}}, 7)
TIME = "2026-11-28T18:24:19.505Z"


def start_trace(world: World) -> Call:
    world.count += 1
    experiment = world.some("exp")
    info = {
        "trace_id": f"tr-{world.count:032x}",
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}},
        "request_time": TIME,
        "execution_duration": "0.013s",
        "state": "OK",
    }
    learns = ("trace", ("trace", "trace_info", "trace_id"))
    call = post3("traces", keep="trace", learns=learns, trace={"trace_info": info})
    call.within = experiment
    return call


def create(world: World) -> Call:
    rng, trace = world.rng, world.some("trace")
    assessment: dict[str, Any] = {
        "assessment_name": rng.choice(["exact", "tone"]),
        "trace_id": trace,
        "create_time": TIME,
    }
    kind = rng.choice(["feedback", "feedback", "expectation", "issue"])
    if kind == "issue":
        assessment["issue"] = {"issue_name": "slow"}
    elif kind == "expectation":
        text = {"serialized_value": {"serialization_format": rng.choice(["JSON_FORMAT", "YAML"]), "value": '["a"]'}}
        assessment["expectation"] = rng.choice([text, {"value": rng.choice(["30 days", True, None])}])
    else:
        assessment["feedback"] = {"value": rng.choice(VALUES)}
        if rng.random() < 0.3:
            assessment["feedback"]["error"] = {"error_code": "TIMEOUT", "stack_trace": "s" * rng.choice([10, 10_500])}
        if rng.random() < 0.3 and "said" in world.known:
            assessment["overrides"] = world.some("said")
            trace = assessment["trace_id"] = world.holder(assessment["overrides"], "trace")
    more: dict[str, Any] = {
        "source": rng.choice([{"source_type": "CODE", "source_id": "x"}, {"source_type": "HUMAN"}, {"source_type": 2}]),
        "rationale": rng.choice(["why", ""]),
        "metadata": {"a": "1"},
        "span_id": "40c02731695b26ec",
        "valid": True,
    }
    assessment |= {key: value for key, value in more.items() if rng.random() < 0.6}
    call = post3(f"traces/{trace}/assessments", learns=ASSESSMENT, keep="assessment", assessment=assessment)
    call.within = trace
    return call


def get_one(world: World) -> Call:
    said = world.some("said")
    return get3(f"traces/{world.holder(said, 'trace')}/assessments/{said}")


def update(world: World) -> Call:
    rng, said = world.rng, world.some("said")
    trace = world.holder(said, "trace")
    changes: dict[str, tuple[str, Any]] = {
        "assessmentName": ("assessment_name", "other"),
        "feedback": ("feedback", {"value": rng.choice(VALUES)}),
        "expectation": ("expectation", {"value": "never"}),
        "rationale": ("rationale", "because"),
        "metadata": ("metadata", {"b": "2"}),
        "nonsense": ("span_id", "x"),
    }
    paths = rng.sample(sorted(changes), rng.choice([1, 1, 2]))
    if {"feedback", "expectation"} <= set(paths):
        paths = ["feedback"]  # both together is a mistake, which each side sees at another point
    assessment = {"assessment_id": said, "trace_id": trace} | dict(changes[path] for path in paths)
    path = f"traces/{trace}/assessments/{said}"
    return send3("PATCH", path, keep="assessment update_mask", assessment=assessment, update_mask=",".join(paths))


def delete(world: World) -> Call:
    found = world.known.get("said", ["⟦no_said⟧"])
    said = found[world.rng.randrange(len(found))]
    return send3("DELETE", f"traces/{world.holder(said, 'trace')}/assessments/{said}")


GENERATORS = (*(start_trace, create, create, create, get_one, update, update, delete),)
