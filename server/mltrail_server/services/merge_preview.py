"""What merging would publish, for the note of a merge request whose report is ready."""

from dataclasses import replace

from mltrail_contract import Outcome
from mltrail_server.domain.ids import ProjectId

from . import freshness, promotion_preview, terms
from .deps import Deps
from .reports import Report

_MOST_MODELS = 5


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
            previews[model.name] = preview
    if any(one.reuse for one in previews.values()):
        target = freshness.of(deps, project_id, report)
        previews = {
            name: one.knowing(up_to_date=target.up_to_date, without_pipeline=target.without_pipeline)
            for name, one in previews.items()
        }
    return replace(report, previews=previews)
