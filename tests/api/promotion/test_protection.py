"""What was promoted can't be changed by walking around the promotion, on any route.

One test a line of DESIGN's "What cannot be walked around" that speaks of versions and aliases.
"""

from dataclasses import replace
from typing import Any

import pytest

from mltrail_server.app import create_app
from tests.api.promotion.promoting import aliases, promote
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import Pipeline
from tests.mlflow_client import FILES, Mlflow
from tests.team import EXTERNAL_URL

pytestmark = pytest.mark.usefixtures("promoted")
BACKENDS = ("sqlite",)


@pytest.fixture
def promoted(trail: Trail) -> Pipeline:
    """Version 1 is promoted and champion; 2 is registered by hand."""
    pipeline = trail.main(SHAS["b"])
    trail.train(pipeline, [0.9])
    promote(trail, pipeline)
    trail.person("developer").post("model-versions/create", name="churn", source="")
    return pipeline


def a_job(trail: Trail, *, ref: str, source: str = "push") -> Mlflow:
    job = trail.team.job(ref=ref, source=source)
    return Mlflow(trail.client, project="42", token=trail.team.gitlab.mint(job, EXTERNAL_URL))


A_MODEL = '{"run_id": "x", "artifact_path": "m", "utc_time_created": "2026-11-21", "flavors": {}}'
WHICH = {"name": "churn", "version": "1"}
CHANGES: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "registered-models/alias", {"name": "churn", "alias": "champion", "version": "2"}),
    ("DELETE", "registered-models/alias", {"name": "churn", "alias": "champion"}),
    ("DELETE", "model-versions/delete", WHICH),
    ("PATCH", "model-versions/update", WHICH | {"description": "mine"}),
    ("POST", "model-versions/set-tag", WHICH | {"key": "validation", "value": "passed"}),
    ("DELETE", "model-versions/delete-tag", WHICH | {"key": "validation"}),
    ("POST", "model-versions/transition-stage", WHICH | {"stage": "Production"}),
    ("POST", "registered-models/rename", {"name": "churn", "new_name": "other"}),
    ("DELETE", "registered-models/delete", {"name": "churn"}),
]
IDS = [path for _, path, _ in CHANGES]


@pytest.mark.parametrize(("method", "path", "fields"), CHANGES, ids=IDS)
class TestWhoMayNot:
    def test_a_developer(self, trail: Trail, method: str, path: str, fields: Any) -> None:
        status, code, message = trail.person("developer").error(method, path, **fields)
        assert (status, code) == (403, "PERMISSION_DENIED")
        assert "takes the Maintainer role" in message
        assert aliases(trail) == {"champion": "1"}

    def test_a_job_of_a_branch_that_anybody_pushes_to(self, trail: Trail, method: str, path: str, fields: Any) -> None:
        assert a_job(trail, ref="try").error(method, path, **fields)[0] == 403

    def test_a_job_of_a_merge_request_from_a_protected_branch(
        self, trail: Trail, method: str, path: str, fields: Any
    ) -> None:
        job = a_job(trail, ref="main", source="merge_request_event")
        assert job.error(method, path, **fields)[0] == 403


class TestWhoMay:
    def test_a_maintainer_moves_the_alias_to_a_promoted_version(self, trail: Trail) -> None:
        second = trail.main(SHAS["d"])
        trail.train(second, [0.95])
        promote(trail, second)
        trail.person("maintainer").post("registered-models/alias", name="churn", alias="champion", version="1")
        assert aliases(trail) == {"champion": "1"}

    def test_but_not_to_one_that_was_registered_by_hand(self, trail: Trail) -> None:
        fields = {"name": "churn", "alias": "champion", "version": "2"}
        for by in (trail.person("owner"), a_job(trail, ref="main")):
            status, _, message = by.error("POST", "registered-models/alias", **fields)
            assert status == 400
            assert "1.0.1 was registered by hand and never promoted" in message

    def test_a_maintainer_tags_and_describes(self, trail: Trail) -> None:
        maintainer = trail.person("maintainer")
        maintainer.call("PATCH", "api/2.0/mlflow/model-versions/update", json=WHICH | {"description": "The first."})
        maintainer.post("model-versions/set-tag", **WHICH, key="deployed", value="eu")
        version = maintainer.get("model-versions/get", **WHICH)["model_version"]
        assert (version["description"], version["tags"]) == ("The first.", [{"key": "deployed", "value": "eu"}])

    def test_a_job_of_the_default_branch_tags(self, trail: Trail) -> None:
        a_job(trail, ref="main").post("model-versions/set-tag", **WHICH, key="deployed", value="eu")

    def test_aliases_that_no_promotion_moves_are_everybodys(self, trail: Trail) -> None:
        trail.person("developer").post("registered-models/alias", name="churn", alias="mine", version="1")
        assert aliases(trail) == {"champion": "1", "mine": "1"}

    def test_versions_that_were_registered_by_hand_are_everybodys(self, trail: Trail) -> None:
        developer = trail.person("developer")
        assert developer.call("DELETE", "api/2.0/mlflow/model-versions/delete", json=WHICH | {"version": "2"})
        assert developer.error("GET", "model-versions/get", name="churn", version="2")[0] == 404


def test_archiving_others_does_not_reach_a_promoted_version(trail: Trail) -> None:
    trail.person("maintainer").post("model-versions/transition-stage", **WHICH, stage="Production")
    fields = {"name": "churn", "version": "2", "stage": "Production", "archive_existing_versions": True}
    assert trail.person("developer").error("POST", "model-versions/transition-stage", **fields)[0] == 403


class TestDeleting:
    def test_not_while_an_alias_points_at_it(self, trail: Trail) -> None:
        owner = trail.person("owner")
        assert "is 'champion' just now" in owner.error("DELETE", "model-versions/delete", **WHICH)[2]
        assert "has the alias 'champion'" in owner.error("DELETE", "registered-models/delete", name="churn")[2]

    def test_its_number_is_never_used_again(self, trail: Trail) -> None:
        owner = trail.person("owner")
        owner.call("DELETE", "api/2.0/mlflow/registered-models/alias", json={"name": "churn", "alias": "champion"})
        assert owner.call("DELETE", "api/2.0/mlflow/model-versions/delete", json=WHICH).status_code == 200
        tags = [{"key": "gitlab.version", "value": "1.0.0"}]
        error = owner.error("POST", "model-versions/create", name="churn", source="", tags=tags)
        assert "is or was a version of this model" in error[2]

    def test_not_even_after_its_model(self, trail: Trail) -> None:
        owner = trail.person("owner")
        owner.call("DELETE", "api/2.0/mlflow/registered-models/alias", json={"name": "churn", "alias": "champion"})
        owner.call("DELETE", "api/2.0/mlflow/registered-models/delete", json={"name": "churn"})
        developer = trail.person("developer")
        developer.post("registered-models/create", name="churn")
        made = developer.post("model-versions/create", name="churn", source="")["model_version"]
        assert (made["version"], made["aliases"]) == ("2", ["1.0.1"])
        fields = {"name": "churn", "alias": "champion", "version": "2"}
        assert developer.error("POST", "registered-models/alias", **fields)[0] == 403

    def test_a_promotion_that_was_undone_is_still_reported(self, trail: Trail, promoted: Pipeline) -> None:
        owner = trail.person("owner")
        owner.call("DELETE", "api/2.0/mlflow/registered-models/alias", json={"name": "churn", "alias": "champion"})
        owner.call("DELETE", "api/2.0/mlflow/model-versions/delete", json=WHICH)
        (again,) = promote(trail, promoted)
        assert (again["state"], again["version"]) == ("already", "1.0.0")


def _run_of(trail: Trail) -> str:
    run_id: str = trail.person("guest").get("model-versions/get", **WHICH)["model_version"]["run_id"]
    return run_id


class TestWhatItRestsOn:
    @pytest.mark.parametrize(
        ("path", "fields"),
        [
            ("runs/log-metric", {"key": "val_accuracy", "value": 1, "timestamp": 9}),
            ("runs/log-parameter", {"key": "new", "value": "1"}),
            ("runs/log-batch", {"metrics": [{"key": "m", "value": 1, "timestamp": 9}]}),
            ("runs/set-tag", {"key": "stage", "value": "eval"}),
            ("runs/log-inputs", {"datasets": []}),
            ("runs/update", {"status": "FAILED"}),
            ("runs/delete", {}),
            ("runs/log-model", {"model_json": A_MODEL}),
        ],
    )
    def test_never_changes(self, trail: Trail, path: str, fields: Any) -> None:
        run_id = _run_of(trail)
        for by in (trail.person("owner"), a_job(trail, ref="main")):
            status, _, message = by.error("POST", path, run_id=run_id, **fields)
            assert status == 400
            assert "became a promoted version" in message

    @pytest.mark.parametrize("method", ["PUT", "DELETE"])
    def test_nor_do_its_files(self, trail: Trail, method: str) -> None:
        owner, run_id = trail.person("owner"), _run_of(trail)
        uri = owner.get("model-versions/get-download-uri", **WHICH)["artifact_uri"].removeprefix("mlflow-artifacts:/")
        for folder in (f"1/{run_id}/artifacts/model", uri):
            answer = owner.call(method, f"{FILES}/{folder}/MLmodel", data=b"tampered")
            assert answer.status_code == 400
            assert "never change" in answer.get_json()["message"]

    def test_nor_by_gitlabs_packages(self, trail: Trail) -> None:
        answer = trail.client.put(
            "/api/v4/projects/42/packages/ml_models/1/files/MLmodel",
            headers={"Authorization": f"Bearer {trail.team.tokens['owner']}"},
            data=b"tampered",
        )
        assert answer.status_code == 409

    def test_outlives_its_experiment(self, trail: Trail) -> None:
        run_id = _run_of(trail)
        trail.person("owner").post("experiments/delete", experiment_id="1")
        guest = trail.person("guest")
        assert guest.get("runs/get", run_id=run_id)["run"]["data"]["metrics"][0]["value"] == 0.9
        uri = guest.get("model-versions/get-download-uri", **WHICH)["artifact_uri"].removeprefix("mlflow-artifacts:/")
        assert guest.call("GET", f"{FILES}/{uri}/MLmodel", buffered=True).get_data() == b"flavors: {}"
        assert guest.get("registered-models/alias", name="churn", alias="champion")["model_version"]["run_id"] == run_id


def test_a_setting_lifts_the_freeze_of_the_run_and_not_of_the_versions_files(trail: Trail) -> None:
    settings = replace(trail.deps.settings, promoted_runs="open")
    client = create_app(replace(trail.deps, settings=settings)).test_client()
    owner = Mlflow(client, project="42", token=trail.team.tokens["owner"])
    owner.post("runs/log-metric", run_id=_run_of(trail), key="later", value=1, timestamp=1)
    uri = owner.get("model-versions/get-download-uri", **WHICH)["artifact_uri"].removeprefix("mlflow-artifacts:/")
    answer = owner.call("PUT", f"{FILES}/{uri}/MLmodel", data=b"tampered")
    assert "never change" in answer.get_json()["message"]


class TestALoggedModel:
    """MLflow 3 keeps a model beside its run; what a version rests on is as frozen there."""

    @pytest.fixture
    def model_id(self, trail: Trail) -> str:
        pipeline = trail.main(SHAS["f"])
        job = trail.train(pipeline, [0.99], model=False, status=None, run_name="logged")
        mlflow = Mlflow(trail.client, project="42", token=trail.team.gitlab.mint(job, EXTERNAL_URL))
        run_id = next(one["info"]["run_id"] for one in trail.runs() if one["info"]["run_name"] == "logged-0")
        fields = {"experiment_id": "1", "name": "model", "source_run_id": run_id}
        made: str = mlflow.post("logged-models", **fields)["model"]["info"]["model_id"]
        path = f"{FILES}/1/models/{made}/artifacts/MLmodel"
        assert mlflow.call("PUT", path, data=b"flavors: {}").status_code == 200
        mlflow.post("runs/outputs", run_id=run_id, models=[{"model_id": made, "step": 0}])
        mlflow.post("runs/update", run_id=run_id, status="FINISHED")
        trail.team.gitlab.set_job(job, "success")
        (done,) = promote(trail, pipeline)
        assert done["state"] == "promoted", done
        return made

    def test_never_changes(self, trail: Trail, model_id: str) -> None:
        owner = trail.person("owner")
        calls: list[tuple[str, str, dict[str, Any]]] = [
            ("PATCH", f"logged-models/{model_id}", {"model_id": model_id, "status": "LOGGED_MODEL_UPLOAD_FAILED"}),
            ("PATCH", f"logged-models/{model_id}/tags", {"tags": [{"key": "a", "value": "b"}]}),
            ("POST", f"logged-models/{model_id}/params", {"params": [{"key": "a", "value": "b"}]}),
            ("DELETE", f"logged-models/{model_id}", {}),
        ]
        for method, path, fields in calls:
            status, _, message = owner.error(method, path, **fields)
            assert (status, "became a promoted version" in message) == (400, True), (method, path, message)
        for method in ("PUT", "DELETE"):
            answer = owner.call(method, f"{FILES}/1/models/{model_id}/artifacts/MLmodel", data=b"tampered")
            assert "never changes" in answer.get_json()["message"]
