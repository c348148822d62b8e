"""From a pipeline's candidates to its merge request's one note.

https://docs.gitlab.com/api/notes/#merge-requests
"""

import re
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient

from mltrail_server import worker
from mltrail_server.app import create_deps
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services import reconcile
from mltrail_server.services.deps import Deps
from mltrail_server.store import merge_requests
from tests.api.conftest import Mlflow, good
from tests.conftest import EXTERNAL_URL, FrozenClock, Team
from tests.fakes.gitlab import Job, MergeRequest, Note, Pipeline

SHAS = {name: name * 40 for name in "abcdef"}


@dataclass
class Trail:
    """Trains pipelines of the team's project, without a client or a clock."""

    team: Team
    client: FlaskClient
    deps: Deps
    clock: FrozenClock

    def main(self, sha: str) -> Pipeline:
        self.team.gitlab.add_commit(self.team.project, sha, parents=("a1" * 20,), branch="main")
        return self.team.gitlab.add_pipeline(self.team.project, sha, "main", "push")

    def request(self, sha: str) -> MergeRequest:
        base = self.team.project.branches["main"]
        self.team.gitlab.add_commit(self.team.project, sha, parents=(base,), branch="faster")
        return self.team.gitlab.add_merge_request(self.team.project, "faster", "main", "Learn faster")

    def of_request(self, request: MergeRequest, sha: str) -> Pipeline:
        ref = f"refs/merge-requests/{request.iid}/head"
        return self.team.gitlab.add_pipeline(self.team.project, sha, ref, "merge_request_event")

    def train(
        self,
        pipeline: Pipeline,
        values: list[float],
        *,
        lr: str = "0.1",
        status: str | None = "success",
        job_name: str = "train",
        experiment: str = "churn",
        run_name: str = "run",
        model: bool = True,
    ) -> Job:
        """Log one run a value, each with a seed of its own; then the job ends with `status`."""
        gitlab = self.team.gitlab
        job = gitlab.add_job(pipeline, job_name, "train", self.team.users["developer"], "running")
        mlflow = Mlflow(self.client, project="42", token=gitlab.mint(job, EXTERNAL_URL))
        named = mlflow.call(
            "GET", "api/2.0/mlflow/experiments/get-by-name", query_string={"experiment_name": experiment}
        )
        found = named.get_json().get("experiment") or mlflow.post("experiments/create", name=experiment)
        for seed, value in enumerate(values):
            run_id = mlflow.post("runs/create", experiment_id=found["experiment_id"], run_name=f"{run_name}-{seed}")
            run_id = run_id["run"]["info"]["run_id"]
            params = [{"key": "lr", "value": lr}, {"key": "seed", "value": str(seed)}]
            metrics = [{"key": "val_accuracy", "value": value, "timestamp": 1}]
            mlflow.post("runs/log-batch", run_id=run_id, params=params, metrics=metrics)
            if model:
                path = f"api/2.0/mlflow-artifacts/artifacts/{found['experiment_id']}/{run_id}/artifacts/model/MLmodel"
                good(mlflow.call("PUT", path, data=b"flavors: {}"))
            if status is not None:
                mlflow.post("runs/update", run_id=run_id, status="FINISHED")
        if status is not None:
            gitlab.set_job(job, status, "script_failure" if status == "failed" else None)
        return job

    def report(self, pipeline: Pipeline, method: str = "POST") -> Any:
        gitlab = self.team.gitlab
        job = gitlab.add_job(pipeline, "report", "test", self.team.users["developer"], "running")
        return good(
            self.client.open(
                f"/api/v4/projects/42/ml/pipelines/{pipeline.id}/report",
                method=method,
                headers={"Authorization": f"Bearer {gitlab.mint(job, EXTERNAL_URL)}"},
            )
        )

    def work(self, *, seconds: int = 15) -> int:
        """Let the worker look, after some time."""
        self.clock.advance(1000 * seconds)
        return worker.run_once(self.deps)

    def notes(self, request: MergeRequest) -> list[str]:
        return [note.body for note in self.team.gitlab.notes(self.team.project, request.iid)]

    def runs(self) -> list[Any]:
        mlflow = Mlflow(self.client, project="42", token=self.team.tokens["guest"])
        return mlflow.post("runs/search", experiment_ids=["1"])["runs"]


@pytest.fixture
def trail(team: Team, gitlab_client: FlaskClient, gitlab_deps: Deps, clock: FrozenClock) -> Trail:
    return Trail(team, gitlab_client, gitlab_deps, clock)


@pytest.fixture
def reviewed(trail: Trail) -> tuple[MergeRequest, Pipeline]:
    """A trained default branch, and a merge request whose pipeline has trained better models."""
    trail.train(trail.main(SHAS["b"]), [0.80, 0.81, 0.82])
    request = trail.request(SHAS["c"])
    pipeline = trail.of_request(request, SHAS["c"])
    trail.train(pipeline, [0.90, 0.91, 0.92], lr="0.2")
    return request, pipeline


def test_the_report_tells_what_changed(trail: Trail, reviewed: tuple[MergeRequest, Pipeline]) -> None:
    request, pipeline = reviewed
    answer = trail.report(pipeline)
    assert (answer["state"], answer["verdict"]["level"]) == ("ready", "good")
    assert answer["merge_request"]["iid"] == request.iid
    (model,) = answer["models"]
    assert (model["name"], model["baseline"]["sha"], model["best"]["runs"]) == ("churn", SHAS["b"], 3)
    (metric,) = model["metrics"]
    assert (metric["name"], metric["direction"], metric["judgement"]) == ("val_accuracy", "higher", "better")
    assert metric["delta"] == pytest.approx(0.10)
    assert model["parameters"] == [{"name": "lr", "from": "0.1", "to": "0.2"}]
    assert {run["status"] for run in model["candidates"]} == {"succeeded"}
    assert answer["note"]["state"] == "posted"
    assert trail.report(pipeline, "GET")["models"] == answer["models"]


def test_the_note_says_it(trail: Trail, reviewed: tuple[MergeRequest, Pipeline]) -> None:
    request, pipeline = reviewed
    trail.report(pipeline)
    (note,) = trail.notes(request)
    lines = note.splitlines()
    assert lines[0] == f"<!-- mltrail v1 pipeline={pipeline.id} -->"
    assert lines[1].startswith("### ✅ `churn` · `val_accuracy` **0.9100** · +10 pp, better, real")
    assert "| ✅ | `val_accuracy` ↑ | 0.81 → **0.91** | +10 pp, better, real (3 v 3 runs) |" in lines
    assert "| `lr` | `0.1` | `0.2` |" in lines
    assert f"{EXTERNAL_URL}/team/churn/-/ml/candidates/" in note
    assert f"[pipeline {pipeline.id}]({trail.team.gitlab.url}/team/churn/-/pipelines/{pipeline.id})" in note
    assert re.search(r"\[`train`\]\([^)]+/-/jobs/\d+\)", note)
    assert all(line.count("|") <= 6 for line in lines)


def test_a_second_pipeline_updates_the_same_note(trail: Trail, reviewed: tuple[MergeRequest, Pipeline]) -> None:
    request, first = reviewed
    trail.report(first)
    (before,) = trail.team.gitlab.notes(trail.team.project, request.iid)
    second = trail.of_request(request, SHAS["c"])
    trail.train(second, [0.70, 0.71, 0.72], lr="0.3")
    trail.report(second)
    (after,) = trail.team.gitlab.notes(trail.team.project, request.iid)
    assert after.id == before.id
    assert "worse" in after.body
    # Late news of the older pipeline does not overwrite it.
    trail.report(first)
    assert trail.notes(request) == [after.body]


def test_nothing_changed_means_nothing_is_sent(trail: Trail, reviewed: tuple[MergeRequest, Pipeline]) -> None:
    _, pipeline = reviewed
    trail.report(pipeline)
    before = [call for call in trail.team.gitlab.requests if call[0] != "GET"]
    trail.report(pipeline)
    assert [call for call in trail.team.gitlab.requests if call[0] != "GET"] == before


def test_the_worker_writes_the_note_by_itself(trail: Trail, reviewed: tuple[MergeRequest, Pipeline]) -> None:
    request, _ = reviewed
    trail.work()
    assert len(trail.notes(request)) == 1
    assert trail.work() == 0


def test_a_lost_answer_makes_no_second_note(trail: Trail, reviewed: tuple[MergeRequest, Pipeline]) -> None:
    request, pipeline = reviewed
    trail.team.gitlab.fail_next("POST", r"/notes$", 502, after=True)
    answer = trail.report(pipeline)
    assert answer["note"]["state"] == "failed"
    assert "GitLab does not answer" in answer["note"]["problem"]
    assert trail.report(pipeline)["note"]["state"] == "posted"
    assert len(trail.notes(request)) == 1


def test_a_deleted_note_stays_away_until_it_is_asked_for(trail: Trail, reviewed: tuple[MergeRequest, Pipeline]) -> None:
    request, pipeline = reviewed
    trail.report(pipeline)
    (note,) = trail.team.gitlab.notes(trail.team.project, request.iid)
    trail.team.gitlab.delete_note(trail.team.project, request.iid, note.id)
    second = trail.of_request(request, SHAS["c"])
    trail.train(second, [0.95, 0.96])
    trail.work()
    trail.work()
    assert trail.notes(request) == []
    trail.report(second)
    assert len(trail.notes(request)) == 1


def test_somebody_elses_note_with_our_marker_is_left_alone(
    trail: Trail, reviewed: tuple[MergeRequest, Pipeline]
) -> None:
    request, pipeline = reviewed
    gitlab, project = trail.team.gitlab, trail.team.project
    copied = f"<!-- mltrail v1 pipeline={pipeline.id} -->\nmine"
    project.merge_requests[request.iid].notes.append(
        Note(1, copied, trail.team.users["developer"], request.id, request.iid, project.id)
    )
    trail.report(pipeline)
    notes = gitlab.notes(project, request.iid)
    assert [note.author.username for note in notes] == ["developer", "bot"]
    assert notes[0].body == copied


def test_while_it_trains_the_note_says_so(trail: Trail) -> None:
    trail.train(trail.main(SHAS["b"]), [0.8])
    request = trail.request(SHAS["c"])
    pipeline = trail.of_request(request, SHAS["c"])
    job = trail.train(pipeline, [0.9, 0.91], status=None)
    answer = trail.report(pipeline)
    assert (answer["state"], answer["reason"]) == ("waiting", "2 of 2 runs are not done")
    assert "Still training: 2 of 2 runs are not done" in trail.notes(request)[0]
    # The job is canceled, and its client dies without a word.
    trail.team.gitlab.set_job(job, "canceled")
    trail.work(seconds=300)
    assert "no run has succeeded" in trail.notes(request)[0]
    assert "2 runs canceled" in trail.notes(request)[0]
    assert [run["info"]["status"] for run in trail.runs()].count("KILLED") == 2


def test_runs_of_a_failed_job_do_not_count(trail: Trail, reviewed: tuple[MergeRequest, Pipeline]) -> None:
    _, pipeline = reviewed
    trail.train(pipeline, [0.99], lr="0.9", status="failed", job_name="train more")
    (model,) = trail.report(pipeline)["models"]
    assert model["metrics"][0]["current"]["mean"] == pytest.approx(0.91)
    assert sorted(run["status"] for run in model["candidates"]) == ["failed", "succeeded", "succeeded", "succeeded"]


def test_a_retried_job_counts_by_its_newest_attempt(trail: Trail, reviewed: tuple[MergeRequest, Pipeline]) -> None:
    _, pipeline = reviewed
    trail.train(pipeline, [0.5, 0.5, 0.5], lr="0.2")
    (model,) = trail.report(pipeline)["models"]
    assert model["metrics"][0]["current"]["mean"] == pytest.approx(0.5)
    assert [run["status"] for run in model["candidates"]].count("superseded") == 3


def test_a_stranger_to_the_pipeline_amends(trail: Trail, reviewed: tuple[MergeRequest, Pipeline]) -> None:
    _, pipeline = reviewed
    person = Mlflow(trail.client, project="42", token=trail.team.tokens["developer"])
    best = max(trail.runs(), key=lambda run: run["data"]["metrics"][0]["value"])["info"]["run_id"]
    person.post("runs/log-metric", run_id=best, key="val_accuracy", value=0.9999, timestamp=9)
    (model,) = trail.report(pipeline)["models"]
    assert model["metrics"][0]["current"]["mean"] == pytest.approx(0.905)
    assert [run["status"] for run in model["candidates"]].count("amended") == 1


def test_the_baseline_is_at_the_merge_base_not_after_it(trail: Trail, reviewed: tuple[MergeRequest, Pipeline]) -> None:
    trail.team.gitlab.add_commit(trail.team.project, SHAS["d"], parents=(SHAS["b"],), branch="main")
    later = trail.team.gitlab.add_pipeline(trail.team.project, SHAS["d"], "main", "push")
    trail.train(later, [0.99, 0.99])
    newer = trail.of_request(reviewed[0], SHAS["c"])
    trail.train(newer, [0.90, 0.91, 0.92], lr="0.2")
    assert trail.report(newer)["models"][0]["baseline"]["sha"] == SHAS["b"]


def test_without_a_baseline_it_says_so(trail: Trail) -> None:
    request = trail.request(SHAS["c"])
    pipeline = trail.of_request(request, SHAS["c"])
    trail.train(pipeline, [0.9])
    assert trail.report(pipeline)["verdict"]["sentence"] == "no baseline yet"
    assert "nothing to compare with" in trail.notes(request)[0]


def test_several_models_share_the_note(trail: Trail, reviewed: tuple[MergeRequest, Pipeline]) -> None:
    request, pipeline = reviewed
    trail.train(pipeline, [0.3, 0.31], experiment="price", job_name="train price")
    assert [model["name"] for model in trail.report(pipeline)["models"]] == ["churn", "price"]
    (note,) = trail.notes(request)
    assert "#### `churn`" in note
    assert "#### `price`" in note


NASTY = (
    "/merge",
    "x\n/close",
    "@all",
    "#1 !2 ~label",
    "a|b",
    "`code` ``x``",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "<!-- -->",
    "| --- |\n\n/merge\n",
    "\u202eevil",
    "``` \n/merge\n```",
)


@pytest.mark.parametrize("text", NASTY)
def test_what_a_user_names_is_inert(trail: Trail, text: str) -> None:
    trail.train(trail.main(SHAS["b"]), [0.8, 0.81], lr="1")
    request = trail.request(SHAS["c"])
    pipeline = trail.of_request(request, SHAS["c"])
    trail.train(pipeline, [0.9, 0.91], lr=text, run_name=text, job_name=text, experiment="churn")
    trail.report(pipeline)
    gitlab = trail.team.gitlab
    assert (gitlab.quick_actions, gitlab.mentions, gitlab.references) == ([], [], [])
    (note,) = trail.notes(request)
    assert "<img" not in re.sub(r"`[^`]*`", "", note)
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in note.splitlines() if line.startswith("| ")}
    assert widths <= {4, 5}


def test_a_pipeline_without_runs_is_told(trail: Trail, reviewed: tuple[MergeRequest, Pipeline]) -> None:
    request, first = reviewed
    bare = trail.of_request(request, SHAS["c"])
    answer = trail.report(bare)
    assert (answer["state"], answer["models"]) == ("empty", [])
    assert "has logged no runs" in answer["reason"]
    # No note is made for it, but one that stands does not go on telling of an older pipeline.
    assert trail.notes(request) == []
    trail.report(first)
    bare = trail.of_request(request, SHAS["c"])
    trail.report(bare)
    (note,) = trail.notes(request)
    assert "No runs: this pipeline has logged none" in note
    assert trail.report(bare, "GET")["state"] == "empty"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("number", [77, 10**30])
def test_an_unknown_pipeline_is_told(trail: Trail, method: str, number: int) -> None:
    headers = {"Authorization": f"Bearer {trail.team.gitlab.mint(trail.team.job(), EXTERNAL_URL)}"}
    url = f"/api/v4/projects/42/ml/pipelines/{number}/report"
    answer = trail.client.open(url, method=method, headers=headers)
    assert answer.status_code in ((404, 400) if number > 2**63 else (404,))
    assert set(answer.get_json()) == {"message"}


def test_a_get_tells_the_same_baseline_after_the_target_branch_has_moved_on(
    trail: Trail, reviewed: tuple[MergeRequest, Pipeline]
) -> None:
    request, _ = reviewed
    trail.train(trail.main(SHAS["d"]), [0.99, 0.99])
    pipeline = trail.of_request(request, SHAS["c"])
    trail.train(pipeline, [0.90, 0.91, 0.92], lr="0.2")
    fresh = trail.report(pipeline)
    assert trail.report(pipeline, "GET")["models"] == fresh["models"]
    assert fresh["models"][0]["baseline"]["sha"] == SHAS["b"]
    # Without an answer from GitLab it is the newest of the target branch, and no error.
    restarted = create_deps(trail.deps.settings, clock=trail.clock)
    trail.team.gitlab.fail_next("GET", "/repository/commits$", 503)
    report = reconcile.known(restarted, ProjectId(42), pipeline.id)
    restarted.db.dispose()
    assert report.models[0].baseline is not None
    assert report.models[0].baseline.sha == SHAS["d"]


def test_a_lost_database_neither_doubles_the_note_nor_turns_it_back(
    trail: Trail, reviewed: tuple[MergeRequest, Pipeline]
) -> None:
    request, first = reviewed
    second = trail.of_request(request, SHAS["c"])
    trail.train(second, [0.70, 0.71, 0.72], lr="0.3")
    trail.report(second)
    standing = trail.notes(request)
    with trail.deps.db.write() as connection:
        merge_requests.keep_note(
            connection, ProjectId(42), request.iid, note_id=None, note_pipeline_id=None, note_sha256=None
        )
    trail.report(first)
    trail.train(first, [0.99], job_name="late")
    trail.report(first)
    assert trail.notes(request) == standing
    trail.train(second, [0.60], job_name="late")
    trail.report(second)
    (note,) = trail.notes(request)
    assert note.startswith(f"<!-- mltrail v1 pipeline={second.id} -->")
    assert note not in standing


def test_the_worker_looks_soon_after_a_long_training(trail: Trail) -> None:
    request = trail.request(SHAS["c"])
    pipeline = trail.of_request(request, SHAS["c"])
    job = trail.train(pipeline, [0.9], status=None)
    for _ in range(12):
        assert trail.work(seconds=30 * 60) == 1
    token = trail.team.gitlab.mint(job, EXTERNAL_URL)
    run_id = trail.runs()[0]["info"]["run_id"]
    Mlflow(trail.client, project="42", token=token).post("runs/update", run_id=run_id, status="FINISHED")
    trail.work()
    trail.team.gitlab.set_job(job, "success")
    trail.work()
    assert "no baseline yet" in trail.notes(request)[0]


def test_the_stamp_is_the_servers(trail: Trail) -> None:
    pipeline = trail.main(SHAS["b"])
    job = trail.team.gitlab.add_job(pipeline, "train", "train", trail.team.users["developer"], "running")
    mlflow = Mlflow(trail.client, project="42", token=trail.team.gitlab.mint(job, EXTERNAL_URL))
    forged = [{"key": "gitlab.CI_JOB_ID", "value": "1"}, {"key": "gitlab.CI_MERGE_REQUEST_IID", "value": "7"}]
    run = mlflow.post("runs/create", experiment_id="0", tags=forged)["run"]
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    assert tags["gitlab.CI_JOB_ID"] == str(job.id)
    assert tags["gitlab.CI_COMMIT_SHA"] == SHAS["b"]
    assert "gitlab.CI_MERGE_REQUEST_IID" not in tags
    run_id = run["info"]["run_id"]
    status, _, message = mlflow.error("POST", "runs/set-tag", run_id=run_id, key="gitlab.CI_JOB_ID", value="1")
    assert status == 400
    assert "written by mltrail itself" in message
    assert mlflow.error("POST", "runs/delete-tag", run_id=run_id, key="gitlab.verified")[0] == 400


def test_a_bot_without_a_good_token_is_the_operators_business(
    trail: Trail, reviewed: tuple[MergeRequest, Pipeline]
) -> None:
    _, pipeline = reviewed
    trail.team.gitlab.tokens[trail.team.tokens["bot"]].revoked = True
    job = trail.team.gitlab.add_job(pipeline, "report", "test", trail.team.users["developer"], "running")
    headers = {"Authorization": f"Bearer {trail.team.gitlab.mint(job, EXTERNAL_URL)}"}
    answer = trail.client.post(f"/api/v4/projects/42/ml/pipelines/{pipeline.id}/report", headers=headers)
    assert answer.status_code == 503
    assert "MLTRAIL_GITLAB_TOKEN" in answer.get_json()["message"]
