"""What promoting one run would do, for its page: from what is stored, by the same rules as the promotion itself.

GitLab is asked nothing but which branch is the default one, and the stored files are not read: both are checked when
somebody promotes.
"""

from dataclasses import dataclass

from mltrail_server.domain import former
from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.errors import MltrailError
from mltrail_server.services.context.deps import PROJECT_AGE_MS, Scope
from mltrail_server.services.contract import policy
from mltrail_server.services.files import model_files
from mltrail_server.services.review import reports
from mltrail_server.services.review.judged import ModelReport
from mltrail_server.services.review.reports import Question, Report
from mltrail_server.store.ci import jobs, pipelines
from mltrail_server.store.ci.pipelines import PipelineRef
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.promotion import promotions
from mltrail_server.store.registry import models
from mltrail_server.store.tracking import candidates
from mltrail_server.store.tracking.candidates import Candidate

from . import choose, evaluated, numbering, prompts, ranking, rights, write
from .choose import Choice
from .ranking import NotPromoted, Winner
from .write import PromotionRequest


@dataclass(frozen=True, slots=True)
class Offer:
    """What promoting a run would make, which alias it would move, and from which version; or why it can't be promoted.
    `step` and `reason` say why it would be this version.
    """

    model: str = ""
    version: str = ""
    step: str = ""
    reason: str = ""
    alias: str | None = None
    replaces: str | None = None
    why_not: str = ""

    @property
    def sentence(self) -> str:
        if self.why_not:
            return f"It can't be promoted: {self.why_not}."
        made = f"Creates {self.model} {self.version} ({self.step}: {self.reason})"
        if self.alias is None:
            return f"{made}."
        if self.replaces is None:
            return f"{made} and points “{self.alias}” at it."
        return f"{made} and moves “{self.alias}” to it from {self.replaces}."


class _Obstacle(Exception):  # noqa: N818 - it is no error that a run can't be promoted
    """Why a run can't be promoted, in a sentence without its full stop."""


def _as_clause(message: str) -> str:
    """Write a sentence as it reads after a colon; a first word such as `GitLab` keeps its capital."""
    first = message.partition(" ")[0]
    begun = message[:1].lower() + message[1:] if first[1:].islower() else message
    return begun.removesuffix(".")


def of_run(scope: Scope, iid: int) -> Offer | None:
    """Foresee the promotion of a run; None in local mode, which promotes nothing.

    Some fifty statements and ten for each ruled metric, however many runs there are.
    """
    if scope.deps.team is None:
        return None
    try:
        rights.check(scope, 0, pre_release=False)
        default_branch = scope.ci.gitlab.project(scope.project_id, max_age_ms=PROJECT_AGE_MS).default_branch
    except MltrailError as error:
        return Offer(why_not=_as_clause(error.message))
    try:
        with scope.project.read() as tx:
            return _foreseen(tx, scope, iid, default_branch)
    except _Obstacle as why:
        return Offer(why_not=str(why))
    except MltrailError as error:
        return Offer(why_not=_as_clause(error.message))


def _foreseen(tx: Transaction, scope: Scope, iid: int, default_branch: str | None) -> Offer:
    run, pipeline_id, ref = _verified(tx, iid)
    if_invalid = scope.deps.settings.if_invalid_contract
    report = reports.answer(tx, pipeline_id, Question(default_branch, if_invalid=if_invalid, alone=True))
    if not report.contract_read:
        raise _Obstacle("its pipeline's contract file has not been read yet; reload the page in a minute")
    model = next((one for one in report.models if iid in {each.iid for each in one.runs}), None)
    if model is None:
        raise _Obstacle("its pipeline's report does not count it")
    _check_not_promoted(tx, scope, report, model, iid)
    choice = _choice(report, model)
    _check_ref(run, report, ref, choice, default_branch)
    if choice.problem:
        raise _Obstacle(choice.problem)
    won = _winner(tx, choice, iid)
    alias = choice.policy.promote.alias if choice.policy.promote else ""
    compared = ranking.compare_with_champion(
        tx,
        won,
        choice.policy,
        contract=report.gate.contract.contract,
        alias=alias,
        branch=default_branch or report.pipeline.ref,
    )
    refusal = ranking.refusal(compared, choice.policy, alias)
    if refusal:
        raise _Obstacle(refusal)
    following = numbering.foresee(
        tx, scope.deps, model=model.name, run=won.run, pipeline_id=pipeline_id, policy=choice.policy
    )
    replaces = write.holder(tx, models.id_of(tx, model.name), alias or None)
    return Offer(model.name, str(following.semver), following.bump, following.reason, alias or None, replaces)


def _verified(tx: Transaction, iid: int) -> tuple[Candidate, int, PipelineRef]:
    """Find a run, the pipeline that speaks for the job which made it, and what that ran on."""
    run = candidates.get_by_iid(tx, iid)
    if run is None:
        raise _Obstacle("it does not exist")
    if run.stage is Stage.DELETED:
        raise _Obstacle("it is deleted; restore it first")
    made_by = next((tie.pipeline_id for tie in jobs.ties_of(tx, iid) if tie.verified), None)
    if made_by is None:
        raise _Obstacle("it was logged without a job's token, so nothing proves where it came from")
    ref = pipelines.ref_of(tx, made_by)
    if ref is not None and ref.root_id != made_by:
        made_by, ref = ref.root_id, pipelines.ref_of(tx, ref.root_id)
    if ref is None:
        raise _Obstacle("its pipeline is not known here")
    return run, made_by, ref


def _check_not_promoted(tx: Transaction, scope: Scope, report: Report, model: ModelReport, iid: int) -> None:
    model_id = models.id_of(tx, model.name)
    own = promotions.of_candidate(tx, model_id, iid) if model_id is not None else None
    if own is not None:
        raise _Obstacle(f"it is already {model.name} {own.semver}")
    before = write.earlier_result(
        tx,
        scope,
        PromotionRequest(candidate_iid=iid),
        pipeline_id=report.pipeline.id,
        only=iid,
        model=model.name,
        model_id=model_id,
        alias=None,
    )
    if before is not None and before.state == "already":
        raise _Obstacle(f"its pipeline has already promoted {model.name} {before.version}, from another run")
    if before is not None:
        raise _Obstacle(before.reason)


def _choice(report: Report, model: ModelReport) -> Choice:
    binding = report.gate.contract
    own = policy.of_model(binding.contract, binding.problems, model.name)
    pipeline = report.pipeline
    return choose.if_not_red(Choice(model.name, own, model.runs, pipeline.id, pipeline.merge_request_iid), model)


def _check_ref(run: Candidate, report: Report, ref: PipelineRef, choice: Choice, default_branch: str | None) -> None:
    request = report.merge_request
    if request is not None:
        if request.state != "merged":
            raise _Obstacle(f"its merge request {former.merge_request(request.iid)} is not merged")
        ref = PipelineRef(request.target_branch, is_tag=False, root_id=ref.root_id)
    elif run.protected is False:
        raise _Obstacle(rights.unprotected(ref.ref).removesuffix("."))
    refused = choice.policy.refusal(ref.ref, default_branch=default_branch, tag=ref.is_tag)
    if refused is not None:
        raise _Obstacle(refused)


def _winner(tx: Transaction, choice: Choice, iid: int) -> Winner:
    won = ranking.choose(choice.policy, choice.runs, only=iid, rank_by=None, better=None)
    if isinstance(won, NotPromoted):
        raise _Obstacle(won.reason.removeprefix(f"{next(run.name for run in choice.runs if run.iid == iid)}: "))
    logged = model_files.of_candidate(tx, iid, snapshot_iid=won.run.snapshot_iid)
    if logged is None and not prompts.loads_any(won.run, choice.policy):
        raise _Obstacle("it has logged no model")
    problem = evaluated.lacking(tx, won, choice.policy, choice.runs)
    problem = problem or prompts.planned(tx, won.run, choice.policy, choice.trained_in).problem
    if problem:
        raise _Obstacle(problem)
    return won
