"""What was reviewed is what ships: after the merge the merge request's candidate is promoted, if the files are equal.

https://docs.gitlab.com/user/project/merge_requests/methods/
"""

import pytest

from mltrail_server.domain.run_tags import EVALUATES_TAG
from tests.api.promotion.merges import elsewhere, merged, open_request
from tests.api.promotion.promoting import aliases, promote
from tests.api.trail import SHAS, Trail
from tests.mlflow_client import Mlflow
from tests.team import EXTERNAL_URL


@pytest.mark.parametrize("how", ["merge", "squash", "rebase", "fast-forward"])
def test_whatever_the_merge_method_the_reviewed_candidate_is_promoted(trail: Trail, how: str) -> None:
    request = open_request(trail)
    reviewed = trail.of_request(request, SHAS["c"])
    trail.train(reviewed, [0.9])
    (done,) = promote(trail, merged(trail, request, how))
    assert (done["state"], done["version"], done["merge_request"]) == ("promoted", "1.0.0", request.iid)
    assert done["candidate"]["name"] == "run-0"
    assert aliases(trail) == {"champion": "1"}


@pytest.mark.parametrize("ref", ["merge", "train"])
@pytest.mark.parametrize("how", ["merge", "squash"])
def test_a_merged_results_or_train_pipeline_has_run_on_what_is_merged(trail: Trail, ref: str, how: str) -> None:
    request = open_request(trail)
    elsewhere(trail)
    sha = trail.team.gitlab.merged_result(trail.team.project, request.iid)
    ran = trail.team.gitlab.add_pipeline(
        trail.team.project, sha, f"refs/merge-requests/{request.iid}/{ref}", "merge_request_event"
    )
    trail.train(ran, [0.9])
    (done,) = promote(trail, merged(trail, request, how))
    assert (done["state"], done["merge_request"]) == ("promoted", request.iid)


@pytest.mark.parametrize("how", ["merge", "squash", "rebase"])
def test_other_files_want_a_new_training(trail: Trail, how: str) -> None:
    request = open_request(trail)
    trail.train(trail.of_request(request, SHAS["c"]), [0.9])
    elsewhere(trail)
    (promotion,) = promote(trail, merged(trail, request, how), model="churn")
    assert promotion["state"] == "refused"
    assert promotion["reason"].startswith("the merged files differ (in README.md) from those that")
    assert "train again" in promotion["reason"]


def test_a_commit_that_is_gone_is_compared_by_what_was_kept_of_it(trail: Trail) -> None:
    request = open_request(trail)
    sha = trail.team.gitlab.merged_result(trail.team.project, request.iid)
    ran = trail.team.gitlab.add_pipeline(
        trail.team.project, sha, f"refs/merge-requests/{request.iid}/merge", "merge_request_event"
    )
    trail.train(ran, [0.9])
    trail.report(ran)
    pipeline = merged(trail, request)
    del trail.team.project.commits[sha]
    assert promote(trail, pipeline)[0]["state"] == "promoted"


def test_a_pipeline_that_trained_again_promotes_what_it_trained(trail: Trail) -> None:
    request = open_request(trail)
    trail.train(trail.of_request(request, SHAS["c"]), [0.9])
    pipeline = merged(trail, request)
    trail.train(pipeline, [0.8], run_name="again")
    (done,) = promote(trail, pipeline)
    assert (done["candidate"]["name"], done["merge_request"]) == ("again-0", None)


def test_a_failed_training_is_not_covered_up_by_the_reviewed_one(trail: Trail) -> None:
    request = open_request(trail)
    trail.train(trail.of_request(request, SHAS["c"]), [0.9])
    pipeline = merged(trail, request)
    trail.train(pipeline, [0.8], status="failed")
    (promotion,) = promote(trail, pipeline)
    assert (promotion["state"], promotion["reason"]) == ("nothing", "no run of a succeeded job counts (1 failed)")


def test_the_newest_pipeline_with_the_same_files_counts(trail: Trail) -> None:
    request = open_request(trail)
    trail.train(trail.of_request(request, SHAS["c"]), [0.9], run_name="first")
    trail.train(trail.of_request(request, SHAS["c"]), [0.8], run_name="second")
    trail.team.gitlab.add_commit(
        trail.team.project, SHAS["e"], parents=(SHAS["c"],), branch="faster", files={"src/train.py": "worse"}
    )
    trail.train(trail.of_request(request, SHAS["e"]), [0.99], run_name="other files")
    trail.team.project.branches["faster"] = SHAS["c"]
    (done,) = promote(trail, merged(trail, request))
    assert done["candidate"]["name"] == "second-0"


def test_a_merge_request_that_was_not_merged_gives_nothing(trail: Trail) -> None:
    request = open_request(trail)
    trail.train(trail.of_request(request, SHAS["c"]), [0.9])
    trail.team.project.branches["main"] = SHAS["c"]
    pipeline = trail.team.gitlab.add_pipeline(trail.team.project, SHAS["c"], "main", "push")
    assert promote(trail, pipeline) == []


def test_files_that_came_after_the_merge_are_not_what_was_reviewed(trail: Trail) -> None:
    request = open_request(trail)
    reviewed = trail.of_request(request, SHAS["c"])
    trail.train(reviewed, [0.9])
    pipeline = merged(trail, request)
    trail.clock.advance(10 * 60_000)
    manual = trail.team.gitlab.add_job(reviewed, "swap", "test", trail.team.users["developer"], "running")
    mlflow = Mlflow(trail.client, project="42", token=trail.team.gitlab.mint(manual, EXTERNAL_URL))
    run_id = trail.runs()[0]["info"]["run_id"]
    path = f"api/2.0/mlflow-artifacts/artifacts/1/{run_id}/artifacts/model/MLmodel"
    assert mlflow.call("PUT", path, data=b"swapped").status_code == 200
    trail.team.gitlab.set_job(manual, "success")
    (promotion,) = promote(trail, pipeline)
    assert promotion["state"] == "refused"
    assert "came after the merge" in promotion["reason"]


def test_a_tag_takes_what_the_default_branch_has_trained(trail: Trail) -> None:
    open_request(trail)
    main = trail.team.gitlab.add_pipeline(trail.team.project, SHAS["b"], "main", "push")
    trail.train(main, [0.9])
    trail.report(main)
    trail.team.project.protected.add("v2.0.0")
    tagged = trail.team.gitlab.add_pipeline(trail.team.project, SHAS["b"], "v2.0.0", "push", tag=True)
    (done,) = promote(trail, tagged)
    assert (done["state"], done["version"]) == ("promoted", "2.0.0")


def test_by_hand_a_merged_candidate_but_not_an_open_one(trail: Trail) -> None:
    request = open_request(trail)
    trail.train(trail.of_request(request, SHAS["c"]), [0.9])
    pipeline = trail.of_request(request, SHAS["c"])
    maintainer = trail.team.tokens["maintainer"]
    (promotion,) = promote(trail, pipeline, token=maintainer, pipeline_id=None, candidate=1)
    assert (promotion["state"], promotion["reason"]) == ("refused", f"its merge request !{request.iid} is not merged")
    merged(trail, request, "squash")
    (done,) = promote(trail, pipeline, token=maintainer, pipeline_id=None, candidate=1)
    assert (done["state"], done["merge_request"]) == ("promoted", request.iid)


def test_a_run_that_was_evaluated_again_ships_its_own_files(trail: Trail) -> None:
    pipeline = trail.main(SHAS["b"])
    trail.train(pipeline, [0.9, 0.8])
    trained = {one["info"]["run_name"]: one["info"]["run_id"] for one in trail.runs()}["run-1"]
    job = trail.team.gitlab.add_job(pipeline, "evaluate", "test", trail.team.users["developer"], "running")
    mlflow = Mlflow(trail.client, project="42", token=trail.team.gitlab.mint(job, EXTERNAL_URL))
    tags = [{"key": EVALUATES_TAG, "value": trained}]
    own = mlflow.post("runs/create", experiment_id="1", tags=tags)["run"]["info"]["run_id"]
    mlflow.post("runs/log-metric", run_id=own, key="val_accuracy", value=0.95, timestamp=1)
    mlflow.post("runs/update", run_id=own, status="FINISHED")
    trail.team.gitlab.set_job(job, "success")
    (done,) = promote(trail, pipeline)
    assert (done["state"], done["candidate"]["name"]) == ("promoted", "run-1")
    person = trail.person("guest")
    version = person.get("registered-models/alias", name="churn", alias="champion")["model_version"]
    assert version["run_id"] == trained
    uri = person.get("model-versions/get-download-uri", name="churn", version="1")["artifact_uri"]
    path = uri.removeprefix("mlflow-artifacts:/")
    shipped = person.call("GET", f"api/2.0/mlflow-artifacts/artifacts/{path}/MLmodel")
    assert (shipped.status_code, shipped.get_data()) == (200, b"flavors: {}")


def test_what_a_merge_request_evaluated_again_is_promoted_after_the_merge(trail: Trail) -> None:
    request = open_request(trail)
    trail.train(trail.of_request(request, SHAS["c"]), [0.9])
    (trained,) = (one["info"]["run_id"] for one in trail.runs())
    again = trail.of_request(request, SHAS["c"])
    job = trail.team.gitlab.add_job(again, "evaluate", "test", trail.team.users["developer"], "running")
    mlflow = Mlflow(trail.client, project="42", token=trail.team.gitlab.mint(job, EXTERNAL_URL))
    tags = [{"key": EVALUATES_TAG, "value": trained}]
    own = mlflow.post("runs/create", experiment_id="1", tags=tags)["run"]["info"]["run_id"]
    mlflow.post("runs/log-metric", run_id=own, key="val_accuracy", value=0.7, timestamp=1)
    mlflow.post("runs/update", run_id=own, status="FINISHED")
    trail.team.gitlab.set_job(job, "success")
    (done,) = promote(trail, merged(trail, request))
    assert (done["state"], done["candidate"]["name"]) == ("promoted", "run-0")
    version = trail.person("guest").get("registered-models/alias", name="churn", alias="champion")["model_version"]
    assert version["run_id"] == trained
