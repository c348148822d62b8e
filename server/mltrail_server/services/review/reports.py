"""What a pipeline does to the models: each compared with its baseline, and held to the contract's rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mltrail_contract import Outcome
from mltrail_server.domain import conclusion, selection
from mltrail_server.domain.conclusion import Conclusion
from mltrail_server.domain.errors import not_found
from mltrail_server.domain.grouping import Run, RunState
from mltrail_server.domain.preview import Preview
from mltrail_server.domain.report_job import Doubt
from mltrail_server.domain.threads import Override
from mltrail_server.services.contract import contracts
from mltrail_server.services.contract.contracts import ContractVersion, PipelineContract
from mltrail_server.store.ci import merge_requests, pipelines
from mltrail_server.store.ci.merge_requests import MergeRequest
from mltrail_server.store.ci.pipelines import Pipeline
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.review import jobs, red_verdicts
from mltrail_server.store.review.contracts import StoredContract
from mltrail_server.store.review.jobs import HeadJobs

from . import baselines, judge, looks, model_runs, pipeline_runs
from .cases.results import CaseResults
from .judged import Judged, ModelReport
from .model_runs import GateInput

MOST_RUNS = 20_000
"""At most this many runs of a pipeline are read."""

_MOST_LOCAL = 20
_MOST_PIPELINES = 100
_NEWEST = 1 << 62
"""A merge request without a pipeline is compared with whatever the target branch has."""


@dataclass(frozen=True, slots=True)
class Report:
    """`gate` is what the binding contract says, `proposed` what the merge request's own version would say, None where
    it leaves the contract alone. `runs` are all of the pipeline; `local` are runs of the same commit that no job has
    made, which are shown and never count. `target` is the branch that the merge request goes into, else the default.
    `previews` tell what merging would publish, by model; `override` who has accepted all broken rules, and why;
    `doubts` what has changed about the report job; `contract_read` is False while GitLab has not given the file.
    `head` is the commit that it is about, and `busy` are its pipelines with jobs that may still train a model.
    `changed_files` is how many files the merge request changes, None if that is not known; `fork` is set if it comes
    from another project, whose runs don't count.
    """

    pipeline: Pipeline
    merge_request: MergeRequest | None
    models: tuple[ModelReport, ...]
    conclusion: Conclusion
    gate: Judged
    proposed: Judged | None
    runs: tuple[Run, ...]
    local: tuple[Run, ...]
    target: str
    previews: Mapping[str, Preview] = field(default_factory=dict)
    override: Override | None = None
    doubts: tuple[Doubt, ...] = ()
    contract_read: bool = True
    head: str = ""
    busy: tuple[int, ...] = ()
    changed_files: int | None = None
    fork: bool = False

    @property
    def outcome(self) -> Outcome | None:
        """What the contract says of the merge request; None where nothing gates."""
        return self.gate.outcome

    @property
    def against(self) -> str:
        """The branch whose models these are compared with: without a target, the pipeline's own."""
        return self.target or self.pipeline.ref

    @property
    def running(self) -> int:
        """How many runs are not done yet."""
        return sum(run.state is RunState.RUNNING for run in self.runs)

    @property
    def waiting(self) -> bool:
        """Tell whether it is too early for a verdict."""
        return bool(self.running or self.busy)

    @property
    def carries(self) -> bool:
        """Tell whether the verdict on a model is an earlier commit's."""
        return any(model.carried for model in self.models)

    @property
    def is_of_head(self) -> bool:
        """Tell whether it is about the merge request's newest commit."""
        return self.merge_request is not None and self.head == self.merge_request.head_sha

    @property
    def state(self) -> str:
        if self.waiting:
            return "waiting"
        return "ready" if self.runs or self.carries else "empty"

    @property
    def reason(self) -> str:
        if self.running:
            runs = "1 run" if len(self.runs) == 1 else f"{len(self.runs)} runs"
            return f"{self.running} of {runs} {'is' if self.running == 1 else 'are'} not done"
        if self.busy:
            numbers = ", ".join(str(number) for number in self.busy)
            return f"a model is not trained yet, and jobs of this commit still run (pipeline {numbers})"
        if self.runs or self.carries:
            return ""
        if self.head != self.pipeline.head:
            return "the merge request's newest commit has no pipeline that has logged a run"
        return "this pipeline has logged no runs (yet)"


@dataclass(frozen=True, slots=True)
class Question:
    """What a report is asked for.

    `default_branch` is the target where there is no merge request. `ancestors` are the commits at and before the merge
    base, the newest first: the baseline is the target branch's newest pipeline on one of them, or its newest at all.
    `if_invalid` is what an unreadable contract leads to. `trial` is a contract's text that takes the place of the merge
    request's own. `alone` asks for what this one pipeline has made, for a promotion, and not for its commit. `iid` is a
    merge request of the same branch beside the pipeline's own, and `kept` what binds that one. `head` is a newer commit
    of the merge request. `cases` compares tables of cases; without it none are compared.
    """

    default_branch: str | None
    ancestors: Sequence[str] = ()
    if_invalid: Outcome = Outcome.FAIL
    trial: str | None = None
    alone: bool = False
    iid: int | None = None
    kept: StoredContract | None = None
    head: str | None = None
    cases: CaseResults | None = None


def answer(tx: Transaction, pipeline_id: int, asked: Question) -> Report:
    """Compare a pipeline's commit with its baselines, from what is stored, and judge it by the contract that binds it.

    Raises NOT_FOUND for a pipeline that is not known here.
    """
    pipeline = pipelines.get(tx, pipeline_id)
    if pipeline is None:
        raise not_found(
            f"Pipeline {pipeline_id} has logged nothing here. Does its training job `extends` the track job?"
        )
    return of(tx, pipeline, asked)


def of(tx: Transaction, pipeline: Pipeline, asked: Question) -> Report:
    """Do the same for a pipeline that need not be known here."""
    iid = asked.iid or pipeline.merge_request_iid
    request = merge_requests.get(tx, iid) if iid is not None else None
    given = _gate_input(tx, pipeline, request, asked)
    binding = judge.judge(given, given.contract.binding)
    proposed = given.contract.proposed
    return Report(
        pipeline,
        request,
        binding.models,
        conclusion.overall((model.name, model.conclusion) for model in binding.models if model.runs),
        binding,
        judge.judge(given, proposed) if proposed is not None else None,
        tuple(given.runs),
        tuple(_local(tx, [pipeline.sha, request.head_sha or ""])) if request else (),
        given.target,
        contract_read=given.contract.read,
        head=asked.head or pipeline.head,
        busy=tuple(sorted({busy for model in binding.models if model.silence for busy in model.silence.busy})),
        fork=given.fork,
        changed_files=None if given.contract.changed_paths is None else len(given.contract.changed_paths),
    )


def _gate_input(tx: Transaction, pipeline: Pipeline, request: MergeRequest | None, asked: Question) -> GateInput:
    """Fetch what the judgement is made from."""
    head = asked.head or pipeline.head
    target = request.target_branch if request else asked.default_branch or pipeline.ref
    contract = _contract(tx, pipeline, asked, head)
    versions = _versions(contract)
    tags = {tag for one in versions for tag in selection.tags_of(one.known)}
    # Without a contract nothing gates; then a pipeline's report shows only its own runs.
    judged = None if asked.alone or not any(one.known for one in versions) else request
    of_commit = _of_commit(tx, pipeline, judged, head)
    made, cut = _made(tx, of_commit, tags)
    branch = baselines.branch(tx, target, before=pipeline.id or _NEWEST, ancestors=asked.ancestors, tags=tags)
    fork = request is not None and request.source_project_id not in (None, tx.project_id)
    given = GateInput(
        tx,
        made,
        branch,
        contract,
        target,
        asked.if_invalid,
        head=head,
        fork=fork,
        cut=cut,
        cases=asked.cases,
    )
    if request is None or fork:
        return given
    if judged is None:
        return replace(given, earlier=looks.fetch_evaluated(tx, request, made, tags))
    return _with_request(tx, given, judged, of_commit, tags)


def _contract(tx: Transaction, pipeline: Pipeline, asked: Question, head: str) -> PipelineContract:
    if asked.kept is not None:
        found = contracts.from_stored(asked.kept, head=head)
    else:
        found = contracts.of_pipeline(tx, pipeline.id, head=head)
    return found if asked.trial is None else replace(found, proposed=contracts.parsed(asked.trial))


def _versions(contract: PipelineContract) -> list[ContractVersion]:
    return [one for one in (contract.binding, contract.proposed) if one is not None]


def _with_request(
    tx: Transaction, given: GateInput, request: MergeRequest, of_commit: Sequence[Pipeline], tags: set[str]
) -> GateInput:
    """Add what the merge request did before: its earlier pipelines, and what has failed in it. Closing it and opening
    another one is no fresh start.
    """
    closed = merge_requests.predecessors(tx, request.iid) if request.has_predecessors else []
    # If every model was trained, neither the jobs nor other commits are needed.
    lacking = any(model_runs.lacks(given, one.known) for one in _versions(given.contract))
    earlier = looks.fetch(
        tx, request, given.made, tags, lacking_at=given.head if lacking else None, predecessors=closed
    )
    red = red_verdicts.of(tx, request.iid, *closed) if request.has_failed or closed else []
    standing = [one for one in red if one.stands and one.target_branch == given.target]
    rules: dict[str, frozenset[str]] = {}
    for one in standing:
        rules[one.model] = rules.get(one.model, frozenset()) | one.rules
    inherited = {one.model for one in standing if one.merge_request_iid != request.iid}
    head_jobs = jobs.of_commit(tx, [one.id for one in of_commit]) if lacking else HeadJobs()
    return replace(given, earlier=earlier, red=rules, inherited=inherited, jobs=head_jobs)


def _of_commit(tx: Transaction, pipeline: Pipeline, request: MergeRequest | None, head: str) -> list[Pipeline]:
    """List the pipelines of a merge request's commit, the newest first; without a merge request the pipeline alone."""
    own = [pipeline] if pipeline.head == head and pipeline.id else []
    if request is None:
        return own
    branch = request.source_branch if request.source_project_id in (None, tx.project_id) else None
    found = pipelines.of_head(tx, head, iid=request.iid, branch=branch, limit=_MOST_PIPELINES)
    return found + [one for one in own if all(one.id != known.id for known in found)]


def _made(
    tx: Transaction, of_commit: Sequence[Pipeline], tags: set[str]
) -> tuple[list[tuple[Pipeline, list[Run]]], bool]:
    """Fetch the runs of pipelines, and tell whether there are too many. Deleted runs are included."""
    outlines = pipeline_runs.outlines(tx, [one.id for one in of_commit], tags=tags)
    left, made = MOST_RUNS, []
    for one in of_commit:
        runs = outlines.get(one.id, [])[:left]
        left -= len(runs)
        made.append((one, runs))
    every = [run for _, runs in made for run in runs]
    filled = {run.iid: run for run in pipeline_runs.filled(tx, every)}
    cut = len(every) < sum(len(runs) for runs in outlines.values())
    return [(one, [filled[run.iid] for run in runs]) for one, runs in made], cut


def _local(tx: Transaction, shas: Sequence[str]) -> list[Run]:
    return pipeline_runs.local(tx, sorted({sha for sha in shas if sha}), limit=_MOST_LOCAL)
