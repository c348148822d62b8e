"""A merge request's earlier pipelines, as far as their runs count together with those of the newest commit."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mltrail_contract import Model
from mltrail_server.domain import selection
from mltrail_server.domain.evaluations import evaluates
from mltrail_server.domain.grouping import Run
from mltrail_server.services.pipelines.trees import MOST_LOOKS
from mltrail_server.store.ci import merge_requests, pipelines
from mltrail_server.store.ci.merge_requests import MergeRequest
from mltrail_server.store.ci.pipelines import Pipeline, TrainedPipeline
from mltrail_server.store.db.transaction import Transaction

from . import pipeline_runs

_MOST_RUNS = 2_000
"""Of earlier pipelines together: older runs are left out, so that retries of sweeps stay cheap."""


@dataclass(frozen=True, slots=True)
class EarlierPipelines:
    """A merge request's pipelines that have trained, the newest first, with the runs of those that were read. `changed`
    are the paths that differ between an earlier commit and the newest, None where that is not known.
    """

    trained: Sequence[TrainedPipeline] = ()
    runs: Mapping[int, Sequence[Run]] = field(default_factory=dict)
    changed: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)

    def on_files_of(self, pipeline: Pipeline) -> list[tuple[Pipeline, Sequence[Run]]]:
        """List the pipelines before this one that ran on the same files, with their runs, the newest first."""
        own = next((one for one in self.trained if one.pipeline.id == pipeline.id), None)
        if own is None:
            return []
        return [
            (one.pipeline, self.runs[one.pipeline.id])
            for one in self.trained
            if one.pipeline.id < pipeline.id and one.pipeline.id in self.runs and one.has_files_of(own)
        ]

    def without_a_change_of(self, model: Model) -> list[tuple[Pipeline, Sequence[Run]]]:
        """List the pipelines of earlier commits since which nothing of a model has changed, the newest first. Of a
        model without `paths`, everything belongs to it. None older than one that was too large to be read is listed:
        what that one says is not known.
        """
        untouched = [one.pipeline for one in self.trained if _is_untouched(model, self.changed.get(one.pipeline.head))]
        read = itertools.takewhile(lambda pipeline: pipeline.id in self.runs, untouched)
        return [(pipeline, self.runs[pipeline.id]) for pipeline in read]


def _is_untouched(model: Model, changed: tuple[str, ...] | None) -> bool:
    if changed is None:
        return False
    return not selection.touched(model, changed) if model.paths else not changed


def fetch(
    tx: Transaction,
    request: MergeRequest,
    made: Sequence[tuple[Pipeline, Sequence[Run]]],
    tags: set[str],
    *,
    lacking_at: str | None,
    predecessors: Sequence[int] = (),
) -> EarlierPipelines:
    """Fetch the runs of a merge request's pipelines on the files of its newest commit, whose own are `made`.

    If that commit, `lacking_at`, lacks runs of a model, or evaluates what others have trained, those of earlier commits
    are fetched, too. With `predecessors`, their pipelines count like its own. One or two statements; up to nine more if
    there are such pipelines.
    """
    newest = pipelines.trained_for(
        tx, request.iid, branch=request.source_branch, limit=MOST_LOOKS, predecessors=predecessors
    )
    listed = {one.pipeline.id: one for one in newest}
    own = {pipeline.id: listed.get(pipeline.id, TrainedPipeline(pipeline, None)) for pipeline, _ in made}
    trained = sorted({**listed, **own}.values(), key=lambda one: -one.pipeline.id)
    changed = merge_requests.compared(tx, request.iid, lacking_at).paths if lacking_at and listed else {}
    every = any(evaluates(run) for _, runs in made for run in runs)
    others = [
        one.pipeline.id
        for one in trained
        if one.pipeline.id not in own
        and (
            every or changed.get(one.pipeline.head) is not None or any(one.has_files_of(ours) for ours in own.values())
        )
    ]
    runs: dict[int, Sequence[Run]] = {pipeline.id: its_runs for pipeline, its_runs in made}
    return EarlierPipelines(trained, {**_runs(tx, others, tags), **runs}, changed)


def fetch_evaluated(
    tx: Transaction, request: MergeRequest, made: Sequence[tuple[Pipeline, Sequence[Run]]], tags: set[str]
) -> EarlierPipelines:
    """Fetch what a pipeline that is judged alone may have evaluated. No statement if it has evaluated nothing."""
    if not any(evaluates(run) for _, runs in made for run in runs):
        return EarlierPipelines()
    listed = pipelines.trained_for(tx, request.iid, branch=request.source_branch, limit=MOST_LOOKS)
    own = {pipeline.id for pipeline, _ in made}
    return EarlierPipelines(runs=_runs(tx, [one.pipeline.id for one in listed if one.pipeline.id not in own], tags))


def _runs(tx: Transaction, pipeline_ids: Sequence[int], tags: set[str]) -> dict[int, list[Run]]:
    """Fetch the runs of pipelines; of those that are too much nothing is read."""
    if not pipeline_ids:
        return {}
    outlines = pipeline_runs.outlines(tx, pipeline_ids, tags=tags)
    left, kept = _MOST_RUNS, {}
    for pipeline_id in pipeline_ids:
        runs = outlines.get(pipeline_id, [])
        if len(runs) > left:
            continue  # or one with very many runs would hide all that came before
        left -= len(runs)
        kept[pipeline_id] = runs
    filled = {run.iid: run for run in pipeline_runs.filled(tx, [run for runs in kept.values() for run in runs])}
    return {pipeline_id: [filled[run.iid] for run in runs] for pipeline_id, runs in kept.items()}
