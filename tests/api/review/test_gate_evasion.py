"""A merge request chooses what it logs: no choice of runs, folds, metrics or parents makes a drop look like none."""

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from mltrail_contract import FILE_NAME
from mltrail_server.services.review import reports
from tests.api.ci.published import again, failing, publishing, thread_of
from tests.api.promotion.promoting import aliases, promote
from tests.api.review.merge_requests import RULE, a_main, a_request, contract
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import MergeRequest, Pipeline
from tests.mlflow_client import Mlflow, good
from tests.team import EXTERNAL_URL

pytestmark = pytest.mark.usefixtures("bot_is_a_developer")
BACKENDS = ("sqlite",)
ON_BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
GOOD, BAD = [0.80, 0.81, 0.82], [0.60, 0.61, 0.62]
FOLDS = [0.60, 0.70, 0.80, 0.90, 0.95]
SLICES = '{metric: "f1/*", better: higher, at_least: 0.7}'
Runs = Sequence[tuple[dict[str, Any], dict[str, Any]]]


def log(
    trail: Trail,
    pipeline: Pipeline,
    runs: Runs,
    parents: Sequence[int] = (),
    *,
    job_name: str = "train",
    data: bool = False,
    status: str = "success",
) -> None:
    """Log runs with these parameters and metrics. `parents` names each run's by its place; `data`: with a dataset."""
    gitlab = trail.team.gitlab
    job = gitlab.add_job(pipeline, job_name, "train", trail.team.users["developer"], "running")
    mlflow = Mlflow(trail.client, project="42", token=gitlab.mint(job, EXTERNAL_URL))
    named = mlflow.call("GET", "api/2.0/mlflow/experiments/get-by-name", query_string={"experiment_name": "churn"})
    found = named.get_json().get("experiment") or mlflow.post("experiments/create", name="churn")
    ids = [mlflow.post("runs/create", experiment_id=found["experiment_id"])["run"]["info"]["run_id"] for _ in runs]
    for run_id, (params, metrics) in zip(ids, runs, strict=True):
        mlflow.post(
            "runs/log-batch",
            run_id=run_id,
            params=[{"key": key, "value": str(value)} for key, value in params.items()],
            metrics=[{"key": key, "value": value, "timestamp": 1} for key, value in metrics.items()],
        )
        if data:
            dataset = {"name": "customers", "digest": "aaa", "source_type": "local", "source": "{}"}
            tags = [{"key": "mlflow.data.context", "value": "test"}]
            mlflow.post("runs/log-inputs", run_id=run_id, datasets=[{"dataset": dataset, "tags": tags}])
        path = f"api/2.0/mlflow-artifacts/artifacts/{found['experiment_id']}/{run_id}/artifacts/model/MLmodel"
        good(mlflow.call("PUT", path, data=b"flavors: {}"))
    for place, parent in enumerate(parents):
        mlflow.post("runs/set-tag", run_id=ids[place], key="mlflow.parentRunId", value=ids[parent])
    for run_id in ids:
        mlflow.post("runs/update", run_id=run_id, status="FINISHED")
    gitlab.set_job(job, status)


def seeds(*values: Any, **beside: Any) -> Runs:
    return [({"seed": seed}, {"val_accuracy": value, **beside}) for seed, value in enumerate(values)]


def folds(of: dict[Any, float]) -> Runs:
    return [({"fold": fold}, {"val_accuracy": value}) for fold, value in of.items()]


def ruled(trail: Trail, pipeline: Pipeline) -> tuple[str, list[str]]:
    report = trail.report(pipeline)
    return report["gate"]["outcome"], [rule["sentence"] for one in report["models"] for rule in one["rules"]]


@ON_BOTH
@pytest.mark.parametrize("parents", [[0], [1, 0], [1, 2, 0], [1, 2, 1], [0, 0, 0]])
def test_runs_that_are_their_own_ancestors_are_judged(trail: Trail, parents: list[int]) -> None:
    a_main(trail, SHAS["b"], contract(RULE, if_silent="pass"), GOOD)
    _, pipeline = a_request(trail, [])
    log(trail, pipeline, seeds(*BAD[: len(parents)]), parents)
    assert ruled(trail, pipeline)[0] == "fail"


class TestFolds:
    TEXT = contract(RULE, pair_by="[fold]")

    def judged(self, trail: Trail, runs: Runs) -> tuple[str, list[str]]:
        log(trail, trail.main(SHAS["b"], self.TEXT), folds(dict(enumerate(FOLDS))))
        _, pipeline = a_request(trail, [])
        log(trail, pipeline, runs)
        return ruled(trail, pipeline)

    @pytest.mark.parametrize("kept", [[4], [3, 4], [1, 2, 3, 4]])
    def test_the_easy_ones_only(self, trail: Trail, kept: list[int]) -> None:
        outcome, sentences = self.judged(trail, folds({number: FOLDS[number] - 0.001 for number in kept}))
        assert outcome == "fail"
        assert sentences == [f"{5 - len(kept)} of the baseline's 5 folds not logged here"]

    def test_the_folds_are_called_otherwise(self, trail: Trail) -> None:
        assert self.judged(trail, folds({f"fold {number}": 0.99 for number in range(5)}))[0] == "fail"

    def test_more_easy_ones_beside(self, trail: Trail) -> None:
        worse = {number: value - 0.05 - number / 1000 for number, value in enumerate(FOLDS)}
        outcome, sentences = self.judged(trail, folds({**worse, **dict.fromkeys(range(5, 20), 0.99)}))
        assert (outcome, sentences) == ("fail", ["\N{MINUS SIGN}5.2 pp, clearly more than allowed: \N{MINUS SIGN}1 pp"])

    def test_an_easy_one_many_times(self, trail: Trail) -> None:
        worse = {number: value - 0.05 - number / 1000 for number, value in enumerate(FOLDS)}
        assert self.judged(trail, [*folds(worse), *(folds({4: worse[4]}) * 20)])[0] == "fail"

    def test_all_of_them_pass(self, trail: Trail) -> None:
        assert (
            self.judged(trail, folds({number: value + 0.01 + number / 1000 for number, value in enumerate(FOLDS)}))[0]
            == "pass"
        )


def test_a_job_that_fails_where_luck_is_bad_is_no_way_out(trail: Trail) -> None:
    """With `allow_failure`, one job a seed, and a check of the metric in the training."""
    a_main(trail, SHAS["b"], contract(RULE), GOOD)
    _, pipeline = a_request(trail, [])
    log(trail, pipeline, seeds(*GOOD))
    for number in range(2):
        log(trail, pipeline, seeds(*BAD), job_name=f"train {number}", status="failed")
    outcome, (sentence,) = ruled(trail, pipeline)
    assert outcome == "warn"
    assert sentence.endswith(", but clearly worse with 6 runs that failed or got deleted")


class TestOneSeed:
    """Many runs of one seed count as one: they show nothing that a single run doesn't."""

    def test_runs_that_differ_by_rounding_only(self, trail: Trail) -> None:
        a_main(trail, SHAS["b"], contract(RULE), GOOD)
        request, pipeline = a_request(trail, [])
        log(trail, pipeline, seeds(*[0.805 + seed * 1e-9 for seed in range(5)]))
        (sentence,) = ruled(trail, pipeline)[1]
        assert sentence.endswith("the 5 runs here count as one, 3 in the baseline")
        assert ruled(trail, pipeline)[0] == "warn"
        trail.work()
        assert "as if they shared one seed: they count as one run." in request.notes[0].body

    def test_a_contract_can_insist(self, trail: Trail) -> None:
        a_main(trail, SHAS["b"], contract(RULE, if_unknown="fail"), GOOD)
        _, pipeline = a_request(trail, [])
        log(trail, pipeline, seeds(0.805))
        outcome, (sentence,) = ruled(trail, pipeline)
        assert outcome == "fail"
        assert sentence.endswith("1 run here, 3 in the baseline")


@pytest.mark.parametrize("odd", ["NaN", "Infinity", "-Infinity"])
class TestNotANumber:
    def test_seeds_that_went_astray(self, trail: Trail, odd: str) -> None:
        a_main(trail, SHAS["b"], contract(RULE), GOOD)
        _, pipeline = a_request(trail, [])
        log(trail, pipeline, seeds(odd, odd, 0.81))
        assert ruled(trail, pipeline) == ("fail", ["diverged: not a number in 2 of 3 runs"])

    def test_where_the_baselines_did_too_nothing_is_new(self, trail: Trail, odd: str) -> None:
        log(trail, trail.main(SHAS["b"], contract(RULE)), seeds(odd, 0.81, 0.80, 0.82))
        _, pipeline = a_request(trail, [])
        log(trail, pipeline, seeds(odd, 0.81, 0.80, 0.82))
        assert ruled(trail, pipeline)[0] == "pass"

    def test_a_slice_next_to_others(self, trail: Trail, odd: str) -> None:
        a_main(trail, SHAS["b"], contract(SLICES), [])
        _, pipeline = a_request(trail, [])
        log(trail, pipeline, [({}, {"f1/a": 0.8, "f1/b": odd})])
        assert ruled(trail, pipeline) == ("fail", ["0.8000; must be at least 0.7", "diverged: not a number"])

    def test_a_slice_that_never_was_one(self, trail: Trail, odd: str) -> None:
        log(trail, trail.main(SHAS["b"], contract(SLICES)), [({}, {"f1/a": 0.8, "f1/b": odd})])
        _, pipeline = a_request(trail, [])
        log(trail, pipeline, [({}, {"f1/a": 0.8, "f1/b": odd})])
        assert ruled(trail, pipeline) == ("pass", ["0.8000; must be at least 0.7"])

    def test_is_not_promoted_where_there_is_a_rule(self, trail: Trail, odd: str) -> None:
        text = contract(RULE, promote="{from: [default]}")
        first = trail.main(SHAS["b"], text)
        trail.train(first, GOOD)
        assert promote(trail, first)[0]["state"] == "promoted"
        second = trail.main(SHAS["d"], text)
        log(trail, second, seeds(odd, 0.81, 0.82))
        assert promote(trail, second)[0]["state"] == "refused"


@pytest.mark.parametrize("beside", ["val_accuracy", "eval_f1"])
def test_a_new_metric_does_not_choose_a_weak_baseline(trail: Trail, beside: str) -> None:
    main = trail.main(SHAS["b"], contract("{metric: accuracy, better: higher, worse_by: 0.01}"))
    sweep = [
        ({"lr": lr, "seed": seed}, {"accuracy": best + seed / 100})
        for lr, best in ((1, 0.9), (2, 0.7))
        for seed in range(3)
    ]
    log(trail, main, sweep)
    _, pipeline = a_request(trail, [])
    log(trail, pipeline, [({"lr": 1, "seed": seed}, {"accuracy": 0.75 + seed / 100, beside: 0.5}) for seed in range(3)])
    assert ruled(trail, pipeline)[0] == "fail"


class TestTheMetricThatRankedBefore:
    @pytest.mark.parametrize("beside", ["val_accuracy", "accuracy", "eval_auc", "val_auc"])
    @pytest.mark.parametrize("now", [0.5, "NaN"])
    def test_a_new_one_does_not_hide_it(self, trail: Trail, beside: str, now: Any) -> None:
        first = trail.main(SHAS["b"])
        trail.train(first, [0.95], metric="test_accuracy")
        assert promote(trail, first)[0]["state"] == "promoted"
        second = trail.main(SHAS["d"])
        log(trail, second, [({}, {"test_accuracy": now, beside: 0.99})])
        (done,) = promote(trail, second)
        assert (done["state"], "test_accuracy" in done["reason"]) == ("refused", True)
        assert aliases(trail) == {"champion": "1"}

    def test_a_new_one_next_to_it_is_fine(self, trail: Trail) -> None:
        first = trail.main(SHAS["b"])
        trail.train(first, [0.95], metric="test_accuracy")
        promote(trail, first)
        second = trail.main(SHAS["d"])
        trail.train(second, [0.96], metric="test_accuracy", beside={"val_accuracy": 0.9})
        assert promote(trail, second)[0]["state"] == "promoted"

    def test_a_declared_ranking_metric_is_binding(self, trail: Trail) -> None:
        first = trail.main(SHAS["b"])
        trail.train(first, [0.95], metric="test_accuracy", beside={"latency_ms": 9.0})
        promote(trail, first)
        second = trail.main(SHAS["d"])
        trail.train(second, [0.80], metric="test_accuracy", beside={"latency_ms": 5.0})
        assert promote(trail, second, rank_by="latency_ms", better="lower")[0]["state"] == "promoted"


def of_a_mended_commit(trail: Trail, request: MergeRequest) -> Pipeline:
    """Begin a pipeline on other files: on the same ones all runs count together."""
    files = {"train.py": "mended"}
    trail.team.gitlab.add_commit(trail.team.project, SHAS["d"], parents=(SHAS["c"],), branch="faster", files=files)
    return trail.of_request(request, SHAS["d"])


class TestRedStaysRed:
    @ON_BOTH
    def test_until_the_rule_can_be_judged_again(self, trail: Trail) -> None:
        request, _ = failing(trail, "thread")
        spread = again(trail, request, [0.05, 0.60, 1.0])
        report = trail.report(spread)
        assert (report["gate"]["outcome"], thread_of(request).resolved_by) == ("fail", None)
        (rule,) = report["models"][0]["rules"]
        assert "it failed in this merge request before" in rule["advice"]
        mended = of_a_mended_commit(trail, request)
        trail.train(mended, GOOD)
        assert trail.report(mended)["gate"]["outcome"] == "pass"
        assert thread_of(request).resolved_by is trail.team.users["bot"]

    @pytest.mark.parametrize("left", [{"f1/a": 0.8}, {"other": 0.8}])
    def test_when_a_first_models_slice_is_no_longer_logged(self, trail: Trail, left: dict[str, float]) -> None:
        a_main(trail, SHAS["b"], publishing("thread", rules=(SLICES,)), [])
        request, pipeline = a_request(trail, [])
        log(trail, pipeline, [({}, {"f1/a": 0.8, "f1/b": 0.5})])
        assert trail.report(pipeline)["gate"]["outcome"] == "fail"
        later = trail.of_request(request, SHAS["c"])
        log(trail, later, [({}, left)])
        assert trail.report(later)["gate"]["outcome"] == "fail"
        mended = of_a_mended_commit(trail, request)
        log(trail, mended, [({}, {"f1/a": 0.8, "f1/b": 0.75})])
        assert trail.report(mended)["gate"]["outcome"] == "pass"


class TestAnotherRequestOfTheBranch:
    """Closing a red merge request and opening another one is no fresh start; nor is another name for its branch."""

    MIDDLE: ClassVar = [0.77, 0.78, 0.805]

    def reopened(self, trail: Trail, request: MergeRequest, state: str, branch: str = "faster") -> MergeRequest:
        request.state = state
        for _ in range(2 if state == "merged" else 0):
            trail.work(seconds=16 * 60)
        return trail.team.gitlab.add_merge_request(trail.team.project, branch, "main", "Learn faster, again")

    @ON_BOTH
    @pytest.mark.parametrize("branch", ["faster", "faster-2"])
    def test_runs_on_the_same_files_count_together(self, trail: Trail, branch: str) -> None:
        request, _ = failing(trail, "thread")
        trail.team.project.branches["faster-2"] = SHAS["c"]
        later = trail.of_request(self.reopened(trail, request, "closed", branch), SHAS["c"])
        trail.train(later, self.MIDDLE)
        report = trail.report(later)
        assert report["gate"]["outcome"] == "fail"
        assert report["models"][0]["remarks"][0].startswith("It failed in another merge request of this branch")

    def test_what_was_red_has_to_be_cleared(self, trail: Trail) -> None:
        request, _ = failing(trail, "thread")
        second = self.reopened(trail, request, "closed")
        mended = of_a_mended_commit(trail, second)
        trail.train(mended, self.MIDDLE)
        assert trail.report(mended)["gate"]["outcome"] == "fail"
        cleared = of_a_mended_commit(trail, second)
        trail.train(cleared, GOOD)
        assert trail.report(cleared)["gate"]["outcome"] == "pass"
        trail.work()
        trail.train(trail.of_request(second, SHAS["d"]), GOOD)
        trail.work()
        assert "another merge request" not in second.notes[0].body

    def test_one_that_was_merged_is_history(self, trail: Trail) -> None:
        request, _ = failing(trail, "thread")
        later = trail.of_request(self.reopened(trail, request, "merged"), SHAS["c"])
        trail.train(later, GOOD)
        assert trail.report(later)["models"][0]["remarks"] == []


class TestTargets:
    LAX = publishing("thread", "status", rules=("{metric: val_accuracy, at_least: 0.1}",))

    def branches(self, trail: Trail) -> None:
        gitlab, project = trail.team.gitlab, trail.team.project
        a_main(trail, SHAS["b"], publishing("thread", "status"), GOOD)
        gitlab.add_commit(project, SHAS["e"], parents=(SHAS["b"],), branch="lax", files={FILE_NAME: self.LAX})
        gitlab.add_commit(project, SHAS["c"], parents=(SHAS["b"],), branch="faster")

    def test_what_has_passed_for_another_target_is_judged_again(self, trail: Trail) -> None:
        self.branches(trail)
        request = trail.team.gitlab.add_merge_request(trail.team.project, "faster", "lax", "Into another branch")
        pipeline = trail.of_request(request, SHAS["c"])
        trail.train(pipeline, BAD)
        assert trail.report(pipeline)["gate"]["outcome"] == "pass"
        request.target_branch = "main"
        for _ in range(4):
            trail.work(seconds=16 * 60)
        assert thread_of(request).resolved_by is None
        assert trail.team.project.statuses[pipeline.id][-1][1] == "failed"

    @pytest.mark.parametrize("targets", [("main", "lax"), ("lax", "main")])
    def test_a_second_merge_request_does_not_turn_the_status(self, trail: Trail, targets: tuple[str, str]) -> None:
        self.branches(trail)
        project = trail.team.project
        made = {one: trail.team.gitlab.add_merge_request(project, "faster", one, one) for one in targets}
        pipeline = trail.team.gitlab.add_pipeline(project, SHAS["c"], "faster", "push")
        trail.train(pipeline, BAD)
        for _ in range(4):
            trail.work(seconds=16 * 60)
        assert [status[1] for status in project.statuses[pipeline.id]] == ["failed"]
        assert thread_of(made["main"]).resolved_by is None
        assert made["lax"].discussions == []


@pytest.mark.parametrize("order", ["before", "after"])
def test_too_many_runs_hide_no_model(trail: Trail, order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "MOST_RUNS", 5)
    a_main(trail, SHAS["b"], contract(RULE, if_silent="pass"), GOOD)
    _, pipeline = a_request(trail, [])
    if order == "after":
        trail.train(pipeline, BAD)
    trail.train(pipeline, [0.9] * 6, experiment="other", job_name="other", model=False)
    if order == "before":
        trail.train(pipeline, BAD)
    assert ruled(trail, pipeline)[0] == "fail"


@pytest.mark.parametrize(("named", "outcome"), [([0, 1, 2], "pass"), ([0], "fail"), ([], "fail")])
def test_each_run_has_the_dataset_that_the_baselines_had(trail: Trail, named: list[int], outcome: str) -> None:
    main = trail.main(SHAS["b"], contract(RULE, same_dataset="test"))
    trail.train(main, GOOD, data={"test": "aaa"})
    _, pipeline = a_request(trail, [])
    for seed in range(3):
        # One job a run, so that some log no dataset.
        log(trail, pipeline, [({"seed": seed}, {"val_accuracy": 0.9})], job_name=f"train {seed}", data=seed in named)
    assert ruled(trail, pipeline)[0] == outcome
