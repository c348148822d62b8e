"""What merging would publish, for the note of a merge request whose report is ready.

The branch that a merge request goes into: does its pipeline hold all of it, and has anything run on it?

What a merge request's merge will do to a model, said beforehand. Reads only, and asks GitLab nothing.
"""

from dataclasses import dataclass, replace

from mltrail_contract import Contract, Outcome
from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.grouping import Run
from mltrail_server.domain.markdown import Markdown, code
from mltrail_server.domain.preview import Preview
from mltrail_server.services.context.deps import Ci, Deps
from mltrail_server.services.contract import policy
from mltrail_server.services.contract.policy import Policy
from mltrail_server.services.review.judge import ModelReport
from mltrail_server.services.review.reports import Report
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.promotion import promotions
from mltrail_server.store.registry import aliases
from mltrail_server.store.registry import models as model_store
from mltrail_server.store.registry import versions as version_store

from . import numbering, ranking
from .ranking import Winner


@dataclass(frozen=True, slots=True)
class Target:
    """`up_to_date`: the merge request's pipeline holds all of the target branch, so its merge brings the files that it
    ran on. `without_pipeline` is the target branch's last commit where GitLab has run nothing on it. None where it is
    not known.
    """

    up_to_date: bool | None = None
    without_pipeline: str | None = None


def target_of(ci: Ci, report: Report) -> Target:
    """Tell it as of now. Two calls to GitLab, three for a merged results pipeline."""
    request = report.merge_request
    if request is None:
        return Target()
    try:
        head = ci.gitlab.branch_head(ci.project_id, request.target_branch)
        if head is None:
            return Target()
        up_to_date = _is_up_to_date(ci, report, head)
        runs = ci.gitlab.has_pipeline(ci.project_id, request.target_branch, head)
        return Target(up_to_date, None if runs else head)
    except MltrailError:
        return Target()


def _is_up_to_date(ci: Ci, report: Report, head: str) -> bool:
    request, sha = report.merge_request, report.pipeline.sha
    if request is not None and sha == request.head_sha:
        return request.base_sha == head
    return head in ci.gitlab.commit_parents(ci.project_id, sha)


def foresee(
    tx: Transaction,
    deps: Deps,
    *,
    model: str,
    run: Run,
    pipeline_id: int,
    contract: Contract | None,
    up_to_date: bool | None,
) -> Preview | None:
    """Foresee the promotion of a merge request's best run; None where the project promotes nothing.

    A project promotes once its contract says so or once it has. `up_to_date` tells whether the pipeline's commit holds
    all of the target branch, None where nobody knows.
    """
    found = policy.of_model(contract, (), model)
    model_id = model_store.id_of(tx, model)
    last = promotions.newest(tx, model_id) if model_id is not None else None
    if found.promote is None or (last is None and not found.by_contract):
        return None
    called, reason, version = numbering.foreseen(tx, deps, model=model, run=run, pipeline_id=pipeline_id, terms=found)
    alias = found.promote.alias
    number = aliases.target(tx, model_id, alias) if model_id is not None else None
    held = version_store.get(tx, model_id or 0, number) if number is not None else None
    was = f", was {held.semver}" if held else ""
    told = f"Merging promotes {code(model)} {version} ({called}: {code(reason, most=120)}) to {code(alias)}{was}."
    replaces = held.semver if held else None
    foreseen = Preview(str(version), called, reason, alias, replaces, Markdown(told), found.promote.reuse_reviewed)
    return foreseen.knowing(up_to_date=up_to_date)


_MOST_MODELS = 5
_MOST_OF_A_LINE = 200


def with_previews(ci: Ci, report: Report, *, default_branch: str | None) -> Report:
    """Add a preview of each model that the target branch may promote and whose gate does not fail. Some ten
    statements a model; where a reviewed candidate may ship, GitLab is asked two or three times about the target branch.
    """
    if report.state != "ready" or report.merge_request is None:
        return report
    contract = report.gate.contract
    previews = {}
    for model in report.models[:_MOST_MODELS]:
        run = model.comparison.best_run
        of_model = policy.of_model(contract.contract, contract.problems, model.name)
        refused = of_model.refusal(report.target, default_branch=default_branch, tag=False)
        if run is None or refused is not None or model.outcome is Outcome.FAIL:
            continue
        with ci.project.read() as tx:
            preview = foresee(
                tx,
                ci.deps,
                model=model.name,
                run=run,
                pipeline_id=report.pipeline.id,
                contract=contract.contract,
                up_to_date=None,
            )
            if preview is not None:
                why = _hindrance(tx, model, of_model, contract.contract, branch=report.target)
                previews[model.name] = preview.unless(why, model.name) if why else preview
    if any(one.reuse for one in previews.values()):
        target = target_of(ci, report)
        previews = {
            name: one.knowing(up_to_date=target.up_to_date, without_pipeline=target.without_pipeline)
            for name, one in previews.items()
        }
    return replace(report, previews=previews)


def _quoted(text: str) -> Markdown:
    return code(text, most=_MOST_OF_A_LINE)


def _hindrance(
    tx: Transaction, model: ModelReport, of_model: Policy, contract: Contract | None, *, branch: str
) -> Markdown:
    """Say what a promotion will refuse, where that can be told already."""
    compared = model.comparison
    asked = ranking.question(of_model, model.runs, compared)
    if asked is not None:
        return Markdown(asked.sentence(_quoted))
    if compared.best is None or compared.best_run is None or of_model.promote is None:
        return Markdown("")
    winner = Winner(compared.best_run, compared.best.runs, compared.rank_by)
    alias = of_model.promote.alias
    beside = ranking.beside_champion(tx, winner, of_model, contract=contract, alias=alias, branch=branch)
    return Markdown(ranking.floor_refusal(beside, of_model, alias, _quoted))
