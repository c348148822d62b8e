"""A default branch with a contract file, and a merge request that is judged by it."""

from typing import Any

from mltrail_contract import FILE_NAME
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import MergeRequest, Pipeline

RULE = "{metric: val_accuracy, better: higher, worse_by: 0.01}"
GOOD, BAD = [0.80, 0.81, 0.82], [0.60, 0.61, 0.62]
"""Values of `val_accuracy`: such as a default branch has, and far below them."""


def contract(*rules: str, model: str = "churn", **keys: str) -> str:
    lines = ["version: 1", "models:", f"  {model}:", *(f"    {name}: {value}" for name, value in keys.items())]
    return "\n".join([*lines, "    rules:", *(f"      - {rule}" for rule in rules)]) + "\n"


def a_main(trail: Trail, sha: str, text: str | None, values: list[float]) -> Pipeline:
    """Put the contract on main, and train there."""
    gitlab = trail.team.gitlab
    files = {} if text is None else {FILE_NAME: text}
    parent = trail.team.project.branches["main"]
    gitlab.add_commit(trail.team.project, sha, parents=(parent,), branch="main", files=files)
    pipeline = gitlab.add_pipeline(trail.team.project, sha, "main", "push")
    trail.train(pipeline, values)
    return pipeline


def a_request(
    trail: Trail,
    values: list[float],
    files: dict[str, str] | None = None,
    **how: Any,
) -> tuple[MergeRequest, Pipeline]:
    project = trail.team.project
    base = project.branches["main"]
    trail.team.gitlab.add_commit(project, SHAS["c"], parents=(base,), branch="faster", files=files)
    request = trail.team.gitlab.add_merge_request(project, "faster", "main", "Learn faster")
    pipeline = trail.of_request(request, SHAS["c"])
    if values:
        trail.train(pipeline, values, **how)
    return request, pipeline
