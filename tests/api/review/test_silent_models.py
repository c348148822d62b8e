"""Silence is no pass: a merge request that has failed stays red until a run passes, or somebody accepts it."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from mltrail_contract import FILE_NAME
from mltrail_server.services.contract import contracts
from mltrail_server.store import schema
from tests.api.ci.published import publishing, resolve, thread_of
from tests.api.review.merge_requests import BAD, GOOD, RULE, a_main, a_request
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import MergeRequest, Pipeline
from tests.mlflow_client import Mlflow, good
from tests.team import EXTERNAL_URL

pytestmark = pytest.mark.usefixtures("bot_is_a_developer")
BACKENDS = ("sqlite",)
ON_BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
TEXT = publishing("thread", "status")
TWO = TEXT.replace("models:\n", f"models:\n  fraud: {{rules: [{RULE}]}}\n")
Attack = Callable[[Trail, MergeRequest], Pipeline | None]


def push(trail: Trail, sha: str, files: dict[str, Any] | None = None) -> None:
    project = trail.team.project
    trail.team.gitlab.add_commit(project, sha, parents=(project.branches["faster"],), branch="faster", files=files)


def bare(trail: Trail, request: MergeRequest, status: str = "success", name: str = "test") -> Pipeline:
    """A pipeline of the newest commit that logs nothing."""
    head = trail.team.gitlab.head_of(request) or ""
    pipeline = trail.of_request(request, head)
    job = trail.team.gitlab.add_job(pipeline, name, "test", trail.team.users["developer"], "running")
    trail.team.gitlab.set_job(job, status)
    return pipeline


def red(trail: Trail, text: str = TEXT) -> tuple[MergeRequest, Pipeline]:
    """A merge request whose gate has failed."""
    main = a_main(trail, SHAS["b"], text, GOOD)
    if "fraud" in text:
        trail.train(main, GOOD, experiment="fraud", job_name="train-fraud")
    request, pipeline = a_request(trail, BAD)
    if "fraud" in text:
        trail.train(pipeline, GOOD, experiment="fraud", job_name="train-fraud")
    assert trail.report(pipeline)["gate"]["outcome"] == "fail"
    assert thread_of(request).resolved_by is None
    return request, pipeline


def logs_nothing(trail: Trail, request: MergeRequest) -> Pipeline:
    push(trail, SHAS["d"])
    return bare(trail, request)


def a_failed_training(trail: Trail, request: MergeRequest) -> Pipeline:
    push(trail, SHAS["d"])
    pipeline = trail.of_request(request, SHAS["d"])
    trail.train(pipeline, GOOD, status="failed")
    return pipeline


def a_canceled_training(trail: Trail, request: MergeRequest) -> Pipeline:
    push(trail, SHAS["d"])
    return bare(trail, request, "canceled", "train")


def an_allowed_failure_before_it_logs(trail: Trail, request: MergeRequest) -> Pipeline:
    push(trail, SHAS["d"])
    return bare(trail, request, "failed", "train")


def a_manual_training(trail: Trail, request: MergeRequest) -> Pipeline:
    push(trail, SHAS["d"])
    pipeline = bare(trail, request)
    trail.team.gitlab.add_job(pipeline, "train", "train", trail.team.users["developer"], "manual")
    return pipeline


def another_experiment(trail: Trail, request: MergeRequest) -> Pipeline:
    push(trail, SHAS["d"])
    pipeline = trail.of_request(request, SHAS["d"])
    trail.train(pipeline, GOOD, experiment="churn-new")
    return pipeline


def another_experiment_and_job(trail: Trail, request: MergeRequest) -> Pipeline:
    push(trail, SHAS["d"])
    pipeline = trail.of_request(request, SHAS["d"])
    trail.train(pipeline, GOOD, experiment="churn-new", job_name="fit")
    return pipeline


def a_deleted_run(trail: Trail, request: MergeRequest) -> Pipeline:
    """The job deletes what it has logged."""
    push(trail, SHAS["d"])
    pipeline = trail.of_request(request, SHAS["d"])
    job = trail.train(pipeline, BAD, status=None)
    client = Mlflow(trail.client, project="42", token=trail.team.gitlab.mint(job, EXTERNAL_URL))
    found = client.post("runs/search", experiment_ids=["1"])["runs"]
    open_ones = [one for one in found if one["info"]["status"] == "RUNNING"]
    for run in open_ones:
        client.post("runs/update", run_id=run["info"]["run_id"], status="FINISHED")
        client.post("runs/delete", run_id=run["info"]["run_id"])
    assert len(open_ones) == len(BAD)
    trail.team.gitlab.set_job(job, "success")
    return pipeline


def runs_deleted_by_a_developer(trail: Trail, request: MergeRequest) -> Pipeline | None:
    client = trail.person("developer")
    # Those of the target branch are not theirs to delete.
    for run in client.post("runs/search", experiment_ids=["1"])["runs"]:
        client.call("POST", "api/2.0/mlflow/runs/delete", json={"run_id": run["info"]["run_id"]})
    return trail.of_request(request, SHAS["c"])


def the_experiment_deleted(trail: Trail, request: MergeRequest) -> Pipeline:
    client = trail.person("maintainer")
    client.call("POST", "api/2.0/mlflow/experiments/delete", json={"experiment_id": "1"})
    return trail.of_request(request, SHAS["c"])


def only_the_good_model_beside(trail: Trail, request: MergeRequest) -> Pipeline:
    pipeline = trail.of_request(request, SHAS["c"])
    trail.train(pipeline, GOOD, experiment="fraud", job_name="train-fraud")
    return pipeline


def retargeted_and_back(trail: Trail, request: MergeRequest) -> Pipeline:
    gitlab, project = trail.team.gitlab, trail.team.project
    lax = publishing("thread", rules=("{metric: val_accuracy, at_least: 0.1}",))
    gitlab.add_commit(project, SHAS["e"], parents=(SHAS["b"],), branch="lax", files={FILE_NAME: lax})
    request.target_branch = "lax"
    push(trail, SHAS["d"])
    pipeline = trail.of_request(request, SHAS["d"])
    trail.train(pipeline, BAD)
    trail.work(seconds=16 * 60)
    assert trail.report(pipeline)["gate"]["outcome"] == "pass"
    assert thread_of(request).resolved_by is None
    request.target_branch = "main"
    push(trail, SHAS["f"])
    trail.clock.advance(contracts.REREAD_AFTER_MS)
    return bare(trail, request)


def closed_and_reopened(trail: Trail, request: MergeRequest) -> Pipeline:
    request.state = "closed"
    trail.work(seconds=16 * 60)
    request.state = "opened"
    push(trail, SHAS["d"])
    return bare(trail, request)


def forced_back_to_the_base(trail: Trail, request: MergeRequest) -> Pipeline:
    trail.team.project.branches["faster"] = request.base_sha or ""
    return bare(trail, request)


ATTACKS: list[Attack] = [
    logs_nothing,
    a_failed_training,
    a_canceled_training,
    an_allowed_failure_before_it_logs,
    a_manual_training,
    another_experiment_and_job,
    another_experiment,
    a_deleted_run,
    runs_deleted_by_a_developer,
    the_experiment_deleted,
    only_the_good_model_beside,
    retargeted_and_back,
    closed_and_reopened,
    forced_back_to_the_base,
]


@pytest.mark.parametrize("how", ["keeps the note", "deletes the note", "deletes the thread"])
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.__name__)
def test_a_red_gate_stays_red(trail: Trail, attack: Attack, how: str) -> None:
    request, first = red(trail, TWO)
    if how == "deletes the note":
        trail.team.gitlab.delete_note(trail.team.project, request.iid, request.notes[0].id)
    pipeline = attack(trail, request) or first
    if how == "deletes the thread":
        request.discussions.clear()
    trail.work()
    report = trail.report(pipeline)
    assert report["gate"]["outcome"] == "fail"
    assert trail.report(pipeline, "GET")["gate"]["outcome"] == "fail"
    for seconds in (60, 16 * 60, 16 * 60):
        trail.work(seconds=seconds)
    assert thread_of(request).resolved_by is None
    assert all(status[1] == "failed" for status in trail.team.project.statuses.get(pipeline.id, []))


@ON_BOTH
def test_without_a_pipeline_the_thread_stays_and_the_note_tells(trail: Trail) -> None:
    request, _ = red(trail)
    push(trail, SHAS["d"], {"train.py": "v2"})
    for _ in range(4):
        trail.work(seconds=16 * 60)
    assert thread_of(request).resolved_by is None
    assert "is not trained here" in thread_of(request).notes[0].body


def test_silence_before_any_verdict_warns_by_default(trail: Trail) -> None:
    a_main(trail, SHAS["b"], TEXT, GOOD)
    request, _ = a_request(trail, [])
    pipeline = bare(trail, request)
    report = trail.report(pipeline)
    assert report["gate"]["outcome"] == "warn"
    assert "not trained here" in report["gate"]["sentence"]
    assert report["models"][0]["silence"]["kind"] == "not trained here"
    assert "not trained here" in trail.notes(request)[0]
    assert request.discussions == []


@pytest.mark.parametrize("wanted", ["fail", "warn", "pass"])
@pytest.mark.parametrize("where", ["model", "defaults"])
def test_the_contract_says_what_silence_leads_to(trail: Trail, wanted: str, where: str) -> None:
    text = TEXT
    if where == "defaults":
        text = text.replace("models:", f"defaults: {{if_silent: {wanted}}}\nmodels:")
    else:
        text = text.replace("    rules:", f"    if_silent: {wanted}\n    rules:")
    a_main(trail, SHAS["b"], text, GOOD)
    request, _ = a_request(trail, [])
    pipeline = bare(trail, request)
    assert trail.report(pipeline)["gate"]["outcome"] == wanted
    assert len(request.discussions) == (wanted == "fail")
    # Once it has failed so, it is not enough to stay silent in another way.
    assert trail.report(pipeline)["gate"]["outcome"] == wanted


@ON_BOTH
def test_a_fixed_model_turns_green_and_the_thread_resolves_itself(trail: Trail) -> None:
    request, _ = red(trail)
    logs_nothing(trail, request)
    push(trail, SHAS["e"])
    pipeline = trail.of_request(request, SHAS["e"])
    trail.train(pipeline, GOOD)
    assert trail.report(pipeline)["gate"]["outcome"] == "pass"
    assert thread_of(request).resolved_by is trail.team.users["bot"]
    assert trail.team.project.statuses[pipeline.id][-1][1] == "success"
    # From then on silence is what it was before.
    push(trail, SHAS["f"], {"train.py": "v2"})
    later = bare(trail, request)
    assert trail.report(later)["gate"]["outcome"] == "warn"
    assert thread_of(request).resolved_by is trail.team.users["bot"]


def test_an_older_commit_that_passed_takes_nothing_back(trail: Trail) -> None:
    a_main(trail, SHAS["b"], TEXT, GOOD)
    request, good = a_request(trail, GOOD)
    assert trail.report(good)["gate"]["outcome"] == "pass"
    push(trail, SHAS["d"])
    bad = trail.of_request(request, SHAS["d"])
    trail.train(bad, BAD)
    assert trail.report(bad)["gate"]["outcome"] == "fail"
    assert trail.report(good)["gate"]["outcome"] == "pass"
    trail.work(seconds=16 * 60)
    assert thread_of(request).resolved_by is None
    push(trail, SHAS["e"])
    assert trail.report(bare(trail, request))["gate"]["outcome"] == "fail"


def test_a_person_may_accept_what_stays_silent(trail: Trail) -> None:
    request, _ = red(trail)
    pipeline = logs_nothing(trail, request)
    trail.report(pipeline)
    resolve(trail, request, reply="It is not worth another day of training.")
    assert trail.report(pipeline)["override"]["user"] == "owner"
    assert thread_of(request).resolved_by is trail.team.users["owner"]


@ON_BOTH
def test_the_verdict_is_kept_with_rule_commit_and_time(trail: Trail) -> None:
    request, pipeline = red(trail)
    with trail.deps.db.read() as connection:
        table = schema.red_verdict
        (row,) = connection.execute(sa.select(table).where(table.c.project_id == 42)).all()
    assert (row.merge_request_iid, row.model_name, row.target_branch) == (request.iid, "churn", "main")
    assert (row.sha, row.pipeline_id, row.at_ms) == (SHAS["c"], pipeline.id, trail.clock.now)
    assert "must not drop" in row.rules


class TestOverAllPipelines:
    @pytest.mark.parametrize("order", [("main job", "side job"), ("side job", "main job")])
    @pytest.mark.parametrize("kind", ["branch", "merge request", "api"])
    def test_one_that_logs_less_takes_nothing_back(self, trail: Trail, order: tuple[str, str], kind: str) -> None:
        gitlab, project = trail.team.gitlab, trail.team.project
        main = a_main(trail, SHAS["b"], TWO, GOOD)
        trail.train(main, GOOD, experiment="fraud", job_name="train-fraud")
        request, _ = a_request(trail, [])
        made = []
        for name in order:
            if kind == "merge request":
                pipeline = trail.of_request(request, SHAS["c"])
            else:
                pipeline = gitlab.add_pipeline(project, SHAS["c"], "faster", "push" if kind == "branch" else "api")
            made.append(pipeline)
            if name == "main job":
                trail.train(pipeline, BAD)
            else:
                trail.train(pipeline, GOOD, experiment="fraud", job_name="train-fraud")
        for pipeline in made:
            report = trail.report(pipeline)
            assert report["gate"]["outcome"] == "fail", report["gate"]
            assert {one["name"]: one["gate"] for one in report["models"]} == {"churn": "fail", "fraud": "pass"}

    def test_a_pipeline_that_still_trains_is_waited_for(self, trail: Trail) -> None:
        a_main(trail, SHAS["b"], TEXT, GOOD)
        request, _ = a_request(trail, [])
        training = trail.team.gitlab.add_pipeline(trail.team.project, SHAS["c"], "faster", "push")
        job = trail.team.gitlab.add_job(training, "train", "train", trail.team.users["developer"], "running")
        pipeline = bare(trail, request)
        report = trail.report(pipeline)
        assert (report["state"], str(training.id) in report["reason"]) == ("waiting", True)
        trail.team.gitlab.set_job(job, "success")
        trail.train(training, BAD)
        trail.work(seconds=60)
        assert trail.report(pipeline, "GET")["gate"]["outcome"] == "fail"

    def test_a_merged_results_pipeline_is_of_the_same_commit(self, trail: Trail) -> None:
        gitlab, project = trail.team.gitlab, trail.team.project
        main = a_main(trail, SHAS["b"], TWO, GOOD)
        trail.train(main, GOOD, experiment="fraud", job_name="train-fraud")
        request, first = a_request(trail, BAD)
        merged = gitlab.merged_result(project, request.iid)
        second = gitlab.add_pipeline(project, merged, f"refs/merge-requests/{request.iid}/merge", "merge_request_event")
        trail.train(second, GOOD, experiment="fraud", job_name="train-fraud")
        assert trail.report(second)["gate"]["outcome"] == "fail"
        assert trail.report(first)["gate"]["outcome"] == "fail"


class TestNotSilent:
    def paths(self, wanted: str = "fail") -> str:
        return TEXT.replace("    rules:", f'    paths: ["models/**"]\n    if_silent: {wanted}\n    rules:')

    def test_untouched_paths(self, trail: Trail) -> None:
        a_main(trail, SHAS["b"], self.paths(), GOOD)
        request, _ = a_request(trail, [], {"docs/readme.md": "x"})
        assert trail.report(bare(trail, request))["gate"]["outcome"] is None
        assert trail.notes(request) == []

    def test_touched_paths_are(self, trail: Trail) -> None:
        a_main(trail, SHAS["b"], self.paths(), GOOD)
        request, _ = a_request(trail, [], {"models/churn.py": "x"})
        assert trail.report(bare(trail, request))["gate"]["outcome"] == "fail"

    def test_a_retired_model(self, trail: Trail) -> None:
        text = TEXT.replace("    rules:", "    if_silent: fail\n    retired: true\n    rules:")
        a_main(trail, SHAS["b"], text, GOOD)
        request, _ = a_request(trail, [])
        assert trail.report(bare(trail, request))["gate"]["outcome"] is None

    def test_a_model_that_is_retired_after_it_has_failed(self, trail: Trail) -> None:
        request, _ = red(trail)
        retired = TEXT.replace("    rules:", "    retired: true\n    rules:")
        gitlab, project = trail.team.gitlab, trail.team.project
        gitlab.add_commit(project, SHAS["e"], parents=(SHAS["b"],), branch="main", files={FILE_NAME: retired})
        assert trail.report(logs_nothing(trail, request))["gate"]["outcome"] is None

    def test_a_manual_job_that_waits(self, trail: Trail) -> None:
        a_main(trail, SHAS["b"], TEXT.replace("    rules:", "    if_silent: fail\n    rules:"), GOOD)
        request, _ = a_request(trail, [])
        report = trail.report(a_manual_training(trail, request))
        assert (report["gate"]["outcome"], report["gate"]["sentence"]) == (None, "a manual job waits to be started")
        assert report["models"][0]["silence"]["kind"] == "waits for a manual job"

    def test_a_fork(self, trail: Trail) -> None:
        gitlab, project = trail.team.gitlab, trail.team.project
        a_main(trail, SHAS["b"], TEXT.replace("    rules:", "    if_silent: fail\n    rules:"), GOOD)
        fork = gitlab.add_project("someone/churn", id=77)
        fork.commits |= project.commits
        gitlab.add_commit(fork, SHAS["c"], parents=(SHAS["b"],), branch="mine")
        request = gitlab.add_merge_request(project, "mine", "main", "From a fork", source_project=fork)
        pipeline = trail.of_request(request, SHAS["c"])
        url = f"/api/v4/projects/42/ml/pipelines/{pipeline.id}/report"
        report = good(trail.client.post(url, headers={"Authorization": f"Bearer {trail.team.tokens['developer']}"}))
        assert report["gate"]["outcome"] is None

    def test_a_first_model_ever(self, trail: Trail) -> None:
        a_main(trail, SHAS["b"], TEXT, [])
        request, pipeline = a_request(trail, GOOD)
        assert trail.report(pipeline)["gate"]["outcome"] == "pass"
        push(trail, SHAS["d"])
        assert trail.report(bare(trail, request))["gate"]["outcome"] is None


def test_what_a_job_has_logged_and_deleted_counts_as_logged(trail: Trail) -> None:
    a_main(trail, SHAS["b"], TEXT, GOOD)
    request, _ = a_request(trail, [])
    report = trail.report(a_deleted_run(trail, request))
    assert report["gate"]["outcome"] == "fail"
    assert "has deleted the runs" in report["models"][0]["silence"]["sentence"]


@pytest.mark.parametrize(("job_name", "outcome"), [("train", "fail"), ("another", "warn")])
def test_a_job_that_renames_the_experiment_breaks_the_rule_that_it_evades(
    trail: Trail, job_name: str, outcome: str
) -> None:
    main = a_main(trail, SHAS["b"], TWO, GOOD)
    trail.train(main, GOOD, experiment="fraud", job_name="train-fraud")
    _, pipeline = a_request(trail, BAD, experiment="churn2", job_name=job_name)
    trail.train(pipeline, GOOD, experiment="fraud", job_name="train-fraud")
    report = trail.report(pipeline)
    assert report["gate"]["outcome"] == outcome
    assert "not trained here" in report["gate"]["sentence"]


def test_an_override_is_seen_at_once_when_a_report_job_is_retried(trail: Trail) -> None:
    request, pipeline = red(trail)
    resolve(trail, request, reply="The old figure was wrong.")
    report = trail.report(pipeline)
    assert report["override"] == {"user": "owner", "reason": "The old figure was wrong."}
    assert "Accepted by" in trail.notes(request)[0]


@ON_BOTH
def test_a_branch_of_two_merge_requests_comments_on_both(trail: Trail) -> None:
    gitlab, project = trail.team.gitlab, trail.team.project
    a_main(trail, SHAS["b"], TEXT, GOOD)
    gitlab.add_commit(project, SHAS["e"], parents=(SHAS["b"],), branch="release")
    gitlab.add_commit(project, SHAS["c"], parents=(SHAS["b"],), branch="faster")
    first = gitlab.add_merge_request(project, "faster", "main", "One")
    pipeline = gitlab.add_pipeline(project, SHAS["c"], "faster", "push")
    trail.train(pipeline, BAD)
    trail.work(seconds=60)
    second = gitlab.add_merge_request(project, "faster", "release", "Two")
    for _ in range(3):
        trail.work(seconds=16 * 60)
    assert [len(one.notes) for one in (first, second)] == [1, 1]
    assert "`release`" in second.notes[0].body
    report = trail.report(pipeline)
    assert report["gate"]["outcome"] == "fail"
    assert [len(one.notes) for one in (first, second)] == [1, 1]
