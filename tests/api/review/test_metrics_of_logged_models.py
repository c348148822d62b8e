"""Who says what a logged model is worth: `mlflow.log_metric(…, model_id=…)`.

https://mlflow.org/docs/latest/ml/mlflow-3/
"""

from typing import Any

import pytest

from tests.api.promotion.promoting import promote
from tests.api.review.judged_request import JudgedRequest
from tests.api.trail import Trail
from tests.mlflow_client import Mlflow
from tests.team import EXTERNAL_URL


def model_of(mlflow: Mlflow, run_id: str) -> str:
    found = mlflow.post("logged-models/search", experiment_ids=["1"])["models"]
    return next(str(one["info"]["model_id"]) for one in found if one["info"]["source_run_id"] == run_id)


def measure(mlflow: Mlflow, model_id: str, *, run_id: str | None = None, batch: bool = False) -> str:
    """Measure a model as a run of one's own does, and answer the run."""
    run_id = run_id or mlflow.post("runs/create", experiment_id="1")["run"]["info"]["run_id"]
    point = {"key": "auc", "value": 0.999, "timestamp": 1, "step": 0, "model_id": model_id}
    if batch:
        mlflow.post("runs/log-batch", run_id=run_id, metrics=[point])
    else:
        mlflow.post("runs/log-metric", run_id=run_id, **point)
    return str(run_id)


def shown(mlflow: Mlflow, model_id: str) -> dict[str, float]:
    data: dict[str, Any] = mlflow.get(f"logged-models/{model_id}")["model"]["data"]
    return {one["key"]: one["value"] for one in data.get("metrics", ())}


def sorted_by_auc(mlflow: Mlflow) -> list[str]:
    found = mlflow.post("logged-models/search", experiment_ids=["1"], filter="metrics.auc > 0.5").get("models", ())
    return [one["info"]["model_id"] for one in found]


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("protected", [False, True])
@pytest.mark.parametrize("who", ["developer", "maintainer", "another pipeline's job"])
def test_others_measure_a_model_of_jobs_beside_it(trail: Trail, who: str, *, protected: bool, batch: bool) -> None:
    world = JudgedRequest(trail, protected=protected)
    by = world.as_job(world.pipeline) if who.endswith("job") else world.trail.person(who)
    model_id = model_of(by, world.targets[0])
    run_id = measure(by, model_id, batch=batch)
    # The evaluation itself is kept, as MLflow's client expects.
    assert by.get("runs/get", run_id=run_id)["run"]["data"]["metrics"][0]["value"] == 0.999
    assert shown(by, model_id) == {}
    assert sorted_by_auc(by) == []


@pytest.mark.parametrize("batch", [False, True])
def test_a_job_of_its_pipeline_measures_it(trail: Trail, *, batch: bool) -> None:
    world = JudgedRequest(trail, protected=True)
    by = world.as_job(world.main)
    model_id = model_of(by, world.targets[0])
    measure(by, model_id, batch=batch)
    assert shown(by, model_id) == {"auc": 0.999}
    assert sorted_by_auc(by) == [model_id]


def test_the_run_that_made_it_measures_it(trail: Trail) -> None:
    world = JudgedRequest(trail, protected=True)
    by = Mlflow(trail.client, project="42", token=world.token)
    model_id = model_of(by, world.targets[0])
    measure(by, model_id, run_id=world.targets[0])
    assert shown(by, model_id) == {"auc": 0.999}


def test_nobody_measures_what_a_promoted_version_rests_on(trail: Trail) -> None:
    world = JudgedRequest(trail, protected=True)
    (done,) = promote(trail, world.main)
    assert done["state"] == "promoted"
    guest = world.trail.person("guest")
    run_id = guest.get("model-versions/get", name="churn", version="1")["model_version"]["run_id"]
    model_id = model_of(guest, run_id)
    for by in (world.trail.person("owner"), world.as_job(world.main), world.as_job(world.pipeline)):
        measure(by, model_id)
    assert shown(guest, model_id) == {}


def test_a_model_of_a_laptop_is_measured_by_anybody(trail: Trail) -> None:
    world = JudgedRequest(trail, protected=True)
    person = world.trail.person("developer")
    made = person.post("logged-models", experiment_id="1", name="mine")["model"]["info"]["model_id"]
    measure(world.trail.person("maintainer"), made)
    assert shown(person, made) == {"auc": 0.999}
    run_id = person.post("runs/create", experiment_id="1")["run"]["info"]["run_id"]
    fields = {"experiment_id": "1", "name": "mine", "source_run_id": run_id}
    of_run = person.post("logged-models", **fields)["model"]["info"]["model_id"]
    measure(world.as_job(world.pipeline), of_run)
    assert shown(person, of_run) == {"auc": 0.999}


def test_a_model_of_another_project_is_none(trail: Trail) -> None:
    world = JudgedRequest(trail, protected=True)
    gitlab, team = trail.team.gitlab, trail.team
    other = gitlab.add_project("team/other", id=77)
    gitlab.add_member(other, team.users["developer"], 40)
    gitlab.add_commit(other, "e" * 40, branch="main")
    job = gitlab.add_job(
        gitlab.add_pipeline(other, "e" * 40, "main", "push"), "train", "train", team.users["developer"], "running"
    )
    there = Mlflow(trail.client, project="77", token=gitlab.mint(job, EXTERNAL_URL))
    run_id = there.post("runs/create", experiment_id="0")["run"]["info"]["run_id"]
    point = {
        "key": "auc",
        "value": 0.999,
        "timestamp": 1,
        "model_id": model_of(world.trail.person("guest"), world.targets[0]),
    }
    assert there.error("POST", "runs/log-metric", run_id=run_id, **point)[0] == 404
