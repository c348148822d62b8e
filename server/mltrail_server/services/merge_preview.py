"""What merging would publish, for the note of a merge request whose report is ready."""

from dataclasses import replace

import sqlalchemy as sa

from mltrail_contract import Contract, Outcome
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.markdown import Markdown, code

from . import freshness, promotion_floor, promotion_preview, promotion_winner, terms
from .deps import Deps
from .judging import ModelReport
from .promotion_winner import Winner
from .reports import Report
from .terms import Terms

_MOST_MODELS = 5
_MOST_OF_A_LINE = 200


def added(deps: Deps, project_id: ProjectId, report: Report, *, default_branch: str | None) -> Report:
    """Add a preview of each model that the target branch may promote and whose gate does not fail. Some ten
    statements a model; where a reviewed candidate may ship, GitLab is asked two or three times about the target branch.
    """
    if report.state != "ready" or report.merge_request is None:
        return report
    contract = report.gate.contract
    previews = {}
    for model in report.models[:_MOST_MODELS]:
        run = model.comparison.best_run
        of_model = terms.of(contract.contract, contract.problems, model.name)
        refused = of_model.refusal(report.target, default_branch=default_branch, tag=False)
        if run is None or refused is not None or model.outcome is Outcome.FAIL:
            continue
        with deps.db.read() as connection:
            preview = promotion_preview.of(
                connection,
                deps,
                project_id,
                model=model.name,
                run=run,
                pipeline_id=report.pipeline.id,
                contract=contract.contract,
                up_to_date=None,
            )
            if preview is not None:
                why = _hindrance(connection, project_id, model, of_model, contract.contract, branch=report.target)
                previews[model.name] = preview.unless(why, model.name) if why else preview
    if any(one.reuse for one in previews.values()):
        target = freshness.of(deps, project_id, report)
        previews = {
            name: one.knowing(up_to_date=target.up_to_date, without_pipeline=target.without_pipeline)
            for name, one in previews.items()
        }
    return replace(report, previews=previews)


def _quoted(text: str) -> Markdown:
    return code(text, most=_MOST_OF_A_LINE)


def _hindrance(
    connection: sa.Connection,
    project_id: ProjectId,
    model: ModelReport,
    of_model: Terms,
    contract: Contract | None,
    *,
    branch: str,
) -> Markdown:
    """Say what a promotion will refuse, where that can be told already."""
    compared = model.comparison
    asked = promotion_winner.question(of_model, model.runs, compared)
    if asked is not None:
        return Markdown(asked.sentence(_quoted))
    if compared.best is None or compared.best_run is None or of_model.promote is None:
        return Markdown("")
    winner = Winner(compared.best_run, compared.best.runs, compared.rank_by)
    alias = of_model.promote.alias
    beside = promotion_floor.of(connection, project_id, winner, of_model, contract=contract, alias=alias, branch=branch)
    return Markdown(promotion_floor.refusal(beside, of_model, alias, _quoted))
