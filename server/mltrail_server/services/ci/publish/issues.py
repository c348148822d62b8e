"""Scheduled training on the default branch that got worse opens one issue a model, which is kept current like the note
and closed when the model is as good as before.
"""

import hashlib

from mltrail_contract import Outcome
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.markdown import code, link, title
from mltrail_server.domain.verdict import Level
from mltrail_server.gitlab.gate_objects import GateObjects
from mltrail_server.services.context import links
from mltrail_server.services.context.deps import Ci, Deps
from mltrail_server.services.review.judge import ModelReport
from mltrail_server.services.review.reports import Report
from mltrail_server.store.ci import gate
from mltrail_server.store.ci.gate import KnownIssue
from mltrail_server.store.ci.refusals import ISSUE

from . import refusals

SCHEDULE = "schedule"
_MOST_LINES = 50


def show_where_wanted(ci: Ci, report: Report, *, path: str) -> None:
    """Open, write or close the issues of a scheduled pipeline's models, where the contract asks for it. Only the worker
    calls it, which has the pipeline to itself.
    """
    contract = report.gate.contract.contract
    if contract is None or not contract.gate.issue or report.pipeline.source != SCHEDULE or report.running:
        return
    for model in report.gate.models:
        with ci.project.read() as tx:
            known = gate.issue(tx, model.name)
        if known is not None and known.pipeline_id > report.pipeline.id:
            continue
        with refusals.kept(ci, ISSUE, model.name):
            if _is_worse(model):
                _open(ci, report, model, known, path=path)
            elif known is not None and model.comparison.best is not None:
                _close(ci, report, model, known, path=path)


def _is_worse(model: ModelReport) -> bool:
    if model.outcome is not None:
        return model.outcome is Outcome.FAIL
    return model.verdict.level is Level.BAD


def _open(ci: Ci, report: Report, model: ModelReport, known: KnownIssue | None, *, path: str) -> None:
    faces, body = GateObjects(ci.gitlab), _body(ci.deps, report, model, path=path)
    digest = hashlib.sha256(body.encode()).hexdigest()
    if known is not None and known.sha256 == digest:
        return
    iid = known.issue_iid if known is not None else _found(faces, ci, model)
    if iid is not None:
        try:
            faces.edit_issue(ci.project_id, iid, body)
        except MltrailError as error:
            if error.code is not Code.NOT_FOUND:
                raise
            iid = None
    if iid is None:
        name = title(model.name) or "a model"
        iid = faces.create_issue(ci.project_id, title=f"Scheduled training of {name} got worse", body=body).iid
    with ci.project.write() as tx:
        gate.keep_issue(tx, model.name, issue_iid=iid, pipeline_id=report.pipeline.id, sha256=digest)


def _close(ci: Ci, report: Report, model: ModelReport, known: KnownIssue, *, path: str) -> None:
    url = report.pipeline.web_url or links.pipeline(ci.deps.settings, path, report.pipeline.id)
    body = f"{_marker(model)}\n{link(code(model.name), url)} is as good as it should be again."
    try:
        GateObjects(ci.gitlab).edit_issue(ci.project_id, known.issue_iid, body, close=True)
    except MltrailError as error:
        if error.code is not Code.NOT_FOUND:
            raise
    with ci.project.write() as tx:
        gate.forget_issue(tx, model.name)


def _found(faces: GateObjects, ci: Ci, model: ModelReport) -> int | None:
    """Find our open issue after a lost answer or a lost database."""
    ours = faces.open_issues(ci.project_id, ci.gitlab.bot_id(ci.project_id))
    return next((one.iid for one in ours if one.body.startswith(_marker(model))), None)


def _marker(model: ModelReport) -> str:
    return f"<!-- mltrail v1 regression model={hashlib.sha256(model.name.encode()).hexdigest()[:16]} -->"


def _body(deps: Deps, report: Report, model: ModelReport, *, path: str) -> str:
    url = report.pipeline.web_url or links.pipeline(deps.settings, path, report.pipeline.id)
    lines = [
        f"- {code(one.metric)} {one.expects}; {one.full_sentence}"
        for one in model.rulings
        if one.outcome is not Outcome.PASS
    ] or [f"- {code(one.name)}: {one.sentence}" for one in model.comparison.metrics]
    if len(lines) > _MOST_LINES:
        lines[_MOST_LINES:] = [f"- and {len(lines) - _MOST_LINES} more"]
    told = "\n".join(lines)
    return (
        f"{_marker(model)}\nThe scheduled training of {link(code(model.name), url)} on {code(report.target)} got "
        f"worse: {model.verdict.sentence}.\n\n{told}\n\n"
        "<sub>Kept current by mltrail, and closed when the model is as good as before.</sub>\n"
    )
