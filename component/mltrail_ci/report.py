"""`mltrail report`: wait for this pipeline's candidates, have them compared, print the result."""

import json
import time
from argparse import ArgumentParser, Namespace
from typing import Any

from . import errors, responses
from .api import Api
from .options import seconds
from .outputs import annotations, console, dotenv, files, junit, openmetrics, text
from .responses import Evaluation, Gate, Model, Report, Row

_MOST_BROKEN = 10


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--timeout", type=seconds, default=600, metavar="SECONDS", help="longest wait for runs to end (default 600)"
    )
    parser.add_argument(
        "--poll", type=seconds, default=3, metavar="SECONDS", help="seconds between two checks (default 3)"
    )
    parser.add_argument(
        "--wait", choices=["true", "false"], default="true", help="wait for runs that have not ended (default true)"
    )
    parser.add_argument("--no-wait", action="store_const", const="false", dest="wait", help="the same as --wait=false")
    parser.add_argument(
        "--fail-on",
        choices=["gate", "never", "bad", "unknown"],
        default="gate",
        help="what makes this command exit with 1: a broken rule of the contract file (gate), nothing (never), also a "
        "bad verdict (bad), or also an unknown one (unknown); default gate",
    )
    parser.add_argument(
        "--junit",
        metavar="FILE",
        help="write JUnit: one case per rule, or per metric if there are no rules, and one per case of an evaluation",
    )
    parser.add_argument("--metrics", metavar="FILE", help="write OpenMetrics")
    parser.add_argument("--dotenv", metavar="FILE", help="write variables for later jobs")
    parser.add_argument("--annotations", metavar="FILE", help="write links for the job's page")
    parser.add_argument("--markdown", metavar="FILE", help="write the comment's text")


def run(api: Api, options: Namespace) -> int:
    files.check(options.junit, options.metrics, options.dotenv, options.annotations, options.markdown)
    response = _awaited(api, options)
    report = responses.report(response)
    variables = dotenv.of_report(report)
    failures = files.write_all(
        [
            (options.junit, junit.render(report)),
            (options.metrics, openmetrics.render(report)),
            (options.dotenv, variables.text),
            (options.annotations, annotations.of_report(report)),
            (options.markdown, report.markdown),
        ]
    )
    console.write(json.dumps(response, indent=2) if options.json else shown(report))
    if options.dotenv:
        for left_out in variables.left_out:
            console.log(text.clean(f"Later jobs don't get {left_out}."))
    errors.together(failures)
    if report.state == "waiting" and options.wait == "true":
        raise errors.CommandError(
            f"Timed out after {options.timeout:g} s: {report.reason} The comment will follow on its own when they end; "
            "allow more time with --timeout, or don't wait with --no-wait.",
            errors.TIMED_OUT,
        )
    return errors.NO if _fails(report, options.fail_on) else errors.DONE


def _fails(report: Report, fail_on: str) -> bool:
    if fail_on == "never" or report.state == "waiting":
        return False
    failing = {"gate": (), "bad": ("bad",), "unknown": ("bad", "unknown")}[fail_on]
    return (report.gate.outcome == "fail" and not report.override) or (
        report.state == "ready" and report.level in failing
    )


def _awaited(api: Api, options: Namespace) -> dict[str, Any]:
    """Return the report once it is ready, or as it is after the time limit."""
    started = time.monotonic()
    response, shown = api.request_report(), None
    while responses.report(response).state == "waiting" and options.wait == "true":
        waited = time.monotonic() - started
        if waited + options.poll > options.timeout:
            break
        reason = responses.report(response).reason
        if reason != shown:
            console.log(f"[{waited:.0f} s] waiting: {text.clean(reason)}")
            shown = reason
        time.sleep(options.poll)
        response = api.report()
    return response


def shown(report: Report) -> str:
    """Write a report for a terminal or a job's log, in the words of the comment."""
    waiting = text.clean(f"Nothing to compare yet: {report.reason}" if report.reason else "Nothing to compare yet.")
    if report.state == "waiting":
        return waiting
    parts = [*_said(report), waiting if report.state == "empty" else ""]
    parts += [_model(model, alone=len(report.models) == 1) for model in report.models]
    if report.proposed:
        parts.append("With this merge request's own contract file: " + _gate(report.proposed))
    if report.note_url:
        parts.append(f"Comment: {text.clean(report.note_url)}")
    elif report.note_problem:
        parts.append(f"No comment was written: {text.clean(report.note_problem)}")
    return "\n\n".join(part for part in parts if part)


def _said(report: Report) -> list[str]:
    """What the comment says before its tables."""
    heading = text.clean(f"{report.heading[:1].upper()}{report.heading[1:]}")
    return [
        text.coloured(heading, _level(report)),
        text.clean(f"Accepted by {report.override}") if report.override else "",
        _gate(report.gate) if report.gate.problems else "",
        text.labelled(report.lines),
        *map(text.clean, report.questions),
    ]


def _level(report: Report) -> str:
    return {"fail": "bad", "warn": "unknown"}.get(report.gate.outcome, report.level)


def _gate(gate: Gate) -> str:
    sentence = text.coloured(text.clean(gate.sentence), {"pass": "good", "fail": "bad"}.get(gate.outcome, "unknown"))
    problems = (f"  line {one.line}: {one.key}: {one.message}" for one in gate.problems)
    return "\n".join([sentence, *map(text.clean, problems)])


def _model(model: Model, *, alone: bool) -> str:
    parts = []
    if not alone:
        parts.append("\n".join([text.clean(model.heading), text.labelled(model.lines)]).strip())
    if model.rows:
        head = ["verdict", "metric", "", f"{model.against or 'target'} → this", "what it means"]
        parts.append(text.table([head, *map(_row, model.rows)]))
    parts += map(_evaluation, model.evaluations)
    if model.parameters:
        changes = ((one.name, f"{_value(one.before)} → {_value(one.after)}") for one in model.parameters)
        parts.append("\n".join(text.clean(f"{name}: {change}") for name, change in changes))
    if model.best:
        name = model.best.name or f"candidate {model.best.iid}"
        parts.append(text.clean(f"Best run: {name}  {model.best.url}").rstrip())
    return "\n\n".join(parts)


def _evaluation(one: Evaluation) -> str:
    """Say which cases broke, with links to both answers, and how many were fixed."""
    if one.compared is None:
        found = one.problem or "nothing to compare"
    else:
        found = f"broke {one.broke:,} of {one.compared:,} cases, fixed {one.fixed:,}"
    broken = [case for case in one.cases if case.change == "broke"]
    lines = [f"{one.name}: {found}  {one.url}".rstrip()]
    lines += [
        f"  broke {case.label or case.id}: {', '.join(case.broke)}  {case.url}".rstrip()
        for case in broken[:_MOST_BROKEN]
    ]
    if len(broken) > _MOST_BROKEN:
        lines.append(f"  and {len(broken) - _MOST_BROKEN} more")
    return "\n".join(map(text.clean, lines))


def _row(row: Row) -> list[str]:
    verdict = row.verdict + {"fail": " (blocks)", "warn": " (warns)"}.get(row.outcome, "")
    return [verdict, row.metric, row.better, f"{row.before} → {row.now} {row.unit}".rstrip(), row.sentence]


def _value(value: str | None) -> str:
    return "(none)" if value is None else value[:60]
