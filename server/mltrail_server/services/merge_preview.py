"""What merging would publish, for a merge request's note: read from what is stored, without asking GitLab.

What only the promotion itself looks at (labels, commit trailers, the model's signature) may make the step larger.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_contract import Model, Outcome
from mltrail_server.domain import bump, ci
from mltrail_server.domain.bump import Facts, Step
from mltrail_server.domain.grouping import Run
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.semver import Bump
from mltrail_server.store import aliases, models, params, promotions, versions
from mltrail_server.store.pipelines import Pipeline

from . import numbering, terms
from .judging import Judged, ModelReport
from .numbering import Told, Used


@dataclass(frozen=True, slots=True)
class Preview:
    """`version` would become `alias` in place of `replaces`; `reason` holds names of parameters, a user's text."""

    version: str
    bump: str
    reason: str
    alias: str
    replaces: str | None


def of(
    connection: sa.Connection,
    project_id: ProjectId,
    pipeline: Pipeline,
    judged: Judged,
    *,
    target: str,
    default_branch: str | None,
) -> Mapping[str, Preview]:
    """Preview each model that the contract lets the target branch promote, and whose gate does not fail. Some six
    statements a model.
    """
    found = {}
    for report in judged.models:
        winner = report.comparison.best_run
        if winner is None or report.model is None or report.outcome is Outcome.FAIL:
            continue
        of_model = terms.of(judged.contract.contract, judged.contract.problems, report.name)
        if of_model.refusal(target, default_branch=default_branch, tag=False) is None:
            found[report.name] = _preview(connection, project_id, pipeline, report, report.model, winner)
    return found


def _preview(
    connection: sa.Connection, project_id: ProjectId, pipeline: Pipeline, report: ModelReport, model: Model, winner: Run
) -> Preview:
    model_id = models.id_of(connection, project_id, report.name)
    alias = model.promote.alias if model.promote else ""
    used, step, replaces = Used(), None, None
    if model_id is not None:
        promoted = frozenset(semver for _, semver in promotions.taken(connection, project_id, model_id))
        used = Used(promoted, promoted.union(versions.all_semvers(connection, project_id, model_id)))
        step = _step(connection, project_id, model_id, report, model, winner)
        number = aliases.target(connection, project_id, model_id, alias) if alias else None
        current = versions.get(connection, project_id, model_id, number) if number is not None else None
        replaces = current.semver if current else None
    told = ci.Pipeline(pipeline.id, None, pipeline.sha, pipeline.ref, pipeline.source, "", pipeline.web_url or "")
    called, reason, version = numbering.choose(told, Told(), step, used)
    return Preview(str(version), called, reason, alias, replaces)


def _step(
    connection: sa.Connection, project_id: ProjectId, model_id: int, report: ModelReport, model: Model, winner: Run
) -> Step | None:
    if model.promote and model.promote.bump != "auto":
        return Step(Bump(model.promote.bump), "as the contract file says")
    last = promotions.newest(connection, project_id, model_id)
    if last is None:
        return None
    before = dict(params.of(connection, project_id, [last.candidate_iid]).get(last.candidate_iid, []))
    # A merge request always changes something; where the contract names the model's files, it may be nothing of these.
    same_code = bool(model.paths) and not report.touched
    return bump.decide(Facts(before), Facts(winner.params), chance=model.repeat_over, same_code=same_code)
