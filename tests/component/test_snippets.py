"""Each YAML block of the docs, in each kind of pipeline of each kind of project: GitLab takes it, and what is promised
is there.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.component.creation import pipeline, resolve
from tests.component.runner import KINDS, variables_of
from tests.component.snippets import OURS, Snippet, completed, first_of, reuse, snippets, table

STANDARD = first_of("docs/how-to/add-to-a-pipeline.md", "workflow")
# What else a project's file may hold, and what there is of the training job; None takes its rules away.
PROJECTS: dict[str, dict[str, Any]] = {
    "nothing else": {},
    "another job": {"lint": {"script": ["lint"]}},
    "our workflow": STANDARD,
    "no pipelines of branches": {"template": "Workflows/MergeRequest-Pipelines.gitlab-ci.yml"},
    "no pipelines of merge requests": {"template": "Workflows/Branch-Pipelines.gitlab-ci.yml"},
    "Auto DevOps": {"template": "Auto-DevOps.gitlab-ci.yml", "variables": {"AUTO_DEVOPS_EXPLICITLY_ENABLED": "1"}},
    "its own stages": {"stages": ["prepare data", "deploy", "Überprüfung (neu)"]},
    "its own default": {
        "default": {"image": "python:3.9", "before_script": ["./setup"], "tags": ["gpu"], "interruptible": True},
    },
}
TRAININGS: dict[str, dict[str, Any] | None] = {
    "as it is": {},
    "no rules": {"rules": None},
    "rules of its own": {"rules": [{"if": '$CI_PIPELINE_SOURCE == "schedule"'}]},
    "rules of its own for merge requests": {"rules": [{"if": '$CI_PIPELINE_SOURCE == "merge_request_event"'}]},
    "a manual one": {"rules": [{"when": "manual", "allow_failure": True}]},
    "only": {"rules": None, "only": ["main"]},
    "only merge requests": {"rules": None, "only": {"refs": ["merge_requests"]}},
    "except": {"rules": None, "except": ["tags", "schedules"]},
    "another hidden job's": {"rules": None, "extends": [".gpu", ".mltrail-track"]},
    "there is none": None,
}
FIRST = [first_of("README.md"), first_of("docs/how-to/add-to-a-pipeline.md")]
REUSE = reuse()

each_kind = pytest.mark.parametrize("kind", KINDS)


def config_of(
    snippet: Mapping[str, Any], project: Mapping[str, Any], training: Mapping[str, Any] | None
) -> dict[str, Any]:
    config = dict(snippet) | {".gpu": {"tags": ["gpu"], "only": ["branches", "merge_requests"]}}
    include = config.get("include", [])
    for key, value in project.items():
        if key == "template":
            config["include"] = [{"template": value}, *(include if isinstance(include, list) else [include])]
        else:
            config.setdefault(key, value)
    train = config.pop("train")
    if training is not None:
        config["train"] = {key: value for key, value in {**train, **training}.items() if value is not None}
    for name in config.keys() & {"train", "sweep", "confirm", "evaluate", "lint"}:
        config[name] = {"stage": config.get("stages", ["test"])[0], **config[name]}
    return config


def jobs_of(config: dict[str, Any], kind: str) -> set[str] | None:
    made = pipeline(resolve(config), variables_of(kind))
    return None if made is None else set(made)


def ours(config: dict[str, Any], kind: str) -> set[str]:
    return (jobs_of(config, kind) or set()) & OURS


def beside(snippet: Snippet) -> list[str]:
    """The projects that may have the snippet; GitLab's template of Auto DevOps needs the stages that it has itself."""
    return [name for name in PROJECTS if name != "Auto DevOps" or "stages" not in snippet.config]


@pytest.mark.parametrize(
    ("snippet", "project"),
    [(snippet, project) for snippet in snippets() for project in beside(snippet)],
    ids=str,
)
def test_no_pipeline_is_refused(snippet: Snippet, project: str) -> None:
    for training in TRAININGS.values():
        config = resolve(config_of(completed(snippet.config), PROJECTS[project], training))
        for kind in KINDS:
            pipeline(config, variables_of(kind))  # raises where GitLab refuses


@pytest.mark.parametrize("project", ["nothing else", "another job", "its own stages", "its own default"])
@pytest.mark.parametrize("first", FIRST, ids=["README", "how-to"])
@each_kind
def test_the_first_snippet_has_the_jobs_of_the_table(first: dict[str, Any], kind: str, project: str) -> None:
    config = config_of(first, PROJECTS[project], {})
    assert ours(config, kind) == table()[kind]
    if not table()[kind]:
        assert jobs_of(config, kind) == ({"lint"} if project == "another job" and "merge" not in kind.split()[:1] and
            not kind.startswith("fork") else None)  # fmt: skip


@pytest.mark.parametrize("project", ["our workflow", "no pipelines of branches"])
@pytest.mark.parametrize("rules", ["as it is", "no rules"])
@each_kind
def test_with_a_workflow_merge_requests_and_the_default_branch_are_the_same(
    kind: str, project: str, rules: str
) -> None:
    config = config_of(FIRST[0], PROJECTS[project], TRAININGS[rules])
    if kind in {"merge request", "merged results", "merge train", "default branch", "schedule", "tag", "by hand"}:
        assert ours(config, kind) == table()[kind]


def test_a_push_never_trains_twice() -> None:
    """Where a branch has a merge request GitLab makes both pipelines."""
    for name, project in PROJECTS.items():
        # The how-to says to keep the rules where a workflow allows both, as that of Auto DevOps does.
        for rules in ("as it is",) if name == "Auto DevOps" else ("as it is", "no rules"):
            config = config_of(FIRST[0], project, TRAININGS[rules])
            both = [ours(config, kind) for kind in ("branch of a merge request", "merge request")]
            assert sum("train" in jobs for jobs in both) <= 1, (name, rules)


def test_a_project_with_branch_pipelines_alone_reports_in_them() -> None:
    config = next(one.config for one in snippets() if "Branch-Pipelines" in str(one.config.get("include")))
    assert ours(config, "branch of a merge request") == {"train", "mltrail-report"}
    assert ours(config, "branch") == {"train"}
    assert ours(config, "default branch") == OURS
    assert jobs_of(config, "merge request") is None


@pytest.mark.parametrize("project", PROJECTS)
def test_without_training_again_there_is_a_pipeline_that_promotes(project: str) -> None:
    config = config_of(REUSE, PROJECTS[project], {})
    assert ours(config, "default branch") == {"mltrail-promote", "mltrail-report"}
    assert ours(config, "tag") == {"mltrail-promote"}
    if project not in {"no pipelines of merge requests", "Auto DevOps"}:
        assert ours(config, "merge request") == {"train", "mltrail-report"}
    # What the page warns of: without the stage there is none, where nothing else runs.
    (include,) = REUSE["include"]
    inputs = {key: value for key, value in include["inputs"].items() if key != "promote-stage"}
    without = config_of(REUSE | {"include": [include | {"inputs": inputs}]}, PROJECTS[project], {})
    if project in {"nothing else", "its own stages"}:
        assert jobs_of(without, "default branch") is None


@each_kind
def test_promote_alone_makes_its_pipeline(kind: str) -> None:
    """The first snippet of the promotion's page, where the training is in merge requests only."""
    config = first_of("docs/how-to/promote.md") | {"train": REUSE["train"] | {"extends": []}}
    assert ("mltrail-promote" in (jobs_of(config, kind) or set())) is (kind in {"default branch", "tag"})


@each_kind
def test_a_report_on_the_default_branch_fails_nothing(kind: str) -> None:
    made = pipeline(resolve(FIRST[0]), variables_of(kind)) or {}
    report = made.get("mltrail-report")
    if report is not None:
        of_request = "CI_MERGE_REQUEST_IID" in variables_of(kind)
        assert report.variables["MLTRAIL_INPUT_FAIL_ON"] == ("gate" if of_request else "never")
        assert report.allow_failure is not of_request
        assert report.when == "always"


def test_tokens_of_default_are_gone_unless_they_are_repeated() -> None:
    """As the how-to says; the doctor finds it."""
    tokens = {"VAULT_ID_TOKEN": {"aud": "https://vault.example.com"}}
    config = completed({}) | {"default": {"id_tokens": tokens}}
    train = (pipeline(resolve(config), variables_of("tag")) or {})["train"].config
    assert set(train["id_tokens"]) == {"MLFLOW_TRACKING_TOKEN"}
    repeated = next(one.config for one in snippets() if "id_tokens" in one.config.get("train", {}))
    config = completed(repeated) | {"default": {"id_tokens": tokens}}
    train = (pipeline(resolve(config), variables_of("tag")) or {})["train"].config
    assert set(train["id_tokens"]) == {"MLFLOW_TRACKING_TOKEN", "VAULT_ID_TOKEN"}


def test_the_table_covers_each_kind_of_pipeline() -> None:
    assert table().keys() == KINDS.keys()
