"""A pipeline on a protected ref turns its best candidate into a version with an alias."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.api.promotion.promoting import aliases, promote
from tests.api.trail import SHAS, Trail
from tests.team import EXTERNAL_URL


def test_the_best_candidate_becomes_the_first_version(trail: Trail) -> None:
    pipeline = trail.main(SHAS["b"])
    trail.train(pipeline, [0.70, 0.71], lr="0.1")
    trail.train(pipeline, [0.90, 0.92], lr="0.2", job_name="train b")
    (done,) = promote(trail, pipeline)
    assert (done["state"], done["model"], done["version"], done["number"]) == ("promoted", "churn", "1.0.0", 1)
    mlflow = trail.person("guest")
    version = mlflow.get("registered-models/alias", name="churn", alias="champion")["model_version"]
    run = mlflow.get("runs/get", run_id=version["run_id"])["run"]
    assert run["data"]["metrics"][0]["value"] == 0.92
    uri = mlflow.get("model-versions/get-download-uri", name="churn", version="1")["artifact_uri"]
    assert uri.startswith("mlflow-artifacts:/promotions/")
    assert aliases(trail) == {"champion": "1"}


def test_a_pipeline_promotes_once(trail: Trail) -> None:
    pipeline = trail.main(SHAS["b"])
    trail.train(pipeline, [0.9])
    promote(trail, pipeline)
    trail.train(pipeline, [0.99], job_name="another")
    (again,) = promote(trail, pipeline)
    assert (again["state"], again["version"]) == ("already", "1.0.0")


def test_promotions_at_once_make_one_version(trail: Trail) -> None:
    pipeline = trail.main(SHAS["b"])
    trail.train(pipeline, [0.9])
    with ThreadPoolExecutor(50) as pool:
        done = [one for (one,) in pool.map(lambda _: promote(trail, pipeline), range(50))]
    assert sorted(one["state"] for one in done) == ["already"] * 49 + ["promoted"]
    assert {(one["version"], one["number"]) for one in done} == {("1.0.0", 1)}


@pytest.mark.parametrize(
    ("lr", "wish", "version", "bump"),
    [
        ("0.2", {}, "1.1.0", "minor"),
        ("0.1", {}, "1.0.1", "patch"),
        ("0.1", {"bump": "major"}, "2.0.0", "major"),
        ("0.1", {"version": "1.5.0"}, "1.5.0", "explicit"),
    ],
)
def test_the_next_version_says_what_changed(trail: Trail, lr: str, wish: Any, version: str, bump: str) -> None:
    first = trail.main(SHAS["b"])
    trail.train(first, [0.8], lr="0.1")
    promote(trail, first)
    second = trail.main(SHAS["d"])
    trail.train(second, [0.79], lr=lr)
    (planned,) = promote(trail, second, dry_run=True, **wish)
    assert (planned["state"], planned["version"], aliases(trail)) == ("dry_run", version, {"champion": "1"})
    (done,) = promote(trail, second, **wish)
    assert (done["version"], done["bump"], done["replaces"]) == (version, bump, "1.0.0")
    assert aliases(trail) == {"champion": "2"}


def test_a_tag_is_the_version(trail: Trail) -> None:
    trail.team.gitlab.add_commit(trail.team.project, SHAS["d"], parents=("a1" * 20,), branch="main")
    trail.team.project.protected.add("v3.1.4")
    pipeline = trail.team.gitlab.add_pipeline(trail.team.project, SHAS["d"], "v3.1.4", "push", tag=True)
    trail.train(pipeline, [0.9])
    assert promote(trail, pipeline)[0]["version"] == "3.1.4"


def test_an_older_pipeline_does_not_overtake(trail: Trail) -> None:
    older, newer = trail.main(SHAS["b"]), trail.main(SHAS["d"])
    trail.train(older, [0.9])
    trail.train(newer, [0.8])
    promote(trail, newer)
    (late,) = promote(trail, older)
    assert late["state"] == "nothing"
    assert f"the newer pipeline {newer.id} has promoted 1.0.0" in late["reason"]
    assert aliases(trail) == {"champion": "1"}


@pytest.mark.parametrize(
    ("training", "wish", "says"),
    [
        ({"status": "failed"}, {}, "no run of a succeeded job"),
        ({"model": False}, {}, "has logged no model"),
        ({}, {"rank_by": "recall"}, "no run has logged the metric 'recall'"),
        ({}, {"model": "price"}, "this pipeline has no runs of it, but of churn"),
    ],
)
def test_why_nothing_is_promoted(trail: Trail, training: Any, wish: Any, says: str) -> None:
    pipeline = trail.main(SHAS["b"])
    trail.train(pipeline, [0.9], **training)
    (promotion,) = promote(trail, pipeline, **wish)
    assert promotion["state"] == "nothing"
    assert says in promotion["reason"]


def test_a_lower_loss_may_be_what_counts(trail: Trail) -> None:
    pipeline = trail.main(SHAS["b"])
    trail.train(pipeline, [0.9], lr="1")
    trail.train(pipeline, [0.1], lr="2", job_name="b")
    (done,) = promote(trail, pipeline, rank_by="val_accuracy", better="lower")
    mlflow = trail.person("guest")
    version = mlflow.get("model-versions/get", name="churn", version=str(done["number"]))["model_version"]
    assert mlflow.get("runs/get", run_id=version["run_id"])["run"]["data"]["metrics"][0]["value"] == 0.1


def test_an_experiment_that_can_be_no_model_keeps_no_other_from_promotion(trail: Trail) -> None:
    pipeline = trail.main(SHAS["b"])
    trail.train(pipeline, [0.9], experiment="a/b")
    trail.train(pipeline, [0.9], job_name="another")
    unfit, good = promote(trail, pipeline)
    assert (unfit["state"], unfit["model"]) == ("nothing", "a/b")
    assert "must not contain '/'" in unfit["reason"]
    assert (good["state"], good["model"]) == ("promoted", "churn")


def test_the_address_of_a_version_is_a_url_whatever_the_model_is_called(trail: Trail) -> None:
    pipeline = trail.main(SHAS["b"])
    trail.train(pipeline, [0.9], experiment='my "model" #1')
    assert promote(trail, pipeline)[0]["url"].endswith("/team/churn/-/ml/models/my%20%22model%22%20%231/versions/1.0.0")


class TestRefusals:
    def test_a_branch_that_is_not_protected(self, trail: Trail) -> None:
        trail.team.gitlab.add_commit(trail.team.project, SHAS["d"], parents=("a1" * 20,), branch="try")
        pipeline = trail.team.gitlab.add_pipeline(trail.team.project, SHAS["d"], "try", "push")
        trail.train(pipeline, [0.9])
        assert "not protected" in promote(trail, pipeline, status=403)

    def test_a_protected_branch_that_is_not_the_default(self, trail: Trail) -> None:
        trail.team.gitlab.add_commit(trail.team.project, SHAS["d"], parents=("a1" * 20,), branch="stable")
        trail.team.project.protected.add("stable")
        pipeline = trail.team.gitlab.add_pipeline(trail.team.project, SHAS["d"], "stable", "push")
        trail.train(pipeline, [0.9])
        assert "default branch (main)" in promote(trail, pipeline, status=403)

    def test_a_merge_request(self, trail: Trail) -> None:
        request = trail.request(SHAS["c"])
        trail.team.project.protected.add("faster")
        pipeline = trail.of_request(request, SHAS["c"])
        trail.train(pipeline, [0.9])
        assert "after the merge" in promote(trail, pipeline, status=403)

    def test_another_pipelines_job(self, trail: Trail) -> None:
        pipeline = trail.main(SHAS["b"])
        trail.train(pipeline, [0.9])
        token = trail.team.gitlab.mint(trail.team.job(), EXTERNAL_URL)
        assert "can't promote for" in promote(trail, pipeline, status=403, token=token)

    def test_a_person_without_the_role(self, trail: Trail) -> None:
        pipeline = trail.main(SHAS["b"])
        trail.train(pipeline, [0.9])
        assert "Maintainer role" in promote(trail, pipeline, status=403, token=trail.team.tokens["developer"])

    def test_unknown_fields_and_bad_names(self, trail: Trail) -> None:
        pipeline = trail.main(SHAS["b"])
        trail.train(pipeline, [0.9])
        assert "ranked_by" in promote(trail, pipeline, status=400, ranked_by="x")
        assert "latest" in promote(trail, pipeline, status=400, alias="latest")
        assert "semantic version" in promote(trail, pipeline, status=400, version="v1")


def test_what_was_promoted_stays_whatever_becomes_of_the_run(trail: Trail) -> None:
    pipeline = trail.main(SHAS["b"])
    trail.train(pipeline, [0.9])
    promote(trail, pipeline)
    person = trail.person("owner")
    files = "api/2.0/mlflow-artifacts/artifacts"
    version = person.get("model-versions/get", name="churn", version="1")["model_version"]
    uri = person.get("model-versions/get-download-uri", name="churn", version="1")["artifact_uri"]
    folder = uri.removeprefix("mlflow-artifacts:/")
    person.call("PUT", f"{files}/1/{version['run_id']}/artifacts/model/MLmodel", data=b"tampered")
    person.call("DELETE", f"{files}/1/{version['run_id']}/artifacts/model")
    for method in ("PUT", "DELETE"):
        refused = person.call(method, f"{files}/{folder}/MLmodel", data=b"tampered")
        assert refused.status_code == 400
        assert "never change" in refused.get_json()["message"]
    listed = person.call("GET", files, query_string={"path": folder}).get_json()["files"]
    assert [one["path"] for one in listed] == ["MLmodel"]
    assert person.call("GET", f"{files}/{folder}/MLmodel", buffered=True).get_data() == b"flavors: {}"


class TestPreReleases:
    def test_a_merge_requests_candidate_gets_a_number_to_try_it_out(self, trail: Trail) -> None:
        first = trail.main(SHAS["b"])
        trail.train(first, [0.8])
        promote(trail, first)
        request = trail.request(SHAS["c"])
        for number in (1, 2):
            pipeline = trail.of_request(request, SHAS["c"])
            trail.train(pipeline, [0.9], lr="0.2")
            (done,) = promote(trail, pipeline, pre_release=True)
            assert (done["state"], done["version"], done["alias"]) == ("promoted", f"1.1.0-rc.{number}", None)
        assert aliases(trail) == {"champion": "1"}

    def test_it_never_becomes_champion(self, trail: Trail) -> None:
        first = trail.main(SHAS["b"])
        trail.train(first, [0.8])
        promote(trail, first)
        pipeline = trail.of_request(trail.request(SHAS["c"]), SHAS["c"])
        trail.train(pipeline, [0.9])
        promote(trail, pipeline, pre_release=True)
        owner = trail.person("owner")
        error = owner.error("POST", "registered-models/alias", name="churn", alias="champion", version="2")[2]
        assert "never promoted" in error

    def test_the_release_follows_after_the_merge(self, trail: Trail) -> None:
        first = trail.main(SHAS["b"])
        trail.train(first, [0.8])
        promote(trail, first)
        request = trail.request(SHAS["c"])
        pipeline = trail.of_request(request, SHAS["c"])
        trail.train(pipeline, [0.9], lr="0.2")
        promote(trail, pipeline, pre_release=True)
        sha = trail.team.gitlab.merge(trail.team.project, request.iid)
        (done,) = promote(trail, trail.team.gitlab.add_pipeline(trail.team.project, sha, "main", "push"))
        assert (done["state"], done["version"], done["merge_request"]) == ("promoted", "1.1.0", request.iid)


def test_a_number_that_somebody_took_by_hand_is_passed_over(trail: Trail) -> None:
    first = trail.main(SHAS["b"])
    trail.train(first, [0.8])
    promote(trail, first)
    developer = trail.person("developer")
    for taken in ("1.1.0", "999999.0.0"):
        tags = [{"key": "gitlab.version", "value": taken}]
        developer.post("model-versions/create", name="churn", source="", tags=tags)
    second = trail.main(SHAS["d"])
    trail.train(second, [0.8], lr="0.2")
    assert promote(trail, second)[0]["version"] == "1.2.0"


@pytest.mark.parametrize(("deleted", "version"), [((), "8.3.0"), (("8.2.0",), "1.5.0"), (("8.2.0", "1.4.0"), "1.0.0")])
def test_the_first_promotion_goes_on_from_the_versions_registered_by_hand_that_are_there(
    trail: Trail, deleted: tuple[str, ...], version: str
) -> None:
    developer = trail.person("developer")
    developer.post("registered-models/create", name="churn")
    for taken in ("1.4.0", "8.2.0"):
        tags = [{"key": "gitlab.version", "value": taken}]
        developer.post("model-versions/create", name="churn", source="", tags=tags)
    for one in deleted:
        developer.call("DELETE", "api/2.0/mlflow/model-versions/delete", json={"name": "churn", "version": one})
    pipeline = trail.main(SHAS["b"])
    trail.train(pipeline, [0.8])
    assert promote(trail, pipeline)[0]["version"] == version


@pytest.mark.parametrize(
    ("labels", "message", "version", "reason"),
    [
        (["model::major"], "a change", "2.0.0", "the label model::major"),
        ([], "a change\n\nModel-Bump: minor", "1.1.0", "the trailer Model-Bump: minor"),
        ([], "a change", "1.0.1", "the same parameters, trained again"),
    ],
)
def test_labels_and_trailers_of_the_merge_request_raise_the_step(
    trail: Trail, labels: list[str], message: str, version: str, reason: str
) -> None:
    first = trail.main(SHAS["b"])
    trail.train(first, [0.8])
    promote(trail, first)
    request = trail.request(SHAS["c"])
    request.labels += labels
    trail.team.project.commits[SHAS["c"]].message = message
    trail.train(trail.of_request(request, SHAS["c"]), [0.9])
    sha = trail.team.gitlab.merge(trail.team.project, request.iid)
    (done,) = promote(trail, trail.team.gitlab.add_pipeline(trail.team.project, sha, "main", "push"))
    assert (done["version"], done["reason"]) == (version, reason)
