"""The README's lines, run for real in a project that has nothing else, from a merge request to the first version; then
those of a project that does not train again.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.component.creation import pipeline, read
from tests.component.runner import variables_of
from tests.component.snippets import first_of, reuse
from tests.component.whole import Ran, Whole, whole_in
from tests.places import TRAIN_PYTHON

TRAIN = """
import mlflow

mlflow.set_experiment("churn")
with mlflow.start_run():
    mlflow.log_metric("accuracy", 0.9)
    mlflow.pyfunc.log_model(name="model", python_model=lambda model_input: model_input, pip_requirements=[])
"""
CONTRACT = "version: 1\nmodels:\n  churn:\n    promote: {from: [default], reuse_reviewed: true}\n"

pytestmark = [pytest.mark.node, pytest.mark.e2e, pytest.mark.train, pytest.mark.timeout(600)]


@pytest.fixture
def whole(gitlab_ci_local: Path, tmp_path: Path) -> Iterator[Whole]:
    with whole_in(tmp_path, gitlab_ci_local, TRAIN_PYTHON) as made:
        yield made


def begin(whole: Whole, config: dict[str, Any], server: str) -> None:
    text = yaml.safe_dump(config, sort_keys=False).replace("https://mltrail.example.com", server)
    whole.begin_with(text, train=TRAIN)
    for branch in whole.project.branches:
        whole.world.gitlab.add_commit(whole.project, whole.project.branches[branch], files={".mltrail.yml": CONTRACT})


def jobs(ran: Ran) -> dict[str, str]:
    return {name: job.status for name, job in ran.jobs.items()}


def merged(whole: Whole) -> tuple[Ran, Ran]:
    """A merge request's pipeline, and that of the default branch after the merge."""
    whole.commit("Change", branch="change")
    request = whole.world.gitlab.add_merge_request(whole.project, "change", "main", "Change")
    first = whole.merge_request_pipeline(request)
    assert first.exit_code == 0, first.output
    assert len(whole.world.gitlab.notes(whole.project, request.iid)) == 1
    whole.merge(request)
    second = whole.branch_pipeline()
    assert second.exit_code == 0, second.output
    return first, second


def test_the_readmes_lines(whole: Whole) -> None:
    begin(whole, readmes(whole), "$MLTRAIL_URL")
    request, default = merged(whole)
    assert jobs(request) == {"train": "success", "mltrail-report": "success"}
    assert jobs(default) == {"train": "success", "mltrail-report": "success", "mltrail-promote": "success"}
    assert "accuracy" in default.artifacts["mltrail-report/metrics.txt"]
    assert whole.get("registered-models/get?name=churn")["registered_model"]["aliases"]


@pytest.mark.parametrize("server", ["{url}", "{url}/", "${{MLTRAIL_URL}}"])
def test_each_job_finds_the_server_however_its_address_is_written(whole: Whole, server: str) -> None:
    begin(whole, readmes(whole), server.format(url=whole.world.url))
    default = whole.branch_pipeline()
    assert jobs(default) == {"train": "success", "mltrail-report": "success", "mltrail-promote": "success"}
    assert whole.get("registered-models/get?name=churn")["registered_model"]["aliases"]


def readmes(whole: Whole) -> dict[str, Any]:
    return first_of("README.md") | {"variables": {"MLTRAIL_URL": whole.world.url + "/"}}


def test_without_training_again(whole: Whole) -> None:
    config = reuse()
    begin(whole, config, whole.world.url)
    request, default = merged(whole)
    assert jobs(request) == {"train": "success", "mltrail-report": "success"}
    # GitLab makes this pipeline; the runner here would run it in any case.
    assert set(pipeline(read(yaml.safe_dump(config)), variables_of("default branch")) or {}) == jobs(default).keys()
    assert jobs(default) == {"mltrail-report": "success", "mltrail-promote": "success"}
    assert "churn 1.0.0" in default.output
