"""What a pipeline does to the models: each compared with its baseline, and held to the contract's rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import sqlalchemy as sa

from mltrail_contract import Outcome
from mltrail_server.domain import selection, verdict
from mltrail_server.domain.errors import not_found
from mltrail_server.domain.grouping import Run, State
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.report_job import Doubt
from mltrail_server.domain.threads import Override
from mltrail_server.domain.verdict import Verdict
from mltrail_server.store import merge_requests, pipelines
from mltrail_server.store.merge_requests import MergeRequest
from mltrail_server.store.pipelines import Pipeline

from . import baselines, contracts, judging, pipeline_runs
from .judging import Bench, Judged, ModelReport
from .promotion_preview import Preview

MOST_RUNS = 20_000
"""So many runs of a pipeline are looked at."""

_MOST_LOCAL = 20


@dataclass(frozen=True, slots=True)
class Report:
    """`gate` is what the binding contract says, `proposed` what the merge request's own version would say, None where
    it leaves the contract alone. `runs` are all of the pipeline; `local` are runs of the same commit that no job has
    made, which are shown and never count. `target` is the branch that the merge request goes into, else the default.
    `previews` tell what merging would publish, by model; `override` who has accepted all broken rules, and why;
    `doubts` what of the report job is not as it was; `contract_read` is False while GitLab has not told the file.
    """

    pipeline: Pipeline
    merge_request: MergeRequest | None
    models: tuple[ModelReport, ...]
    verdict: Verdict
    gate: Judged
    proposed: Judged | None
    runs: tuple[Run, ...]
    local: tuple[Run, ...]
    target: str
    previews: Mapping[str, Preview] = field(default_factory=dict)
    override: Override | None = None
    doubts: tuple[Doubt, ...] = ()
    contract_read: bool = True

    @property
    def outcome(self) -> Outcome | None:
        """What the contract says of the merge request; None where nothing gates."""
        return self.gate.outcome

    @property
    def running(self) -> int:
        """How many runs are not done yet."""
        return sum(run.state is State.RUNNING for run in self.runs)

    @property
    def state(self) -> str:
        if not self.runs:
            return "empty"
        return "waiting" if self.running else "ready"

    @property
    def reason(self) -> str:
        if not self.runs:
            return "this pipeline has logged no runs (yet)"
        return f"{self.running} of {len(self.runs)} runs are not done" if self.running else ""


def compute(
    connection: sa.Connection,
    project_id: ProjectId,
    pipeline_id: int,
    *,
    default_branch: str | None,
    ancestors: Sequence[str] = (),
    if_invalid: Outcome = Outcome.FAIL,
    trial: str | None = None,
) -> Report:
    """Compare a pipeline with its baselines, from what is stored, and judge it by the contract that binds it.

    `ancestors` are the commits at and before the merge base, the newest first: the baseline is the target branch's
    newest pipeline on one of them, or its newest at all. `if_invalid` is what a contract leads to that can't be read.
    `trial` is a contract's text that stands for the merge request's own.
    Raises NOT_FOUND for a pipeline that has never logged.
    """
    pipeline = pipelines.get(connection, project_id, pipeline_id)
    if pipeline is None:
        raise not_found(
            f"Pipeline {pipeline_id} has logged nothing here. Does its training job `extends` the track job?"
        )
    iid = pipeline.merge_request_iid
    request = merge_requests.get(connection, project_id, iid) if iid is not None else None
    target = request.target_branch if request else default_branch or pipeline.ref
    known = contracts.of(connection, project_id, pipeline_id, head=pipeline.sha)
    if trial is not None:
        known = replace(known, proposed=contracts.parsed(trial))
    versions = [one for one in (known.binding, known.proposed) if one is not None]
    tags = {tag for one in versions for tag in selection.tags_of(one.contract)}
    mine = pipeline_runs.outlines(connection, project_id, [pipeline_id], tags=tags).get(pipeline_id, [])
    runs = pipeline_runs.filled(connection, project_id, mine[:MOST_RUNS])
    found = baselines.branch(connection, project_id, target, before=pipeline_id, ancestors=ancestors, tags=tags)
    bench = Bench(connection, project_id, runs, found, known, target, if_invalid)
    binding = judging.judge(bench, known.binding)
    return Report(
        pipeline,
        request,
        binding.models,
        verdict.overall(model.verdict for model in binding.models if model.runs),
        binding,
        judging.judge(bench, known.proposed) if known.proposed is not None else None,
        tuple(runs),
        tuple(_local(connection, project_id, [pipeline.sha, request.head_sha or ""])) if request else (),
        target,
        contract_read=known.read,
    )


def _local(connection: sa.Connection, project_id: ProjectId, shas: Sequence[str]) -> list[Run]:
    return pipeline_runs.local(connection, project_id, sorted({sha for sha in shas if sha}), limit=_MOST_LOCAL)
