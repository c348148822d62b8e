"""A job that evaluates without training: the baseline again, or a run that the merge request has trained before."""

from typing import Any

import pytest

from mltrail_server.domain import evaluations
from tests.api.review.merge_requests import GOOD, RULE, a_main, a_request, contract
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import Pipeline
from tests.mlflow_client import Mlflow
from tests.team import EXTERNAL_URL

pytestmark = pytest.mark.usefixtures("bot_is_a_developer")
BACKENDS = ("sqlite",)
ON_BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
SAME_TEST = contract(RULE, same_dataset="test")


def run_ids(trail: Trail) -> dict[float, str]:
    """Map the accuracy of each run to its MLflow run id."""
    return {one["data"]["metrics"][0]["value"]: one["info"]["run_id"] for one in trail.runs()}


def evaluate(trail: Trail, pipeline: Pipeline, run_id: str, value: float, *, digest: str = "new") -> None:
    gitlab = trail.team.gitlab
    job = gitlab.add_job(pipeline, "evaluate", "test", trail.team.users["developer"], "running")
    mlflow = Mlflow(trail.client, project="42", token=gitlab.mint(job, EXTERNAL_URL))
    made = mlflow.post("runs/create", experiment_id="1", tags=[{"key": evaluations.EVALUATES_TAG, "value": run_id}])
    own = made["run"]["info"]["run_id"]
    mlflow.post("runs/log-metric", run_id=own, key="val_accuracy", value=value, timestamp=1)
    dataset = {"name": "customers", "digest": digest, "source_type": "local", "source": "{}"}
    tags = [{"key": "mlflow.data.context", "value": "test"}]
    mlflow.post("runs/log-inputs", run_id=own, datasets=[{"dataset": dataset, "tags": tags}])
    mlflow.post("runs/update", run_id=own, status="FINISHED")
    gitlab.set_job(job, "success")


def judged(trail: Trail, pipeline: Pipeline) -> Any:
    (model,) = trail.report(pipeline)["models"]
    return model


@ON_BOTH
def test_the_baseline_measured_again_on_new_data(trail: Trail) -> None:
    main = a_main(trail, SHAS["b"], SAME_TEST, [])
    trail.train(main, GOOD, data={"test": "old"})
    champion = run_ids(trail)[max(GOOD)]
    _, pipeline = a_request(trail, [])
    trail.train(pipeline, [0.700, 0.702, 0.701], data={"test": "new"})
    before = judged(trail, pipeline)
    assert (before["gate"], before["metrics"][0]["baseline"]["n"]) == ("fail", 3)
    evaluate(trail, pipeline, champion, 0.70)
    after = judged(trail, pipeline)
    assert (after["metrics"][0]["baseline"]["mean"], after["metrics"][0]["baseline"]["n"]) == (0.70, 1)
    assert after["gate"] != "fail"
    assert evaluations.REMEASURED in after["remarks"]
    assert len(after["candidates"]) == 3


def test_another_run_of_the_baseline_is_no_substitute(trail: Trail) -> None:
    main = a_main(trail, SHAS["b"], SAME_TEST, [])
    trail.train(main, GOOD, data={"test": "old"})
    weak = run_ids(trail)[min(GOOD)]
    _, pipeline = a_request(trail, [])
    trail.train(pipeline, GOOD, data={"test": "new"})
    evaluate(trail, pipeline, weak, 0.10)
    model = judged(trail, pipeline)
    assert (model["gate"], model["metrics"][0]["baseline"]["n"]) == ("fail", 3)
    assert evaluations.NOT_ITS_BEST in model["remarks"]


def test_an_earlier_run_of_the_merge_request_is_evaluated_again(trail: Trail) -> None:
    a_main(trail, SHAS["b"], contract(RULE), GOOD)
    request, first = a_request(trail, [])
    trail.train(first, [0.90], lr="0.2")
    trained = run_ids(trail)[0.90]
    (old,) = judged(trail, first)["candidates"]
    files = {"evaluate.py": "v2"}
    trail.team.gitlab.add_commit(trail.team.project, SHAS["d"], parents=(SHAS["c"],), branch="faster", files=files)
    pipeline = trail.of_request(request, SHAS["d"])
    evaluate(trail, pipeline, trained, 0.60)
    model = judged(trail, pipeline)
    assert (model["best"]["iid"], model["best"]["params"]) == (old["iid"], {"lr": "0.2"})
    assert model["metrics"][0]["current"]["mean"] == 0.60
    assert model["pipeline_id"] == pipeline.id


def test_an_evaluation_of_a_stranger_does_not_count(trail: Trail) -> None:
    a_main(trail, SHAS["b"], contract(RULE), GOOD)
    _, pipeline = a_request(trail, GOOD)
    evaluate(trail, pipeline, "f" * 32, 0.99)
    model = judged(trail, pipeline)
    assert len(model["candidates"]) == len(GOOD)
    assert evaluations.UNKNOWN in model["remarks"]


def test_the_target_branchs_own_evaluations_are_no_baseline(trail: Trail) -> None:
    main = a_main(trail, SHAS["b"], contract(RULE), GOOD)
    evaluate(trail, main, run_ids(trail)[max(GOOD)], 0.10)
    _, pipeline = a_request(trail, GOOD)
    assert judged(trail, pipeline)["metrics"][0]["baseline"]["n"] == len(GOOD)
