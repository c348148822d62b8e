"""What a pipeline does to the models, for the `report` job."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from flask import Response

from mltrail_server.domain.comparison import MetricChange, ParameterChange
from mltrail_server.domain.conclusion import Conclusion, Finding
from mltrail_server.domain.evidence import Evidence
from mltrail_server.domain.grouping import Run
from mltrail_server.domain.origins import Origin
from mltrail_server.domain.preview import Preview
from mltrail_server.domain.prompts import PromptChange
from mltrail_server.domain.rules import Ruling
from mltrail_server.domain.statistics import Summary
from mltrail_server.http.answers import json_answer
from mltrail_server.http.bodies import body_of
from mltrail_server.http.call import Call
from mltrail_server.services.ci import report as report_service
from mltrail_server.services.ci.report import PipelineReport
from mltrail_server.services.context import links
from mltrail_server.services.review import rows, summary
from mltrail_server.services.review.judged import Judged, ModelReport
from mltrail_server.services.review.prompts import prompt_url
from mltrail_server.services.review.reports import Report
from mltrail_server.services.review.rows import Row
from mltrail_server.services.review.summary import Line
from mltrail_server.settings import Settings

from . import cases, evaluations


def show(call: Call, pipeline_id: int) -> Response:
    return json_answer(_answer(call, report_service.known(call.scope, pipeline_id)))


class _Refresh(msgspec.Struct, forbid_unknown_fields=True):
    """No fields: the URL names the pipeline."""


def refresh(call: Call, pipeline_id: int) -> Response:
    if call.request.content_length:
        body_of(call.request, _Refresh)
    return json_answer(_answer(call, report_service.fresh(call.scope, pipeline_id)))


class _Contract(msgspec.Struct, forbid_unknown_fields=True):
    contract: str


def try_contract(call: Call, pipeline_id: int) -> Response:
    """Say what the gate would decide with a contract that is in no branch yet; nothing is stored."""
    judged = report_service.tried(call.scope, pipeline_id, body_of(call.request, _Contract).contract)
    models = [
        {"name": one.name, "gate": one.outcome, "rules": [_rule(rule) for rule in one.rulings]} for one in judged.models
    ]
    return json_answer({"gate": _judged(judged), "models": models})


def candidates(call: Call, pipeline_id: int) -> Response:
    known = report_service.known(call.scope, pipeline_id)
    return json_answer(
        {
            "candidates": [
                _run(_place(call), run) | {"model": one.name} for one in known.report.models for run in one.runs
            ]
        }
    )


@dataclass(frozen=True, slots=True)
class Place:
    """The server's settings and the project's path, which links are made of."""

    settings: Settings
    path: str


def _place(call: Call) -> Place:
    return Place(call.deps.settings, call.actor.project_path)


def _answer(call: Call, made: PipelineReport) -> dict[str, Any]:
    return encoded(made, _place(call))


def encoded(made: PipelineReport, place: Place) -> dict[str, Any]:
    """Write a report as docs/reference/report.md describes it."""
    report = made.report
    request = report.merge_request
    pipeline = report.pipeline
    url = pipeline.web_url or links.pipeline(place.settings, place.path, pipeline.id)
    said = summary.of_report(report, summary.PLAIN)
    return {
        "state": report.state,
        "reason": report.reason,
        "pipeline": {"id": pipeline.id, "url": url, "status": pipeline.status},
        "merge_request": request
        and {"iid": request.iid, "url": request.web_url, "target_branch": request.target_branch},
        "verdict": _verdict(report.conclusion),
        "summary": {"icon": said.icon, "heading": said.heading, "lines": _lines(said.lines)},
        "gate": _judged(report.gate),
        "override": report.override and {"user": report.override.user_name, "reason": report.override.reason},
        "questions": [one.sentence(repr) for one in report.gate.questions],
        "report_job": [one.sentence(str) for one in report.doubts],
        "proposed": report.proposed and _judged(report.proposed),
        "models": [_model(place, report, model) for model in report.models],
        "local": [_run(place, run) for run in report.local],
        "note": {"state": made.note_state, "url": made.note_url, "problem": made.note_problem},
        "markdown": made.text,
    }


def _verdict(one: Conclusion) -> dict[str, Any]:
    return {
        "level": one.level,
        "sentence": one.named(str),
        "worst": one.worst and _finding(one.worst),
        "best": one.best and _finding(one.best),
    }


def _finding(one: Finding) -> dict[str, Any]:
    return {
        "model": one.model or None,
        "metric": one.metric,
        "verdict": one.verdict,
        "outcome": one.outcome,
        "sentence": one.reason,
    }


def _judged(judged: Judged) -> dict[str, Any]:
    return {
        "outcome": judged.outcome,
        "sentence": judged.sentence,
        "problems": [
            {"line": one.line, "column": one.column, "key": one.key, "message": one.message}
            for one in judged.contract.problems
        ],
    }


def _rule(one: Ruling) -> dict[str, Any]:
    return {
        "metric": one.metric,
        "cases": one.rule.cases,
        "line": one.rule.line,
        "expects": one.expects,
        "outcome": one.outcome,
        "known": one.known,
        "verdict": one.verdict,
        "sentence": one.sentence,
        "advice": one.advice or None,
    }


def _lines(lines: Iterable[Line]) -> list[dict[str, str]]:
    return [{"label": one.label, "text": one.text} for one in lines]


def _row(one: Row) -> dict[str, Any]:
    before, now = rows.texts(one)
    return {
        "metric": one.metric,
        "verdict": one.verdict,
        "outcome": one.outcome,
        "expects": one.expects or None,
        "better": one.better,
        "before": before,
        "now": now,
        "unit": rows.unit(one),
        "sentence": one.sentence,
    }


def _preview(one: Preview | None) -> dict[str, Any] | None:
    if one is None:
        return None
    names = ("version", "bump", "reason", "alias", "replaces")
    return {name: getattr(one, name) for name in names} | {"refused": None if one.refused is None else str(one.refused)}


def _model(place: Place, report: Report, model: ModelReport) -> dict[str, Any]:
    compared = model.comparison
    icon, heading = summary.heading(model, summary.PLAIN)
    return {
        "name": model.name,
        "verdict": _verdict(model.conclusion),
        "gate": model.outcome,
        "touched": model.touched,
        "silence": model.silence and {"kind": model.silence.kind, "sentence": model.silence.sentence},
        "pipeline_id": model.made_by.id if model.made_by is not None and model.runs else None,
        "summary": {"icon": icon, "heading": heading, "lines": _lines(summary.of_model(report, model, summary.PLAIN))},
        "rows": [_row(one) for one in rows.of(model)],
        "merging_publishes": _preview(report.previews.get(model.name)),
        "rules": [_rule(one) for one in model.rulings],
        "against": model.against(report.target),
        "rank_by": compared.rank_by,
        "baseline": _baseline(model),
        "best": _best(place, model),
        "confirmed": compared.confirmed,
        "looks": compared.looks,
        "pooled": compared.pooled,
        "carried": model.carried,
        "remarks": list(model.remarks),
        "history": {
            "level": [model.history[place].id for place in compared.counted.level],
            "spread": [model.history[place].id for place in compared.counted.spread],
        },
        "metrics": [_metric(one) for one in compared.metrics],
        "cases": [cases.shown(one) for one in model.cases],
        "evaluations": [evaluations.shown(place.settings, place.path, one) for one in model.evaluations],
        "parameters": _changes(compared.parameters),
        "datasets": _changes(compared.datasets),
        "environment": _changes(model.environment),
        "prompts": [_prompt(place, one) for one in model.prompts],
        "candidates": [_run(place, run) for run in model.runs],
    }


def _baseline(model: ModelReport) -> dict[str, Any] | None:
    if model.baseline is None and model.imported is None:
        return None
    compared = model.comparison.baseline
    return {
        "pipeline_id": model.baseline and model.baseline.id,
        "sha": model.baseline and model.baseline.sha,
        "version": model.version and model.version.semver,
        "runs": len(compared.runs) if compared else 0,
        "imported": _origin(model.imported),
    }


def _origin(one: Origin | None) -> dict[str, Any] | None:
    """Say where something was imported from."""
    if one is None:
        return None
    sentence = f"{one.sentence()}, not verified"
    return {"from": one.place(), "first_ms": one.first_ms, "last_ms": one.last_ms, "sentence": sentence}


def _best(place: Place, model: ModelReport) -> dict[str, Any] | None:
    best, run = model.comparison.best, model.comparison.best_run
    if run is None:
        return None
    return {
        "iid": run.iid,
        "name": run.name,
        "url": _url(place, run),
        "runs": len(best.runs) if best else 0,
        "params": best.params if best else {},
    }


def _changes(changes: Iterable[ParameterChange]) -> list[dict[str, Any]]:
    return [{"name": one.name, "from": one.before, "to": one.after} for one in changes]


def _prompt(place: Place, one: PromptChange) -> dict[str, Any]:
    return {
        "name": one.name,
        "from": list(one.old),
        "to": list(one.new),
        "same_text": one.has_same_text,
        "url": prompt_url(place.settings, place.path, one),
    }


def _metric(one: MetricChange) -> dict[str, Any]:
    return {
        "name": one.name,
        "direction": one.direction.better,
        "guessed": one.direction.guessed,
        "baseline": _summary(one.baseline),
        "current": _summary(one.current),
        "before": one.before,
        "delta": one.delta,
        "relative": one.relative,
        "verdict": one.verdict,
        "sentence": one.sentence,
        "evidence": _evidence(one.evidence),
    }


def _evidence(one: Evidence | None) -> dict[str, float | None] | None:
    if one is None:
        return None
    low, high = (one.low, one.high) if one.bounded else (None, None)
    return {"p": one.p, "low": low, "high": high, "sd": one.sd}


def _summary(one: Summary | None) -> dict[str, Any] | None:
    return None if one is None else {"mean": one.mean, "sd": one.sd, "n": one.n}


def _run(place: Place, run: Run) -> dict[str, Any]:
    return {
        "iid": run.iid,
        "name": run.name,
        "url": _url(place, run),
        "status": run.state,
        "job_id": run.job_id,
        "job_url": run.job_url,
        "metrics": run.metrics,
        "params": run.params,
    }


def _url(place: Place, run: Run) -> str:
    return links.candidate(place.settings, place.path, run.iid)
