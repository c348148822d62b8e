"""What a pipeline does to the models: each compared with its baseline on the target branch."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain import comparison, verdict
from mltrail_server.domain.comparison import Comparison
from mltrail_server.domain.errors import not_found
from mltrail_server.domain.grouping import Run, State
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.model import experiment_name
from mltrail_server.domain.verdict import Verdict
from mltrail_server.store import merge_requests, pipelines
from mltrail_server.store.merge_requests import MergeRequest
from mltrail_server.store.pipelines import Pipeline

from . import pipeline_runs


@dataclass(frozen=True, slots=True)
class ModelReport:
    """One model: all runs of the pipeline, and the best of them against the baseline pipeline's best."""

    name: str
    runs: tuple[Run, ...]
    comparison: Comparison
    baseline: Pipeline | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Report:
    pipeline: Pipeline
    merge_request: MergeRequest | None
    models: tuple[ModelReport, ...]
    verdict: Verdict

    @property
    def running(self) -> int:
        """How many runs are not done yet."""
        return sum(run.state is State.RUNNING for model in self.models for run in model.runs)

    @property
    def state(self) -> str:
        if not self.models:
            return "empty"
        return "waiting" if self.running else "ready"

    @property
    def reason(self) -> str:
        if not self.models:
            return "this pipeline has logged no runs (yet)"
        total = sum(len(model.runs) for model in self.models)
        return f"{self.running} of {total} runs are not done" if self.running else ""


def compute(
    connection: sa.Connection,
    project_id: ProjectId,
    pipeline_id: int,
    *,
    default_branch: str | None,
    ancestors: Sequence[str] = (),
) -> Report:
    """Compare a pipeline with its baselines, from what is stored.

    `ancestors` are the commits at and before the merge base, the newest first: the baseline is the target branch's
    newest pipeline on one of them, or its newest at all. Raises NOT_FOUND for a pipeline that has never logged.
    """
    pipeline = pipelines.get(connection, project_id, pipeline_id)
    if pipeline is None:
        raise not_found(
            f"Pipeline {pipeline_id} has logged nothing here. Does its training job `extends` the track job?"
        )
    iid = pipeline.merge_request_iid
    request = merge_requests.get(connection, project_id, iid) if iid is not None else None
    target = request.target_branch if request else default_branch or pipeline.ref
    by_model = pipeline_runs.of(connection, project_id, pipeline_id)
    models = tuple(
        _model(connection, project_id, pipeline, name, runs, target=target, ancestors=ancestors)
        for name, runs in sorted(by_model.items())
    )
    return Report(pipeline, request, models, verdict.overall(model.verdict for model in models))


def _model(
    connection: sa.Connection,
    project_id: ProjectId,
    pipeline: Pipeline,
    name: str,
    runs: list[Run],
    *,
    target: str,
    ancestors: Sequence[str],
) -> ModelReport:
    baseline, theirs = _baseline(connection, project_id, pipeline, name, target, ancestors)
    compared = comparison.compare(runs, theirs)
    return ModelReport(name, tuple(runs), compared, baseline, verdict.of_model(compared))


def _baseline(
    connection: sa.Connection,
    project_id: ProjectId,
    pipeline: Pipeline,
    model: str,
    target: str,
    ancestors: Sequence[str],
) -> tuple[Pipeline | None, list[Run]]:
    age = {sha: number for number, sha in enumerate(ancestors)}
    before = pipeline.id
    found: list[Pipeline] = []
    for experiment in (model, experiment_name(model)):
        found += pipelines.of_branch(connection, project_id, target, experiment=experiment, before=before)
    # At or before the merge base first, by nearness to it; then whatever is newest.
    found.sort(key=lambda one: (age.get(one.sha, len(age)), -one.id))
    for one in found:
        runs = pipeline_runs.of(connection, project_id, one.id).get(model, [])
        if any(run.state is State.SUCCEEDED for run in runs):
            return one, runs
    return None, []
