"""From a pipeline's candidates to its merge request's one note.

https://docs.gitlab.com/api/notes/#merge-requests
"""

import re

import pytest

from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import MergeRequest, Note, Pipeline
from tests.mlflow_client import Mlflow
from tests.team import EXTERNAL_URL


def test_the_note_says_it(trail: Trail, reviewed: tuple[MergeRequest, Pipeline]) -> None:
    request, pipeline = reviewed
    trail.report(pipeline)
    (note,) = trail.notes(request)
    lines = note.splitlines()
    assert lines[0] == f"<!-- mltrail v1 pipeline={pipeline.id} -->"
    assert lines[1] == (
        "### ✅ Does not block: nothing is clearly worse, and `val_accuracy` of `churn` is better, 0.81 → 0.91"
    )
    row = "| ✅ **better**<br>`val_accuracy`<br><sub>higher is better</sub> | 0.81 → **0.91** |"
    assert any(line.startswith(f"{row} +10 pp, ") for line in lines)
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
    # A late event of the older pipeline does not overwrite it.
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
    assert "GitLab is not responding" in answer["note"]["problem"]
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


def test_several_models_share_the_note(trail: Trail, reviewed: tuple[MergeRequest, Pipeline]) -> None:
    request, pipeline = reviewed
    trail.train(pipeline, [0.3, 0.31], experiment="price", job_name="train price")
    assert [model["name"] for model in trail.report(pipeline)["models"]] == ["churn", "price"]
    (note,) = trail.notes(request)
    assert "#### ✅ `churn`: 1 metric is better" in note
    assert "#### \N{HEAVY MINUS SIGN} `price`: no baseline yet" in note


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


def test_a_lost_database_neither_doubles_the_note_nor_turns_it_back(
    trail: Trail, reviewed: tuple[MergeRequest, Pipeline]
) -> None:
    request, first = reviewed
    second = trail.of_request(request, SHAS["c"])
    trail.train(second, [0.70, 0.71, 0.72], lr="0.3")
    trail.report(second)
    standing = trail.notes(request)
    trail.keep_of_note(request, note_id=None, note_pipeline_id=None, note_sha256=None)
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
