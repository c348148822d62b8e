"""The whole trail with the real client, a real server process and the stand-in for GitLab: the story of `make demo`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import urllib3
from scripts.demo.churn import PREDICT, train
from scripts.demo.printing import checked
from scripts.demo.project import DemoProject, Ran
from scripts.demo.world import World

from tests.fakes.gitlab import MergeRequest, Pipeline
from tests.places import TRAIN_PYTHON

ONE_MODEL = ("--max-depth", "2", "--seed", "1", "2")

BY_CLIENT_AND_RAW = """
import json, os, urllib.request
from mlflow import MlflowClient
client = MlflowClient()
experiment = client.create_experiment("bare")
client.set_terminated(client.create_run(experiment).info.run_id)
call = urllib.request.Request(
    os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/runs/create",
    json.dumps({"experiment_id": experiment}).encode(),
    {"Content-Type": "application/json", "Authorization": "Bearer " + os.environ["MLFLOW_TRACKING_TOKEN"]},
)
run = json.load(urllib.request.urlopen(call))["run"]["info"]["run_id"]
client.set_terminated(run)
"""


@dataclass
class Story:
    """What happened, for the tests to look at."""

    churn: DemoProject
    merge_request: MergeRequest
    pipelines: list[Pipeline]
    trained: list[Ran]
    notes: list[Any]
    promoted: list[Ran]

    def get(self, path: str, **query: str) -> Any:
        response = urllib3.request(
            "GET",
            f"{self.churn.tracking_uri}/api/2.0/mlflow/{path}",
            fields=query,
            headers={"Authorization": f"Bearer {self.churn.developer_token}"},
        )
        assert response.status == 200, response.data
        return response.json()

    def runs(self, experiment: str) -> list[Any]:
        found = self.get("experiments/get-by-name", experiment_name=experiment)["experiment"]
        response = urllib3.request(
            "POST",
            f"{self.churn.tracking_uri}/api/2.0/mlflow/runs/search",
            json={"experiment_ids": [found["experiment_id"]]},
            headers={"Authorization": f"Bearer {self.churn.developer_token}"},
        )
        runs: list[Any] = response.json()["runs"]
        return runs


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with World(tmp_path_factory.mktemp("world") / "demo", train_python=TRAIN_PYTHON) as world:
        churn = world.open("churn")
        gitlab, project = churn.gitlab, churn.project
        sha = churn.commit("a1" * 20, branch="main")
        base = churn.branch_pipeline(sha)
        trained = [checked(train(churn, base, *ONE_MODEL))]
        promoted = [checked(churn.promote(base)), checked(churn.promote(base))]

        churn.edit("params.yaml", "learning_rate: 0.05", "learning_rate: 0.2")
        sha = churn.commit("b2" * 20, parents=(sha,), branch="faster")
        request = gitlab.add_merge_request(project, "faster", "main", "Learn faster")
        notes, pipelines = [], [base]
        for _ in range(2):
            if notes:
                sha = churn.commit("c3" * 20, parents=(sha,), branch="faster")
            pipeline = churn.merge_request_pipeline(request, sha)
            trained.append(checked(train(churn, pipeline, *ONE_MODEL)))
            checked(
                churn.run(pipeline, "bare", [str(TRAIN_PYTHON), "-c", BY_CLIENT_AND_RAW]) if not notes else trained[-1]
            )
            checked(churn.report(pipeline))
            notes.append(list(gitlab.notes(project, request.iid)))
            pipelines.append(pipeline)

        merged = churn.branch_pipeline(gitlab.merge(project, request.iid))
        trained.append(checked(train(churn, merged, *ONE_MODEL)))
        promoted.append(checked(churn.promote(merged)))
        yield Story(churn, request, [*pipelines, merged], trained, notes, promoted)


def tags(run: Any) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["data"]["tags"]}


@pytest.mark.e2e
@pytest.mark.train
class TestTrail:
    def test_every_candidate_carries_its_job_pipeline_and_commit(self, story: Story) -> None:
        by_job: dict[str, list[dict[str, str]]] = {}
        for run in story.runs("churn"):
            by_job.setdefault(tags(run)["gitlab.CI_JOB_ID"], []).append(tags(run))
        assert sorted(by_job) == sorted(str(ran.job.id) for ran in story.trained)
        for ran, pipeline in zip(story.trained, story.pipelines, strict=True):
            stamped = by_job[str(ran.job.id)]
            assert len(stamped) == 2
            assert {one["gitlab.CI_PIPELINE_ID"] for one in stamped} == {str(pipeline.id)}
            assert {one["gitlab.CI_COMMIT_SHA"] for one in stamped} == {pipeline.sha}
            assert {one["gitlab.verified"] for one in stamped} == {"true"}

    def test_merge_request_pipelines_candidates_know_their_merge_request(self, story: Story) -> None:
        of_merge_request = {str(pipeline.id) for pipeline in story.pipelines[1:3]}
        for run in story.runs("churn"):
            expected = str(story.merge_request.iid) if tags(run)["gitlab.CI_PIPELINE_ID"] in of_merge_request else None
            assert tags(run).get("gitlab.CI_MERGE_REQUEST_IID") == expected

    def test_runs_without_mlflows_context_are_stamped_too(self, story: Story) -> None:
        runs = story.runs("bare")
        assert len(runs) == 2
        assert {tags(run)["gitlab.CI_PIPELINE_ID"] for run in runs} == {str(story.pipelines[1].id)}

    def test_two_pipelines_make_one_note(self, story: Story) -> None:
        first, second = story.notes
        assert len(first) == len(second) == 1
        assert first[0].id == second[0].id
        assert first[0].body != second[0].body
        assert f"/-/pipelines/{story.pipelines[2].id}" in second[0].body

    def test_the_note_shows_the_true_delta(self, story: Story) -> None:
        def mean(pipeline: Pipeline) -> float:
            values = [
                metric["value"]
                for run in story.runs("churn")
                if tags(run)["gitlab.CI_PIPELINE_ID"] == str(pipeline.id)
                for metric in run["data"]["metrics"]
                if metric["key"] == "val_auc"
            ]
            return sum(values) / len(values)

        delta = 100 * (mean(story.pipelines[2]) - mean(story.pipelines[0]))
        row = next(line for line in story.notes[1][0].body.splitlines() if "`val_auc`" in line and line.startswith("|"))
        assert f"{abs(delta):.1f}"[:3] in row or f"{abs(delta):.2f}"[:3] in row
        assert "learning_rate" in story.notes[1][0].body

    def test_the_example_s_contract_lets_it_pass(self, story: Story) -> None:
        body = story.notes[1][0].body
        assert body.splitlines()[1].startswith(
            "### ✅ Does not block: nothing is clearly worse, and `val_auc` of `churn` is better, "
        )
        assert "- `val_auc` must not drop by more than 0.5 pp: a clear breach blocks" in body
        assert "**On merge:** `churn` 1.1.0 replaces 1.0.0 as `champion`: run " in body

    def test_nothing_ran_as_a_quick_action_and_nobody_was_mentioned(self, story: Story) -> None:
        assert story.churn.gitlab.quick_actions == []
        assert story.churn.gitlab.mentions == []

    def test_the_winner_becomes_a_version_once_a_pipeline(self, story: Story) -> None:
        first, again, second = (ran.output for ran in story.promoted)
        assert "1.0.0" in first
        assert "1.0.0" in again
        assert "1.1.0" in second
        model = story.get("registered-models/get", name="churn")["registered_model"]
        assert {"alias": "champion", "version": "2"} in model["aliases"]

    def test_a_person_loads_the_champion(self, story: Story) -> None:
        predicted = story.churn.person(PREDICT).split()
        assert len(predicted) == 5
        assert set(predicted) <= {"True", "False"}

    def test_the_project_is_the_right_one(self, story: Story) -> None:
        (run, *_) = story.runs("bare")
        assert tags(run)["gitlab.CI_PROJECT_ID"] == str(story.churn.project.id)
