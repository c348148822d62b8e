"""Pipelines of the team's project, and what is linked, posted and compared."""

from typing import Any

from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import MergeRequest, Pipeline


def pipeline(trail: Trail, ref: str, source: str, sha: str = SHAS["c"], *, tag: bool = False) -> Pipeline:
    return trail.team.gitlab.add_pipeline(trail.team.project, sha, ref, source, tag=tag)


def linked(trail: Trail, pipeline: Pipeline) -> set[str | None]:
    """The merge requests that the pipeline's runs are stamped with."""
    runs = [{tag["key"]: tag["value"] for tag in run["data"]["tags"]} for run in trail.runs()]
    return {
        tags.get("gitlab.CI_MERGE_REQUEST_IID") for tags in runs if tags["gitlab.CI_PIPELINE_ID"] == str(pipeline.id)
    }


def spoken_of(trail: Trail, request: MergeRequest) -> int:
    (note,) = trail.notes(request)
    return int(note.partition("pipeline=")[2].partition(" ")[0])


def baseline_of(trail: Trail, one: Pipeline) -> Any:
    (model,) = trail.report(one, "GET")["models"]
    return model["baseline"] and model["baseline"]["pipeline_id"]
