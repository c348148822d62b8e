"""What came with MLflow 2.14 and 3: traces, assessments, logged models, scorers and evaluation datasets."""

import base64
import json
from typing import Any

from history.hostile import PATHS, USERS, VALUES, keys, text
from history.place import Place

STATES = ("OK", "OK", "OK", "ERROR", "IN_PROGRESS")


def fill(place: Place) -> None:
    if place.since(3, 0):
        _add_logged_models(place)
        _add_traces(place)
        _add_scorers(place)
        _add_evaluation_datasets(place)
    elif place.since(2, 14):
        _add_old_traces(place)


def _live(place: Place) -> list[str]:
    return [number for number, name in place.experiments.items() if not name.startswith("deleted")]


def _add_logged_models(place: Place) -> None:
    from mlflow.entities import (  # noqa: PLC0415 - not in older MLflow
        LoggedModelInput,
        LoggedModelOutput,
        LoggedModelParameter,
        LoggedModelStatus,
        LoggedModelTag,
        Metric,
    )

    rng, store = place.rng, place.tracking
    for run_id in rng.sample(place.runs, min(60, len(place.runs) // 3)):
        info = store.get_run(run_id).info
        params = [LoggedModelParameter(key, text(rng, 250)) for key in keys(rng, 3)]
        tags = [LoggedModelTag(key, text(rng, 1000)) for key in keys(rng, 3)]
        name = rng.choice(("model", "ä ö", "🚀", "<b>", "churn"))
        kind = rng.choice((None, "agent", "sklearn"))
        source = run_id if place.chance(0.8) else None
        model = store.create_logged_model(info.experiment_id, name, source, tags, params, kind)
        model_id = model.model_id
        metrics = [
            Metric(key, rng.choice(VALUES), 1_650_000_000_000 + step, step, model_id=model_id, dataset_name=dataset,
                   dataset_digest="0000000a" if dataset else None)
            for key in ("accuracy", "loss β")[: rng.randrange(3)]
            for step in range(rng.randrange(4))
            for dataset in rng.sample((None, "iris"), 1)
        ]  # fmt: skip
        unique = {(one.key, one.step): one for one in metrics}
        store.log_batch(run_id, list(unique.values()), [], [])
        if place.chance(0.8):
            store.log_outputs(run_id, [LoggedModelOutput(model_id, rng.randrange(3))])
        if place.chance(0.3):
            store.log_inputs(rng.choice(place.runs), [], [LoggedModelInput(model_id)])
        for path in ("MLmodel", *rng.sample(PATHS[1:], 2)):
            place.write(model.artifact_location, path, rng.randbytes(200))
        status = rng.choice(("READY", "READY", "READY", "FAILED", None))
        if status:
            store.finalize_logged_model(model_id, LoggedModelStatus[status])
        if place.chance(0.1):
            store.delete_logged_model(model_id)
            place.counts["deleted logged models"] += 1
        else:
            place.logged_models.append(model_id)
        place.counts["logged models"] += 1


def _span(place: Place, trace: str, number: int, parent: str | None) -> dict[str, Any]:
    rng = place.rng
    begin = 1_650_000_000_000_000_000 + number * 1_000_000
    attributes = {
        "mlflow.traceRequestId": json.dumps(trace),
        "mlflow.spanType": json.dumps(rng.choice(("CHAIN", "LLM", "TOOL", "UNKNOWN"))),
        "mlflow.spanInputs": json.dumps({"question": text(rng, 500)}),
        "mlflow.spanOutputs": json.dumps([text(rng, 500), None, 1.5]),
    }
    event = {"name": "exception", "time_unix_nano": begin + 1, "attributes": {"exception.message": text(rng, 100)}}
    return {
        "trace_id": base64.b64encode(bytes.fromhex(trace.removeprefix("tr-"))).decode(),
        "span_id": base64.b64encode((number + 1).to_bytes(8, "big")).decode(),
        "parent_span_id": parent or "",
        "name": rng.choice(("root", "ä ö", "🚀", "it's", "llm")),
        "start_time_unix_nano": begin,
        "end_time_unix_nano": begin + rng.randrange(1, 10**9),
        "events": [event] if place.chance(0.3) else [],
        "status": {"code": rng.choice(("STATUS_CODE_OK", "STATUS_CODE_ERROR")), "message": text(rng, 100)},
        "attributes": attributes,
    }


def _spans(place: Place, trace: str) -> list[dict[str, Any]]:
    spans = [_span(place, trace, 0, None)]
    for number in range(1, place.rng.randrange(1, 5)):
        spans.append(_span(place, trace, number, place.rng.choice(spans)["span_id"]))
    return spans


def _metadata(place: Place) -> dict[str, str]:
    rng = place.rng
    metadata = {"mlflow.trace_schema.version": "3", **{key: text(rng, 250) for key in keys(rng, 3)}}
    if place.chance(0.3):
        metadata["mlflow.sourceRun"] = rng.choice(place.runs)
    if place.chance(0.3):
        metadata |= {"mlflow.trace.session": rng.choice(("s1", "s 2", "ß")), "mlflow.trace.user": rng.choice(USERS)}
    if place.chance(0.3):
        usage = {"input_tokens": 10, "output_tokens": rng.randrange(9), "total_tokens": 19}
        metadata["mlflow.trace.tokenUsage"] = json.dumps(usage)
    return metadata


def _add_traces(place: Place) -> None:
    from mlflow.entities import Span, TraceInfo, TraceLocation, TraceState  # noqa: PLC0415

    rng, store = place.rng, place.tracking
    made = []
    for _ in range(60):
        trace, experiment = f"tr-{rng.getrandbits(128):032x}", rng.choice(_live(place))
        tags = {"mlflow.traceName": text(rng, 200), **{key: text(rng, 4000) for key in keys(rng, 3)}}
        info = TraceInfo(
            trace_id=trace,
            trace_location=TraceLocation.from_experiment_id(experiment),
            request_time=1_650_000_000_000 + rng.randrange(10**9),
            state=TraceState(rng.choice(STATES)),
            request_preview=text(rng, 900) if place.chance(0.8) else None,
            response_preview=text(rng, 900) if place.chance(0.8) else None,
            client_request_id=text(rng, 50) if place.chance(0.3) else None,
            execution_duration=rng.choice((None, 0, 17, 10**7)),
            trace_metadata=_metadata(place),
            tags=tags,
        )
        stored = store.start_trace(info)
        spans = _spans(place, trace)
        if place.chance(0.5):
            store.log_spans(experiment, [Span.from_dict(one) for one in spans])
        elif place.chance(0.9):
            place.write_json(stored.tags["mlflow.artifactLocation"], "traces.json", {"spans": spans})
        made.append((trace, spans))
        _assess(place, trace)
        if place.chance(0.2):
            store.set_trace_tag(trace, "later", text(rng, 100))
    store.link_traces_to_run([trace for trace, _ in rng.sample(made, 10)], rng.choice(place.runs))
    for trace, _ in rng.sample(made, 3):
        _delete(place, trace)
        made = [one for one in made if one[0] != trace]
    place.counts["traces"] = len(made)


def _delete(place: Place, trace: str) -> None:
    experiment = place.tracking.get_trace_info(trace).experiment_id
    place.tracking.delete_traces(experiment, trace_ids=[trace])


def _assess(place: Place, trace: str) -> None:
    from mlflow.entities import AssessmentError, AssessmentSource, Expectation, Feedback  # noqa: PLC0415

    rng, store = place.rng, place.tracking
    logged = []
    for _ in range(rng.randrange(5)):
        source = AssessmentSource(rng.choice(("HUMAN", "LLM_JUDGE", "CODE")), rng.choice(("ada", "judge β")))
        metadata = {key: text(rng, 100) for key in keys(rng, 2)}
        name = rng.choice(("correct", "ä ö", "🚀", "relevance"))
        value = rng.choice((True, 0.5, 7, text(rng, 100), ["a", "b"], {"a": 1.5, "ß": text(rng, 50)}))
        if place.chance(0.4):
            said = Expectation(name, value or "yes", source, trace_id=trace, metadata=metadata)
        else:
            error = AssessmentError("TIMEOUT", text(rng, 100) or "late", None) if place.chance(0.2) else None
            given = {"rationale": text(rng, 500), "metadata": metadata, "span_id": None, "error": error}
            replaces = rng.choice(logged) if logged and place.chance(0.3) else None
            said = Feedback(name, None if error else value, source=source, trace_id=trace, overrides=replaces, **given)
        stored = store.create_assessment(said)
        if isinstance(said, Feedback):
            logged.append(stored.assessment_id)
        place.counts["assessments"] += 1


def _add_old_traces(place: Place) -> None:
    from mlflow.entities.trace_status import TraceStatus  # noqa: PLC0415

    rng, store = place.rng, place.tracking
    for _ in range(40):
        began = 1_650_000_000_000 + rng.randrange(10**9)
        metadata = {"mlflow.trace_schema.version": "2", **{key: text(rng, 250) for key in keys(rng, 3)}}
        if place.chance(0.3):
            metadata["mlflow.sourceRun"] = rng.choice(place.runs)
        tags = {"mlflow.traceName": text(rng, 200), **{key: text(rng, 4000) for key in keys(rng, 3)}}
        info = store.start_trace(rng.choice(_live(place)), began, metadata, tags)
        place.counts["traces"] += 1
        if place.chance(0.1):
            continue  # it never ended
        inputs = {"mlflow.traceInputs": json.dumps(text(rng, 200)), "mlflow.traceOutputs": json.dumps(text(rng, 200))}
        store.end_trace(info.request_id, began + rng.randrange(10**5), TraceStatus(rng.choice(STATES)), inputs, {})
        if place.chance(0.9):
            spans = [_old_span(place, info.request_id, number) for number in range(rng.randrange(1, 4))]
            content = {"spans": spans, "request": inputs["mlflow.traceInputs"], "response": None}
            place.write_json(info.tags["mlflow.artifactLocation"], "traces.json", content)


def _old_span(place: Place, trace: str, number: int) -> dict[str, Any]:
    begin = 1_650_000_000_000_000_000 + number
    return {
        "name": place.rng.choice(("root", "ä ö", "🚀")),
        "context": {"span_id": f"0x{number + 1:016x}", "trace_id": f"0x{int(trace, 16):032x}"},
        "parent_id": f"0x{1:016x}" if number else None,
        "start_time": begin,
        "end_time": begin + 1000,
        "status_code": "OK",
        "status_message": "",
        "attributes": {
            "mlflow.traceRequestId": json.dumps(trace),
            "mlflow.spanType": '"UNKNOWN"',
            "mlflow.spanInputs": json.dumps({"x": text(place.rng, 100)}),
        },
        "events": [],
    }


def _add_scorers(place: Place) -> None:
    rng, store = place.rng, place.tracking
    for experiment in rng.sample(_live(place), min(4, len(_live(place)))):
        for name in rng.sample(("exact", "relevance β", "it's", "a/b", "100%"), 3):
            versions = rng.randrange(1, 4)
            for _ in range(versions):
                judge = {"instructions": f"Is {{{{ outputs }}}} good? {text(rng, 200)}", "model": "openai:/gpt-4o"}
                words = {"name": name, "aggregations": ["mean"], "instructions_judge_pydantic_data": judge}
                store.register_scorer(experiment, name, json.dumps(words))
                place.counts["scorer versions"] += 1
            if versions > 2:
                store.delete_scorer(experiment, name, rng.randrange(1, versions))
                place.counts["scorer versions"] -= 1


def _add_evaluation_datasets(place: Place) -> None:
    rng, store = place.rng, place.tracking
    for name in ("golden", "ä ö", "🚀", 'it\'s "quoted"', "empty"):
        tags = {key: text(rng, 1000) for key in keys(rng, 3)} | ({"mlflow.user": "ada"} if place.chance(0.5) else {})
        experiments = rng.sample(_live(place), min(2, len(_live(place))))
        dataset = store.create_dataset(name, tags, experiments)
        records = [
            {
                "inputs": {"question": text(rng, 300), "number": number, "deep": {"a": [1, None, 1.5]}},
                "expectations": {"answer": text(rng, 300)} if place.chance(0.7) else None,
                "tags": {key: text(rng, 100) for key in keys(rng, 2)} | {"mlflow.user": rng.choice(USERS)},
                "source": {"source_type": "HUMAN", "source_data": {"user_name": "ada"}} if place.chance(0.5) else None,
                "outputs": {"answer": text(rng, 300)} if place.chance(0.5) else {},
            }
            for number in range(0 if name == "empty" else rng.randrange(1, 30))
        ]
        if records:
            store.upsert_dataset_records(dataset.dataset_id, records)
        place.counts.update({"evaluation datasets": 1, "rows": len(records)})
