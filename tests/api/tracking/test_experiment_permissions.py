"""An experiment's name says which model its runs are of, so it is not everybody's to change."""

from collections.abc import Callable

import pytest

from mltrail_server.services.admin import garbage
from tests.api.promotion.promoting import promote
from tests.api.trail import SHAS, Trail
from tests.team import EXTERNAL_URL
from tests.ui.browsing import sign_in


def test_only_maintainers_rename_what_jobs_have_logged_to(trail: Trail) -> None:
    trail.train(trail.main(SHAS["b"]), [0.9])
    developer = trail.person("developer")
    status, code, message = developer.error("POST", "experiments/update", experiment_id="1", new_name="credit")
    assert (status, code) == (403, "PERMISSION_DENIED")
    assert "which model they are of" in message
    developer.post("experiments/update", experiment_id="1", new_name="churn")
    trail.person("maintainer").post("experiments/update", experiment_id="1", new_name="credit")


def test_an_experiment_of_people_is_renamed_by_any_developer(trail: Trail) -> None:
    developer = trail.person("developer")
    made = developer.post("experiments/create", name="tries")["experiment_id"]
    developer.post("runs/create", experiment_id=made)
    developer.post("experiments/update", experiment_id=made, new_name="more tries")


def _by_mlflow(trail: Trail) -> None:
    refused = trail.person("developer").error("POST", "experiments/delete", experiment_id="1")
    assert refused[:2] == (403, "PERMISSION_DENIED")
    trail.person("maintainer").post("experiments/delete", experiment_id="1")


def _by_page(trail: Trail) -> None:
    sign_in(trail.client, trail.team.tokens["maintainer"], base_url=EXTERNAL_URL)
    here = "/team/churn/-/ml/experiments/1"
    form = trail.client.get(here, base_url=EXTERNAL_URL).get_data(as_text=True)
    token = form.split('name="csrf_token" value="')[1].split('"')[0]
    fields = {"csrf_token": token, "do": "delete", "sure": "1"}
    assert trail.client.post(here, data=fields, base_url=EXTERNAL_URL).status_code == 303


@pytest.mark.every_case
@pytest.mark.parametrize("delete", [_by_mlflow, _by_page])
def test_an_experiment_goes_and_what_a_promoted_version_rests_on_stays(
    trail: Trail, delete: Callable[[Trail], None]
) -> None:
    pipeline = trail.main(SHAS["b"])
    trail.train(pipeline, [0.8, 0.9])
    promote(trail, pipeline)
    delete(trail)
    owner = trail.person("owner")
    assert owner.get("experiments/get", experiment_id="1")["experiment"]["lifecycle_stage"] == "deleted"
    trail.clock.advance(100 * 24 * 60 * 60 * 1000)
    garbage.collect(trail.deps)
    version = owner.get("registered-models/alias", name="churn", alias="champion")["model_version"]
    run = owner.get("runs/get", run_id=version["run_id"])["run"]
    assert run["info"]["lifecycle_stage"] == "active"
    assert run["data"]["metrics"][0]["value"] == 0.9
    uri = owner.get("model-versions/get-download-uri", name="churn", version="1")["artifact_uri"]
    for folder in (uri.removeprefix("mlflow-artifacts:/"), f"1/{version['run_id']}/artifacts/model"):
        path = f"api/2.0/mlflow-artifacts/artifacts/{folder}/MLmodel"
        assert owner.call("GET", path, buffered=True).get_data() == b"flavors: {}"
    assert "became a promoted version" in owner.error("POST", "runs/delete", run_id=version["run_id"])[2]
    wanted = {"experiment_ids": ["1"], "run_view_type": "DELETED_ONLY"}
    (loser,) = owner.post("runs/search", **wanted)["runs"]
    assert loser["data"]["metrics"][0]["value"] == 0.8
    owner.post("experiments/restore", experiment_id="1")
    assert len(owner.post("runs/search", experiment_ids=["1"])["runs"]) == 2
