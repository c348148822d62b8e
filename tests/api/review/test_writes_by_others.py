"""What others than its own jobs write to a run of the target branch: it changes no verdict and no promotion.

Each kind of write by each kind of caller, to a run of a protected and of an unprotected branch: it is refused, or it is
kept beside the evidence. A refusal says what to do.
"""

from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.api.promotion.promoting import promote
from tests.api.review.judged_request import SELECTED, JudgedRequest, Write, accuracy_of, dataset
from tests.api.review.merge_requests import GOOD, RULE, a_main, contract
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import Pipeline
from tests.mlflow_client import FILES, Mlflow, good
from tests.team import EXTERNAL_URL

RESTORE = "api/2.0/mlflow/experiments/restore"


def _posts(path: str, method: str = "POST", **fields: Any) -> Write:
    def write(mlflow: Mlflow, run_id: str) -> TestResponse:
        return mlflow.call(method, f"api/2.0/mlflow/{path}", json={"run_id": run_id} | fields)

    return write


def _uploads(name: str) -> Write:
    def write(mlflow: Mlflow, run_id: str) -> TestResponse:
        return mlflow.call("PUT", f"{FILES}/1/{run_id}/artifacts/{name}", data=b"flavors: {evil: {}}")

    return write


def _deletes_files(name: str) -> Write:
    def write(mlflow: Mlflow, run_id: str) -> TestResponse:
        return mlflow.call("DELETE", f"{FILES}/1/{run_id}/artifacts{name}")

    return write


def _logs_a_model(mlflow: Mlflow, run_id: str) -> TestResponse:
    """Log a model of MLflow 3 to the run, with the name that the run's own may have."""
    made = mlflow.call(
        "POST", "api/2.0/mlflow/logged-models", json={"experiment_id": "1", "name": "model", "source_run_id": run_id}
    )
    if made.status_code != 200:
        return made
    model_id = made.get_json()["model"]["info"]["model_id"]
    good(mlflow.call("PUT", f"{FILES}/1/models/{model_id}/artifacts/MLmodel", data=b"flavors: {evil: {}}"))
    finished = {"model_id": model_id, "status": "LOGGED_MODEL_READY"}
    good(mlflow.call("PATCH", f"api/2.0/mlflow/logged-models/{model_id}", json=finished))
    outputs = {"run_id": run_id, "models": [{"model_id": model_id, "step": 9}]}
    return mlflow.call("POST", "api/2.0/mlflow/runs/outputs", json=outputs)


def _changes_its_logged_model(path: str, method: str, **fields: Any) -> Write:
    def write(mlflow: Mlflow, run_id: str) -> TestResponse:
        found = mlflow.post("logged-models/search", experiment_ids=["1"])["models"]
        model_id = next(one["info"]["model_id"] for one in found if one["info"]["source_run_id"] == run_id)
        return mlflow.call(method, f"api/2.0/mlflow/logged-models/{model_id}{path}", json=fields)

    return write


def _replaces_its_logged_model(mlflow: Mlflow, run_id: str) -> TestResponse:
    found = mlflow.post("logged-models/search", experiment_ids=["1"])["models"]
    model_id = next(one["info"]["model_id"] for one in found if one["info"]["source_run_id"] == run_id)
    return mlflow.call("PUT", f"{FILES}/1/models/{model_id}/artifacts/MLmodel", data=b"flavors: {evil: {}}")


def _measures_its_logged_model(mlflow: Mlflow, run_id: str) -> TestResponse:
    found = mlflow.post("logged-models/search", experiment_ids=["1"])["models"]
    model_id = next(one["info"]["model_id"] for one in found if one["info"]["source_run_id"] == run_id)
    fields = {"run_id": run_id, "key": "val_accuracy", "value": 0.1, "timestamp": 9, "model_id": model_id}
    return mlflow.call("POST", "api/2.0/mlflow/runs/log-metric", json=fields)


def _deletes_and_restores(mlflow: Mlflow, run_id: str) -> TestResponse:
    gone = _posts("runs/delete")(mlflow, run_id)
    return _posts("runs/restore")(mlflow, run_id) if gone.status_code == 200 else gone


def _of_experiment(path: str, **fields: Any) -> Write:
    def write(mlflow: Mlflow, _run_id: str) -> TestResponse:
        return mlflow.call("POST", f"api/2.0/mlflow/experiments/{path}", json={"experiment_id": "1"} | fields)

    return write


WRITES: dict[str, Write] = {
    "tag": _posts("runs/set-tag", key="stage", value="draft"),
    "parent": _posts("runs/set-tag", key="mlflow.parentRunId", value="f" * 32),
    "confirmation": _posts("runs/set-tag", key="mltrail.confirm", value="true"),
    "evaluation": _posts("runs/set-tag", key="mltrail.evaluates", value="f" * 32),
    "description": _posts("runs/set-tag", key="mlflow.note.content", value="mine"),
    "name in a tag": _posts("runs/set-tag", key="mlflow.runName", value="mine"),
    "no tag": _posts("runs/delete-tag", key="stage"),
    "metric": _posts("runs/log-metric", key="val_accuracy", value=0.1, timestamp=9, step=9),
    "other metric": _posts("runs/log-metric", key="other", value=0.1, timestamp=9),
    "nan": _posts("runs/log-metric", key="val_accuracy", value="NaN", timestamp=9, step=9),
    "metric of a model": _measures_its_logged_model,
    "parameter": _posts("runs/log-parameter", key="seed_", value="9"),
    "batch": _posts(
        "runs/log-batch",
        metrics=[{"key": "val_accuracy", "value": 0.1, "timestamp": 9, "step": 9}],
        params=[{"key": "beside", "value": "9"}],
        tags=[{"key": "stage", "value": "draft"}],
    ),
    "input": _posts("runs/log-inputs", datasets=[dataset("other")]),
    "new file": _uploads("model/other.bin"),
    "same file": _uploads("model/MLmodel"),
    "earlier model": _uploads("a/MLmodel"),
    "file where a folder is": _uploads("model"),
    "no file": _deletes_files("/model/MLmodel"),
    "no files": _deletes_files(""),
    "logged model": _logs_a_model,
    "replaced model": _replaces_its_logged_model,
    "deleted model": _changes_its_logged_model("", "DELETE"),
    "failed model": _changes_its_logged_model("", "PATCH", status="LOGGED_MODEL_UPLOAD_FAILED"),
    "tagged model": _changes_its_logged_model("/tags", "PATCH", tags=[{"key": "a", "value": "b"}]),
    "parameters of a model": _changes_its_logged_model("/params", "POST", params=[{"key": "a", "value": "b"}]),
    "history of models": _posts("runs/log-model", model_json='{"artifact_path": "a", "flavors": {}}'),
    "status": _posts("runs/update", status="FAILED"),
    "running": _posts("runs/update", status="RUNNING"),
    "times": _posts("runs/update", end_time=1),
    "name": _posts("runs/update", run_name="mine"),
    "deleted": _posts("runs/delete"),
    "deleted and restored": _deletes_and_restores,
    "experiment deleted": _of_experiment("delete"),
    "experiment renamed": _of_experiment("update", new_name="fraud"),
}
HIDES = frozenset({"deleted", "experiment deleted"})


def _branch_pipeline(world: JudgedRequest) -> Pipeline:
    world.team.gitlab.add_commit(world.team.project, SHAS["e"], parents=(SHAS["b"],), branch="other")
    return world.team.gitlab.add_pipeline(world.team.project, SHAS["e"], "other", "push")


def _ended_job(world: JudgedRequest) -> Mlflow:
    world.trail.clock.advance(600_000)
    return Mlflow(world.trail.client, project="42", token=world.token)


CALLERS: dict[str, Callable[[JudgedRequest], Mlflow]] = {
    # The first is the case for PostgreSQL: it changes most.
    "the merge request's job": lambda world: world.as_job(world.pipeline),
    "developer": lambda world: world.trail.person("developer"),
    "maintainer": lambda world: world.trail.person("maintainer"),
    "another pipeline's job": lambda world: world.as_job(_branch_pipeline(world)),
    "its job, which has ended": _ended_job,
}


@pytest.fixture(params=[False, True], ids=["unprotected", "protected"])
def world(request: pytest.FixtureRequest, trail: Trail) -> JudgedRequest:
    return JudgedRequest(trail, protected=request.param)


@pytest.mark.parametrize("caller", CALLERS)
def test_no_write_of_others_changes_the_verdict_or_the_promotion(world: JudgedRequest, caller: str) -> None:
    before = world.verdict("POST")
    assert before["gate"]["outcome"] == "fail"
    by = CALLERS[caller](world)
    for name, write in WRITES.items():
        answers = world.attack(write, by)
        for status, text in answers:
            assert status < 500, (name, text)
            # A refusal says what to do, in MLflow's shape.
            assert status != 403 or ("error_code" in text and len(text) > 100), (name, text)
        assert world.verdict() == before, (name, answers)
        if name in HIDES and answers[0][0] == 200:
            world.trail.person("maintainer").call("POST", RESTORE, json={"experiment_id": "1"})
            for run_id in world.targets:
                _posts("runs/restore")(world.trail.person("maintainer"), run_id)
    assert world.verdict("POST") == before
    assert_promoted(world)


def assert_promoted(world: JudgedRequest) -> None:
    """Promote the target branch's best, and see that it is what its own job has logged."""
    world.team.project.protected.add("main")
    (done,) = promote(world.trail, world.main)
    assert done["state"] == "promoted", done["reason"]
    guest = world.trail.person("guest")
    version = guest.get("model-versions/get", name="churn", version=str(done["number"]))["model_version"]
    assert accuracy_of(guest.get("runs/get", run_id=version["run_id"])["run"]) == max(GOOD)
    uri = guest.get("model-versions/get-download-uri", name="churn", version=str(done["number"]))["artifact_uri"]
    with guest.call("GET", f"{FILES}/{uri.removeprefix('mlflow-artifacts:/')}/MLmodel") as answer:
        assert answer.get_data() == b"flavors: {}"


@pytest.mark.parametrize("caller", ["maintainer", "developer"])
@pytest.mark.parametrize("name", sorted(HIDES))
def test_what_others_delete_stays_evidence_and_is_not_promoted(world: JudgedRequest, name: str, caller: str) -> None:
    before = world.verdict("POST")
    answers = world.attack(WRITES[name], world.trail.person(caller))
    assert world.verdict() == before
    world.team.project.protected.add("main")
    (done,) = promote(world.trail, world.main)
    if answers[0][0] == 403:
        assert done["state"] == "promoted"
        return
    assert (done["state"], done["reason"]) == ("nothing", "the best run, run-2, is deleted; restore it, or train again")
    world.trail.person("maintainer").call("POST", RESTORE, json={"experiment_id": "1"})
    for run_id in world.targets:
        world.trail.person("maintainer").post("runs/restore", run_id=run_id)
    assert_promoted(world)


@pytest.mark.parametrize("world", [False], indirect=True)
def test_a_run_of_an_unprotected_branch_is_resumed_from_a_laptop(world: JudgedRequest) -> None:
    """As `mlflow.start_run(run_id=…)` does: what is new is read back, what the job has logged stays."""
    person, run_id = world.trail.person("developer"), world.targets[0]
    before = world.verdict("POST")
    person.post("runs/update", run_id=run_id, status="RUNNING")
    for step in range(3):
        person.post("runs/log-metric", run_id=run_id, key="laptop", value=step, timestamp=5, step=step)
    person.post("runs/log-metric", run_id=run_id, key="val_accuracy", value=1, timestamp=5, step=5)
    person.post("runs/log-parameter", run_id=run_id, key="laptop", value="yes")
    assert "already logged" in person.error("POST", "runs/log-parameter", run_id=run_id, key="seed", value="77")[2]
    person.post("runs/log-parameter", run_id=run_id, key="seed", value="0")
    person.post("runs/set-tag", run_id=run_id, key="stage", value="looked at")
    good(person.call("PUT", f"{FILES}/1/{run_id}/artifacts/plots/roc.png", data=b"png"))
    refused = person.call("PUT", f"{FILES}/1/{run_id}/artifacts/model/MLmodel", data=b"other")
    assert refused.status_code == 403
    person.post("runs/update", run_id=run_id, status="FINISHED", end_time=9)
    run = person.get("runs/get", run_id=run_id)["run"]
    assert {one["key"]: one["value"] for one in run["data"]["metrics"]} == {"laptop": 2, "val_accuracy": 0.80}
    assert {one["key"]: one["value"] for one in run["data"]["params"]} == {"laptop": "yes", "seed": "0"}
    assert ("stage", "looked at") in {(one["key"], one["value"]) for one in run["data"]["tags"]}
    (found,) = person.post("runs/search", experiment_ids=["1"], filter="tags.stage = 'looked at'")["runs"]
    assert found == run
    for key, values in (("laptop", [0, 1, 2]), ("val_accuracy", [0.80])):
        history = person.get("metrics/get-history", run_id=run_id, metric_key=key)["metrics"]
        assert [point["value"] for point in history] == values
        bulk = person.get("metrics/get-history-bulk", run_id=[run_id], metric_key=key)["metrics"]
        assert [point["value"] for point in bulk] == values
        interval = person.get("metrics/get-history-bulk-interval", run_ids=[run_id], metric_key=key)["metrics"]
        assert [point["value"] for point in interval] == values
    for path, names in (("", {"model", "plots"}), ("plots", {"plots/roc.png"})):
        listed = good(
            person.call("GET", "api/2.0/mlflow/artifacts/list", query_string={"run_id": run_id, "path": path})
        )["files"]
        assert {one["path"] for one in listed} == names
    with person.call("GET", f"{FILES}/1/{run_id}/artifacts/plots/roc.png") as answer:
        assert answer.get_data() == b"png"
    good(person.call("DELETE", f"{FILES}/1/{run_id}/artifacts/plots"))
    assert person.call("GET", f"{FILES}/1/{run_id}/artifacts/plots/roc.png").status_code == 404
    assert world.verdict() == before


def test_a_maintainer_adds_notes_to_a_run_of_a_protected_branch(trail: Trail) -> None:
    world = JudgedRequest(trail, protected=True)
    before, person, run_id = world.verdict("POST"), world.trail.person("maintainer"), world.targets[0]
    person.post("runs/set-tag", run_id=run_id, key="mlflow.note.content", value="Trained on the new data.")
    person.post("runs/set-tag", run_id=run_id, key="reviewed", value="yes")
    person.post("runs/update", run_id=run_id, run_name="the new data")
    assert person.get("runs/get", run_id=run_id)["run"]["info"]["run_name"] == "the new data"
    found = person.post("runs/search", experiment_ids=["1"], filter="tags.reviewed = 'yes'")["runs"]
    assert [one["info"]["run_id"] for one in found] == [run_id]
    assert world.verdict() == before
    for key in ("mlflow.parentRunId", "mltrail.confirm", "mltrail.evaluates"):
        assert person.error("POST", "runs/set-tag", run_id=run_id, key=key, value="x")[0] == 403


def test_a_contract_may_select_by_a_tag_that_others_have_overwritten_before(trail: Trail) -> None:
    world = JudgedRequest(trail, protected=False, text=contract(RULE))
    world.attack(_posts("runs/set-tag", key="stage", value="draft"), world.trail.person("developer"))
    world.attack(_posts("runs/delete-tag", key="stage"), world.trail.person("developer"))
    gitlab, project = trail.team.gitlab, trail.team.project
    gitlab.add_commit(project, SHAS["d"], parents=(SHAS["b"],), branch="main", files={".mltrail.yml": SELECTED})
    report = world.verdict("POST")
    assert report["gate"]["outcome"] == "fail"
    assert [one["name"] for one in report["models"]] == ["churn"]


def test_a_tag_that_its_job_sets_again_counts(trail: Trail) -> None:
    """Others have written it meanwhile; the job still runs."""
    gitlab = trail.team.gitlab
    trail.team.project.protected.clear()
    main = a_main(trail, SHAS["b"], SELECTED, [])
    job = gitlab.add_job(main, "train", "train", trail.team.users["developer"], "running")
    mlflow = Mlflow(trail.client, project="42", token=gitlab.mint(job, EXTERNAL_URL))
    experiment = mlflow.post("experiments/create", name="churn")["experiment_id"]
    run_id = mlflow.post("runs/create", experiment_id=experiment)["run"]["info"]["run_id"]
    person = trail.person("developer")
    person.post("runs/set-tag", run_id=run_id, key="stage", value="draft")
    mlflow.post("runs/log-metric", run_id=run_id, key="val_accuracy", value=0.9, timestamp=1)
    mlflow.post("runs/set-tag", run_id=run_id, key="stage", value="final")
    person.post("runs/delete-tag", run_id=run_id, key="stage")
    person.post("runs/delete", run_id=run_id)
    mlflow.post("runs/log-metric", run_id=run_id, key="val_accuracy", value=0.8, timestamp=2)
    good(mlflow.call("PUT", f"{FILES}/1/{run_id}/artifacts/a", data=b"a"))
    mlflow.post("runs/update", run_id=run_id, status="FINISHED")
    gitlab.set_job(job, "success")
    (model,) = trail.report(main)["models"]
    assert (model["name"], model["metrics"][0]["current"]["mean"]) == ("churn", 0.8)


@pytest.mark.parametrize("name", ["metric", "batch", "same file", "no tag", "status", "deleted"])
def test_what_a_job_writes_after_its_end_while_gitlab_is_down(trail: Trail, name: str) -> None:
    trail.team.project.protected.clear()
    world = JudgedRequest(trail, protected=False)
    trail.clock.advance(600_000)
    gitlab = trail.team.gitlab
    by = Mlflow(trail.client, project="42", token=world.token)
    gitlab.fail_next("GET", f"/jobs/{world.job.id}$", 503)
    assert {status for status, _ in world.attack(WRITES[name], by)} == {200}
    gate = world.verdict("POST")["gate"]
    assert gate == {"outcome": "fail", "sentence": "gate failed: 1 rule broken", "problems": []}
