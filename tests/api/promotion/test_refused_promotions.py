"""What is not promoted, each with its sentence; and what a person may promote."""

from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

import pytest
import sqlalchemy as sa

from mltrail_server.artifacts.local import LocalFiles
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.files import integrity
from mltrail_server.store.files import files
from tests.api.promotion.promoting import aliases, by_hand, promote, with_contract
from tests.api.trail import SHAS, Trail
from tests.mlflow_client import Mlflow
from tests.team import EXTERNAL_URL

GATE = """
version: 1
models:
  churn:
    rank_by: val_accuracy
    rules: [{metric: val_accuracy, better: higher, at_least: 0.8}]
    promote: {from: [default], alias: live, reuse_reviewed: true}
"""


class TestTheContract:
    def test_a_red_gate(self, trail: Trail) -> None:
        pipeline = with_contract(trail, GATE)
        trail.train(pipeline, [0.7])
        (promotion,) = promote(trail, pipeline)
        assert promotion["state"] == "refused"
        assert promotion["reason"].startswith("the gate is red: val_accuracy: worse: 0.7")
        assert "at least 0.8" in promotion["reason"]

    def test_a_green_one_and_the_alias_that_it_names(self, trail: Trail) -> None:
        pipeline = with_contract(trail, GATE)
        trail.train(pipeline, [0.9])
        assert promote(trail, pipeline)[0]["state"] == "promoted"
        assert aliases(trail) == {"live": "1"}

    def test_a_reviewed_candidate_whose_gate_was_red(self, trail: Trail) -> None:
        with_contract(trail, GATE)
        request = trail.request(SHAS["c"])
        trail.train(trail.of_request(request, SHAS["c"]), [0.7])
        sha = trail.team.gitlab.merge(trail.team.project, request.iid)
        (promotion,) = promote(trail, trail.team.gitlab.add_pipeline(trail.team.project, sha, "main", "push"))
        assert (promotion["state"], promotion["reason"][:15]) == ("refused", "the gate is red")

    @pytest.mark.parametrize(
        ("contract", "says"),
        [
            ("version: 1\nmodels: {churn: {promot: {}}}", "the contract file can't be read (line"),
        ],
    )
    def test_what_it_does_not_permit(self, trail: Trail, contract: str, says: str) -> None:
        pipeline = with_contract(trail, contract)
        trail.train(pipeline, [0.9])
        (promotion,) = promote(trail, pipeline)
        assert promotion["state"] == "refused"
        assert says in promotion["reason"]

    def test_reuse_is_permitted_by_it(self, trail: Trail) -> None:
        with_contract(trail, "version: 1\nmodels: {churn: {promote: {from: [default]}}}")
        request = trail.request(SHAS["c"])
        trail.train(trail.of_request(request, SHAS["c"]), [0.9])
        sha = trail.team.gitlab.merge(trail.team.project, request.iid)
        (promotion,) = promote(trail, trail.team.gitlab.add_pipeline(trail.team.project, sha, "main", "push"))
        assert "does not say `reuse_reviewed: true`" in promotion["reason"]


def test_tampered_bytes(trail: Trail) -> None:
    pipeline = trail.main(SHAS["b"])
    trail.train(pipeline, [0.9])
    with trail.deps.project(ProjectId(42)).read() as tx:
        (file,) = files.below(tx, "1")
    assert isinstance(trail.deps.files, LocalFiles)
    path = trail.deps.files.local_path(ProjectId(42), file.blob_id)
    assert path is not None
    with Path(path).open("r+b") as stored:
        stored.write(b"F")
    (promotion,) = promote(trail, pipeline)
    assert promotion["state"] == "refused"
    assert promotion["reason"].startswith(f"the stored bytes of {file.path} are not those that were logged")


def test_a_job_of_a_fork(trail: Trail) -> None:
    gitlab, team = trail.team.gitlab, trail.team
    fork = gitlab.add_project("visitor/churn", id=77)
    gitlab.add_member(fork, team.users["developer"], 40)
    gitlab.add_commit(fork, SHAS["e"], branch="patch")
    request = gitlab.add_merge_request(team.project, "patch", "main", "A gift", source_project=fork)
    pipeline = trail.of_request(request, SHAS["e"])
    job = gitlab.add_job(pipeline, "promote", "deploy", team.users["developer"], "running")
    assert "fork's code" in promote(trail, pipeline, status=403, token=gitlab.mint(job, EXTERNAL_URL))


def test_nobody_else_writes_to_a_run_of_a_protected_branch(trail: Trail) -> None:
    pipeline = trail.main(SHAS["b"])
    trail.train(pipeline, [0.9])
    person = trail.person("developer")
    run_id = trail.runs()[0]["info"]["run_id"]
    refused = person.error("POST", "runs/log-metric", run_id=run_id, key="val_accuracy", value=1, timestamp=2)
    assert refused[:2] == (403, "PERMISSION_DENIED")
    assert promote(trail, pipeline)[0]["state"] == "promoted"


def test_a_logged_model_that_another_run_has_made(trail: Trail) -> None:
    pipeline = trail.main(SHAS["b"])
    trail.train(pipeline, [0.9], model=False, status=None)
    gitlab = trail.team.gitlab
    job = gitlab.jobs_of(pipeline)[0]
    mlflow = Mlflow(trail.client, project="42", token=gitlab.mint(job, EXTERNAL_URL))
    foreign = mlflow.post("logged-models", experiment_id="1", name="planted")["model"]["info"]["model_id"]
    path = f"api/2.0/mlflow-artifacts/artifacts/1/models/{foreign}/artifacts/MLmodel"
    assert mlflow.call("PUT", path, data=b"flavors: {}").status_code == 200
    run_id = trail.runs()[0]["info"]["run_id"]
    mlflow.post("runs/outputs", run_id=run_id, models=[{"model_id": foreign, "step": 0}])
    gitlab.set_job(job, "success")
    assert "has logged no model" in promote(trail, pipeline)[0]["reason"]


class TestByHand:
    def test_a_maintainer_promotes_a_pipeline(self, trail: Trail) -> None:
        pipeline = trail.main(SHAS["b"])
        trail.train(pipeline, [0.8, 0.9])
        (done,) = by_hand(trail, pipeline_id=pipeline.id)
        assert (done["state"], done["candidate"]["name"]) == ("promoted", "run-1")
        assert aliases(trail) == {"champion": "1"}
        (again,) = promote(trail, pipeline)
        assert (again["state"], again["version"]) == ("already", "1.0.0")

    def test_or_the_run_of_their_choice(self, trail: Trail) -> None:
        pipeline = trail.main(SHAS["b"])
        trail.train(pipeline, [0.8, 0.9])
        (done,) = by_hand(trail, candidate=1)
        assert (done["state"], done["candidate"]["name"]) == ("promoted", "run-0")
        assert by_hand(trail, candidate=1)[0]["state"] == "already"

    def test_but_none_of_a_job_that_failed(self, trail: Trail) -> None:
        trail.train(trail.main(SHAS["b"]), [0.8], status="failed")
        (promotion,) = by_hand(trail, candidate=1)
        assert (promotion["state"], promotion["reason"]) == ("nothing", "run-0: its job failed")

    def test_nor_of_an_unprotected_branch(self, trail: Trail) -> None:
        trail.team.gitlab.add_commit(trail.team.project, SHAS["d"], parents=("a1" * 20,), branch="try")
        pipeline = trail.team.gitlab.add_pipeline(trail.team.project, SHAS["d"], "try", "push")
        trail.train(pipeline, [0.9])
        assert "'try' is not protected" in by_hand(trail, status=403, pipeline_id=pipeline.id)
        assert "'try' is not protected" in by_hand(trail, status=403, candidate=1)

    def test_nor_of_somebodys_own_machine(self, trail: Trail) -> None:
        person = trail.person("developer")
        person.post("runs/create", experiment_id="0", run_name="laptop")
        assert "without a job's token" in by_hand(trail, status=403, candidate=1)

    @pytest.mark.parametrize("wish", [{}, {"pipeline_id": 901, "candidate": 1}])
    def test_one_thing_is_named(self, trail: Trail, wish: Any) -> None:
        assert "Name either a pipeline" in by_hand(trail, status=400, **wish)

    def test_a_run_that_is_not_there(self, trail: Trail) -> None:
        assert "no run number 99" in by_hand(trail, status=404, candidate=99)


def test_a_retried_pipeline_promotes_nothing_new(trail: Trail) -> None:
    pipeline = trail.main(SHAS["b"])
    job = trail.train(pipeline, [0.9])
    promote(trail, pipeline)
    retried = trail.team.gitlab.retry_job(job)
    trail.team.gitlab.set_job(retried, "success")
    trail.train(pipeline, [0.95])
    (again,) = promote(trail, pipeline)
    assert (again["state"], again["number"]) == ("already", 1)
    with trail.deps.db.read() as connection:
        assert connection.execute(sa.text("select count(*) from model_version where project_id = 42")).scalar() == 1


class TestGitLabsOwnCall:
    """`create_model_version` with a `run_id`: https://docs.gitlab.com/user/project/ml/model_registry/."""

    def register(self, trail: Trail, role: str, run: int = 0, **fields: Any) -> Any:
        person = trail.person(role)
        if (
            person.call("GET", "api/2.0/mlflow/registered-models/get", query_string={"name": "churn"}).status_code
            == 404
        ):
            person.post("registered-models/create", name="churn")
        run_id = next(one for one in trail.runs() if one["info"]["run_name"] == f"run-{run}")["info"]["run_id"]
        made = person.post("model-versions/create", name="churn", run_id=run_id, **fields)["model_version"]
        return person.get("model-versions/get-download-uri", name="churn", version=made["version"])["artifact_uri"]

    def test_a_maintainer_promotes_the_run(self, trail: Trail) -> None:
        pipeline = trail.main(SHAS["b"])
        trail.train(pipeline, [0.8, 0.9])
        tags = [{"key": "gitlab.version", "value": "3.0.0"}, {"key": "team", "value": "a"}]
        uri = self.register(trail, "maintainer", source="3.0.0", description="By hand.", tags=tags)
        assert uri.startswith("mlflow-artifacts:/promotions/")
        guest = trail.person("guest")
        version = guest.get("model-versions/get", name="churn", version="3.0.0")["model_version"]
        assert (version["description"], version["aliases"]) == ("By hand.", ["3.0.0"])
        assert {"key": "team", "value": "a"} in version["tags"]
        assert promote(trail, pipeline)[0]["state"] == "already"

    def test_what_can_not_be_promoted_is_registered_by_hand(self, trail: Trail) -> None:
        trail.train(trail.main(SHAS["b"]), [0.8], status="failed")
        assert self.register(trail, "maintainer", source="").startswith("mlflow-artifacts:/1/")

    def test_nor_do_developers_promote(self, trail: Trail) -> None:
        trail.train(trail.main(SHAS["b"]), [0.8])
        assert self.register(trail, "developer", source="").startswith("mlflow-artifacts:/1/")

    def test_another_folder_is_not_the_runs_model(self, trail: Trail) -> None:
        trail.train(trail.main(SHAS["b"]), [0.8])
        run_id = trail.runs()[0]["info"]["run_id"]
        assert self.register(trail, "owner", source=f"runs:/{run_id}/other").startswith("mlflow-artifacts:/1/")


def test_only_a_few_large_models_are_read_at_a_time(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes a thread of the server for as long as its bytes take to read."""
    monkeypatch.setattr(integrity, "LARGE_BYTES", 0)
    monkeypatch.setattr(integrity, "reading", BoundedSemaphore(1))
    pipeline = trail.main(SHAS["b"])
    trail.train(pipeline, [0.9])
    with integrity.reading:
        error = by_hand(trail, status=429, pipeline_id=pipeline.id)
    assert "ask again" in error
    for _ in range(2):
        assert by_hand(trail, pipeline_id=pipeline.id)[0]["version"] == "1.0.0"
