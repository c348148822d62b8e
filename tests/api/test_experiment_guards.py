"""An experiment's name says which model its runs are of, so it is not everybody's to change."""

from tests.api.conftest import Mlflow
from tests.api.test_promotion import promote
from tests.api.trail import SHAS, Trail, trail  # noqa: F401 - a fixture


def person(trail: Trail, name: str) -> Mlflow:
    return Mlflow(trail.client, project="42", token=trail.team.tokens[name])


def test_only_stewards_rename_what_jobs_have_logged_to(trail: Trail) -> None:
    trail.train(trail.main(SHAS["b"]), [0.9])
    developer = person(trail, "developer")
    status, code, message = developer.error("POST", "experiments/update", experiment_id="1", new_name="credit")
    assert (status, code) == (403, "PERMISSION_DENIED")
    assert "which model they are of" in message
    developer.post("experiments/update", experiment_id="1", new_name="churn")
    person(trail, "maintainer").post("experiments/update", experiment_id="1", new_name="credit")


def test_an_experiment_of_people_is_renamed_by_any_developer(trail: Trail) -> None:
    developer = person(trail, "developer")
    made = developer.post("experiments/create", name="tries")["experiment_id"]
    developer.post("runs/create", experiment_id=made)
    developer.post("experiments/update", experiment_id=made, new_name="more tries")


def test_what_a_promoted_version_rests_on_is_not_deleted_with_its_experiment(trail: Trail) -> None:
    pipeline = trail.main(SHAS["b"])
    trail.train(pipeline, [0.9])
    promote(trail, pipeline)
    owner = person(trail, "owner")
    status, code, message = owner.error("POST", "experiments/delete", experiment_id="1")
    assert (status, code) == (400, "INVALID_STATE")
    assert "became a promoted version" in message
    version = owner.get("model-versions/get", name="churn", version="1")["model_version"]
    assert owner.get("runs/get", run_id=version["run_id"])["run"]["info"]["lifecycle_stage"] == "active"
