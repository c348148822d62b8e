"""A project with our components, from its first merge request to its first tag: jobs run for real, with tokens of their
own, against a real server; GitLab is the stand-in.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.component.whole import Ran, Whole, whole_in
from tests.fakes.gitlab import MergeRequest, Note
from tests.places import ROOT, TRAIN_PYTHON

TRAININGS = {"train: [2]": "2", "train: [3]": "3"}  # the matrix, by what each job trains

pytestmark = [pytest.mark.node, pytest.mark.e2e, pytest.mark.train]


@dataclass
class Story:
    """What happened, for the tests to look at."""

    whole: Whole
    request: MergeRequest
    first: Ran
    second: Ran
    merged: Ran
    tagged: Ran
    notes: list[list[Note]]

    @property
    def pipelines(self) -> list[Ran]:
        return [self.first, self.second, self.merged, self.tagged]

    def runs(self) -> list[dict[str, str]]:
        """The tags and parameters of all runs of the experiment."""
        found = self.whole.get("experiments/get-by-name?experiment_name=churn")["experiment"]
        runs = self.whole.post("runs/search", {"experiment_ids": [found["experiment_id"]], "max_results": 100})["runs"]
        return [
            {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
            | {f"param.{param['key']}": param["value"] for param in run["data"]["params"]}
            for run in runs
        ]

    def artifact(self, pipeline: str, name: str) -> str:
        """What the report or promote job of a pipeline has left."""
        folder = "mltrail-promote" if name.startswith("promote") else "mltrail-report"
        ran: Ran = getattr(self, pipeline)
        return ran.artifacts[f"{folder}/{name}"]


@pytest.fixture(scope="module")
def story(gitlab_ci_local: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with whole_in(tmp_path_factory.mktemp("whole"), gitlab_ci_local, TRAIN_PYTHON) as whole:
        world = whole.world
        whole.begin(ROOT / "examples/churn")
        whole.change("params.yaml", "seed: [1, 2, 3]", "seed: [1]")
        whole.change("params.yaml", "n_estimators: 40", "n_estimators: 10")
        whole.commit("Train faster")

        whole.change("params.yaml", "learning_rate: 0.05", "learning_rate: 0.2", branch="faster")
        whole.commit("Learn faster", branch="faster")
        request = world.gitlab.add_merge_request(whole.project, "faster", "main", "Learn faster")
        first = whole.merge_request_pipeline(request)
        notes = [world.gitlab.notes(whole.project, request.iid)]
        whole.commit("Again", branch="faster")
        second = whole.merge_request_pipeline(request)
        notes.append(world.gitlab.notes(whole.project, request.iid))

        whole.merge(request)
        merged = whole.branch_pipeline()
        tagged = whole.tag_pipeline("2.0.0")
        yield Story(whole, request, first, second, merged, tagged, notes)


def test_all_jobs_succeed(story: Story) -> None:
    for ran in story.pipelines:
        assert ran.exit_code == 0, ran.output


def test_each_kind_of_pipeline_has_its_jobs(story: Story) -> None:
    assert set(story.first.jobs) == set(story.second.jobs) == {*TRAININGS, "mltrail-report"}
    assert set(story.merged.jobs) == {*TRAININGS, "mltrail-report", "mltrail-promote"}
    assert set(story.tagged.jobs) == {*TRAININGS, "mltrail-promote"}


def test_each_run_is_tied_to_its_own_job(story: Story) -> None:
    expected = {
        (str(ran.jobs[name].id), str(ran.pipeline.id), ran.pipeline.sha, depth, "true")
        for ran in story.pipelines
        for name, depth in TRAININGS.items()
    }
    runs = story.runs()
    keys = ("gitlab.CI_JOB_ID", "gitlab.CI_PIPELINE_ID", "gitlab.CI_COMMIT_SHA", "param.max_depth", "gitlab.verified")
    assert {tuple(run[key] for key in keys) for run in runs} == expected
    assert len(runs) == len(expected)


def test_jobs_that_ran_at_the_same_time_had_tokens_of_their_own(story: Story) -> None:
    ran = story.first
    assert len({ran.jobs[name].id for name in TRAININGS}) == 2
    assert not re.search(r"[Pp]roblem|Traceback", ran.output)


def test_runs_of_merge_request_pipelines_know_their_merge_request(story: Story) -> None:
    of_request = {str(ran.pipeline.id) for ran in (story.first, story.second)}
    for run in story.runs():
        expected = str(story.request.iid) if run["gitlab.CI_PIPELINE_ID"] in of_request else None
        assert run.get("gitlab.CI_MERGE_REQUEST_IID") == expected


def test_two_pipelines_leave_one_comment_about_the_newer(story: Story) -> None:
    (first,), (second,) = story.notes
    assert first.id == second.id
    assert f"/-/pipelines/{story.first.pipeline.id}" in first.body
    assert f"/-/pipelines/{story.second.pipeline.id}" in second.body
    assert story.whole.world.gitlab.quick_actions == story.whole.world.gitlab.mentions == []


def test_the_report_job_leaves_what_gitlab_shows(story: Story) -> None:
    dotenv = dict(line.split("=", 1) for line in story.artifact("second", "report.env").splitlines())
    assert dotenv["MLTRAIL_STATE"] == "ready"
    assert "MLFLOW_RUN_ID" not in dotenv
    cases = ET.fromstring(story.artifact("second", "junit.xml")).findall(".//testcase")
    assert "val_auc" in {str(case.get("name")).partition(" ")[0] for case in cases}
    assert story.artifact("second", "metrics.txt").endswith("# EOF\n")
    labels = [
        link["external_link"]["label"] for link in json.loads(story.artifact("second", "annotations.json"))["mltrail"]
    ]
    assert labels[0] == "Comment on the merge request"


def test_the_default_branch_leaves_what_gitlab_compares_with(story: Story) -> None:
    """GitLab calls each test and metric of a merge request new that its target branch has not."""
    metrics = [set(re.findall(r'metric="([^"]+)"', story.artifact(one, "metrics.txt"))) for one in ("merged", "second")]
    assert metrics[0] == metrics[1] != set()
    trees = [ET.fromstring(story.artifact(one, "junit.xml")) for one in ("merged", "second")]
    cases = [{(case.get("classname"), case.get("name")) for case in tree.iter("testcase")} for tree in trees]
    assert cases[0] == cases[1] != set()


def test_each_pipeline_promotes_once(story: Story) -> None:
    versions = story.whole.get("model-versions/search")["model_versions"]
    assert [version["version"] for version in versions] == ["2", "1"]
    aliases = story.whole.get("registered-models/get?name=churn")["registered_model"]["aliases"]
    assert {"alias": "champion", "version": "2"} in aliases


def test_the_tags_name_is_the_version(story: Story) -> None:
    assert "churn 2.0.0" in story.tagged.output
    assert "MLTRAIL_VERSION=2.0.0\n" in story.artifact("tagged", "promote.env")
    assert "churn 1.0.0" in story.merged.output
