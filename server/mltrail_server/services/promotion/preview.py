"""What merging a merge request would promote, for its note: from what is stored, and from the target branch's state."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mltrail_contract import Contract, Outcome
from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.grouping import Run
from mltrail_server.domain.markdown import Markdown, code
from mltrail_server.domain.preview import Preview
from mltrail_server.services.context.deps import Ci, Deps
from mltrail_server.services.contract import policy
from mltrail_server.services.contract.policy import Policy
from mltrail_server.services.review.judged import ModelReport
from mltrail_server.services.review.reports import Report
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.imports import origins
from mltrail_server.store.promotion import promotions
from mltrail_server.store.registry import aliases
from mltrail_server.store.registry import models as model_store
from mltrail_server.store.registry import versions as version_store

from . import evaluated, numbering, prompts, ranking
from .prompts import PromptMove
from .ranking import Winner

_MOST_MODELS = 5
_MOST_CHARACTERS = 200


def with_previews(ci: Ci, report: Report, *, default_branch: str | None) -> Report:
    """Add a preview of each model that the target branch may promote and whose gate does not fail.

    Some ten statements per model. If a reviewed candidate may be promoted, GitLab is asked two or three times about the
    target branch.
    """
    if report.state != "ready" or report.merge_request is None:
        return report
    previews = {}
    for model in report.models[:_MOST_MODELS]:
        preview = _preview(ci, report, model, default_branch=default_branch)
        if preview is not None:
            previews[model.name] = preview
    if any(preview.reuse for preview in previews.values()):
        target = _target_branch(ci, report)
        previews = {
            name: preview.knowing(up_to_date=target.up_to_date, without_pipeline=target.without_pipeline)
            for name, preview in previews.items()
        }
    return replace(report, previews=previews)


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
    """Foresee the promotion of a merge request's best run; None if the project promotes nothing.

    A project promotes once its contract says so or once it has promoted. `up_to_date` says whether the pipeline's
    commit contains all of the target branch, None if that is not known. Asks GitLab nothing.
    """
    model_policy = policy.of_model(contract, (), model)
    model_id = model_store.id_of(tx, model)
    last = promotions.newest(tx, model_id) if model_id is not None else None
    if model_policy.promote is None or (last is None and not model_policy.by_contract):
        return None
    following = numbering.foresee(tx, deps, model=model, run=run, pipeline_id=pipeline_id, policy=model_policy)
    alias = model_policy.promote.alias
    number = aliases.target(tx, model_id, alias) if model_id is not None else None
    champion = version_store.get(tx, model_id or 0, number) if number is not None else None
    foreseen = Preview(
        str(following.semver),
        following.bump,
        following.reason,
        alias,
        champion.semver if champion else None,
        model_policy.promote.reuse_reviewed,
    )
    origin = origins.get(tx, champion.origin_id) if champion else None
    if champion is not None and origin is not None:
        foreseen = foreseen.saying(Markdown(f"{champion.semver} was {origin.sentence(_quoted)}, and is not verified."))
    return foreseen.knowing(up_to_date=up_to_date)


def _preview(ci: Ci, report: Report, model: ModelReport, *, default_branch: str | None) -> Preview | None:
    """Foresee the promotion of one model; None if the target branch does not promote it."""
    contract = report.gate.contract
    model_policy = policy.of_model(contract.contract, contract.problems, model.name)
    refused = model_policy.refusal(report.target, default_branch=default_branch, tag=False)
    run = model.comparison.best_run
    if run is None or refused is not None or model.outcome is Outcome.FAIL:
        return None
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
        if preview is None:
            return None
        if model.carried:
            # Its files are not those of this commit, so a merge trains again.
            preview = replace(preview, reuse=False)
        why_not = _obstacle(tx, model, model_policy, contract.contract, branch=report.target)
        moves = prompts.planned(tx, run, model_policy, report.pipeline.id, _quoted)
        why_not = why_not or Markdown(moves.problem)
        return preview.unless(why_not) if why_not else preview.saying(_of_prompts(moves.moves))


def _obstacle(
    tx: Transaction, model: ModelReport, model_policy: Policy, contract: Contract | None, *, branch: str
) -> Markdown:
    """Say why the promotion will be refused, if that is known already; "" if it is not."""
    compared = model.comparison
    asked = ranking.question(model_policy, model.runs, compared)
    if asked is not None:
        return Markdown(asked.sentence(_quoted))
    if compared.best is None or compared.best_run is None or model_policy.promote is None:
        return Markdown("")
    winner = Winner(compared.best_run, compared.best.runs, compared.rank_by)
    unevaluated = evaluated.lacking(tx, winner, model_policy, model.runs, _quoted)
    if unevaluated:
        return Markdown(unevaluated)
    alias = model_policy.promote.alias
    with_champion = ranking.compare_with_champion(
        tx, winner, model_policy, contract=contract, alias=alias, branch=branch
    )
    return Markdown(ranking.refusal(with_champion, model_policy, alias, _quoted))


def _of_prompts(moves: Sequence[PromptMove]) -> Markdown:
    """Say which aliases of prompts move with the model; those that are there already are not worth a word."""
    said = [
        f"{_quoted(one.alias)} of the prompt {_quoted(one.name)} "
        + (f"becomes version {one.now}." if one.before is None else f"moves from version {one.before} to {one.now}.")
        for one in moves
        if one.before != one.now
    ]
    return Markdown(" ".join(said))


def _quoted(text: str) -> Markdown:
    return code(text, most=_MOST_CHARACTERS)


@dataclass(frozen=True, slots=True)
class _TargetBranch:
    """`up_to_date`: the merge request's pipeline contains all of the target branch, so a merge brings the files that it
    ran on. `without_pipeline` is the target branch's last commit if GitLab has run nothing on it. None if not known.
    """

    up_to_date: bool | None = None
    without_pipeline: str | None = None


def _target_branch(ci: Ci, report: Report) -> _TargetBranch:
    """Ask GitLab about the target branch. Two calls, three for a merged results pipeline."""
    request = report.merge_request
    if request is None:
        return _TargetBranch()
    try:
        head = ci.gitlab.branch_head(ci.project_id, request.target_branch)
        if head is None:
            return _TargetBranch()
        up_to_date = _is_up_to_date(ci, report, head)
        has_run = ci.gitlab.has_pipeline(ci.project_id, request.target_branch, head)
        return _TargetBranch(up_to_date, None if has_run else head)
    except MltrailError:
        return _TargetBranch()


def _is_up_to_date(ci: Ci, report: Report, head: str) -> bool:
    request, sha = report.merge_request, report.pipeline.sha
    if request is not None and sha == request.head_sha:
        return request.base_sha == head
    return head in ci.gitlab.commit_parents(ci.project_id, sha)
