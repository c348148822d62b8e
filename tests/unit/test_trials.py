"""A sweep counts once: by its trials, or by the parent that sums them up."""

import random

from mltrail_contract import Contract, Model, Runs
from mltrail_server.domain import judgement, selection, trials
from mltrail_server.domain.comparison import Comparison, compare
from mltrail_server.domain.grouping import Run, RunState
from mltrail_server.domain.judgement import ModelInput
from mltrail_server.domain.verdict import Verdict
from tests.reports import a_run


def some_trials(count: int, *, seed: int = 1) -> list[Run]:
    rng = random.Random(seed)
    return [
        a_run(100 + place, {"val_accuracy": rng.gauss(0.8, 0.01)}, params={"lr": str(place)}, parent_iid=1)
        for place in range(count)
    ]


def judged(runs: list[Run], baseline: list[Run], *, history: list[list[Run]]) -> Comparison:
    compared = compare(runs, baseline, history=history)
    return judgement.judge_models([ModelInput("churn", compared)])["churn"].comparison


def test_the_trials_of_an_empty_parent_count() -> None:
    folded = trials.fold([a_run(1, {}), *some_trials(5)])
    assert [run.iid for run in folded.runs] == [100, 101, 102, 103, 104]
    assert folded.trials == {}


def test_a_parent_that_repeats_its_best_trial_does_not_count_twice() -> None:
    found = some_trials(5)
    best = max(run.metrics["val_accuracy"] for run in found)
    folded = trials.fold([a_run(1, {"val_accuracy": best}), *found])
    assert [run.iid for run in folded.runs] == [100, 101, 102, 103, 104]


def test_a_parent_with_a_final_evaluation_counts_for_its_sweep() -> None:
    folded = trials.fold([a_run(1, {"test_accuracy": 0.8}), *some_trials(5)])
    assert [run.iid for run in folded.runs] == [1]
    assert folded.trials == {1: 5}


def test_what_the_contract_asks_for_decides_who_speaks() -> None:
    runs = [a_run(1, {"best_value": 0.8}), *some_trials(5)]
    assert len(trials.fold(runs, ["val_*"]).runs) == 5
    assert len(trials.fold(runs, ["best_value"]).runs) == 1


def test_trials_of_trials_fold_too_and_a_circle_does_not_hang() -> None:
    middle = a_run(2, {}, parent_iid=1)
    leaf = a_run(3, {"a": 1}, parent_iid=2)
    assert [run.iid for run in trials.fold([a_run(1, {"b": 1}), middle, leaf]).runs] == [1]
    circle = [a_run(1, {"a": 1}, parent_iid=2), a_run(2, {"b": 1}, parent_iid=1)]
    assert len(trials.fold(circle).runs) <= 2


def test_failed_trials_do_not_speak() -> None:
    failed = a_run(2, {"accuracy": 1}, parent_iid=1, state=RunState.FAILED)
    assert [run.iid for run in trials.fold([a_run(1, {"accuracy": 0.5}), failed]).runs] == [1, 2]


def test_a_session_of_tests_is_no_candidate_beside_others() -> None:
    evaluated = a_run(1, {"correctness/mean": 0.85})
    tested = a_run(2, {"correctness/mean": 1.0}, tags={"mlflow.runType": "test"})
    assert trials.fold([evaluated, tested]).runs == (evaluated,)
    assert trials.fold([tested]).runs == (tested,)


def test_the_best_of_many_trials_is_luck() -> None:
    history = [[a_run(900 + 9 * place, {"val_accuracy": 0.8 + (-1) ** place * 0.008})] for place in range(15)]
    best = a_run(1, {"val_accuracy": 0.83}, params={"lr": "best"})
    lone = judged([best], [a_run(2000, {"val_accuracy": 0.8})], history=history)
    assert (lone.metrics[0].verdict, lone.luck) == (Verdict.BETTER, False)
    sweep = [best, *(a_run(10 + n, {"val_accuracy": 0.79}, params={"lr": str(n)}) for n in range(500))]
    found = judged(sweep, [a_run(2000, {"val_accuracy": 0.8})], history=history)
    assert (found.groups, found.metrics[0].verdict, found.luck) == (501, Verdict.NO_CLEAR_CHANGE, True)
    # A parent that names its trials' winner is the best of so many too.
    folded = [
        a_run(3000, {"val_accuracy": 0.83, "final": 1}),
        *(a_run(10 + n, {}, parent_iid=3000) for n in range(500)),
    ]
    assert judged(folded, [a_run(2000, {"val_accuracy": 0.8})], history=history).luck


def test_fresh_runs_of_the_winner_show_how_good_it_is() -> None:
    history = [[a_run(900 + 9 * place, {"val_accuracy": 0.8 + (-1) ** place * 0.008})] for place in range(15)]
    baseline = [a_run(2000, {"val_accuracy": 0.8})]
    sweep = [a_run(10 + n, {"val_accuracy": 0.78 + n / 1000}, params={"lr": str(n), "seed": "1"}) for n in range(50)]

    def again(accuracy: float, lr: str = "49", state: RunState = RunState.SUCCEEDED) -> list[Run]:
        tags = {"mltrail.confirm": "true"}
        seeds = range(101, 104)
        return [
            a_run(
                seed, {"val_accuracy": accuracy}, params={"lr": lr, "seed": str(seed)}, tags=tags, state=state, job_id=2
            )
            for seed in seeds
        ]

    confirmed = judged([*sweep, *again(0.828)], baseline, history=history)
    assert (confirmed.confirmed, confirmed.luck, confirmed.metrics[0].verdict) == (True, False, Verdict.BETTER)
    assert confirmed.best is not None
    assert len(confirmed.best.runs) == 3, "the trial that won is not among them"
    refuted = judged([*sweep, *again(0.8)], baseline, history=history)
    assert refuted.metrics[0].verdict is Verdict.NO_CLEAR_CHANGE
    # Fresh runs of another choice, or failed ones, say nothing of the winner, and can't win.
    for others in (again(0.9, lr="3"), again(0.9, state=RunState.FAILED)):
        found = judged([*sweep, *others], baseline, history=history)
        assert (found.confirmed, found.best_run and found.best_run.params["lr"]) == (False, "49")
    alone = judged(again(0.8), baseline, history=history)
    assert (alone.confirmed, alone.best_run is not None) == (False, True)


def test_models_without_a_selection_share_the_runs_by_name() -> None:
    runs = [a_run(1, {}, experiment="churn"), a_run(2, {}, experiment="[model]price"), a_run(3, {}, experiment="other")]
    two = selection.select(Contract({"churn": Model("churn"), "price": Model("price")}), runs)
    assert {name: [run.iid for run in found] for name, found in two.items()} == {
        "churn": [1],
        "price": [2],
        "other": [3],
    }
    one = selection.select(Contract({"churn": Model("churn")}), runs)
    assert {name: len(found) for name, found in one.items()} == {"churn": 1, "price": 1, "other": 1}
    tagged = Model("churn", runs=Runs(tags={"stage": "eval"}))
    found = selection.select(Contract({"churn": tagged}), runs)
    assert (found["churn"], len(found["churn (not selected)"])) == ([], 1)


def test_a_folder_a_star_and_two_stars() -> None:
    def touched(glob: str, path: str) -> bool:
        return selection.touched(Model("churn", paths=(glob,)), [path])

    assert touched("models/churn/**", "models/churn/a/b.py")
    assert touched("models/churn", "models/churn/a/b.py")
    assert touched("**/*.sql", "data/deep/x.sql")
    assert touched("**/*.sql", "x.sql")
    assert touched("data/*.sql", "data/x.sql")
    assert not touched("data/*.sql", "data/deep/x.sql")
    assert not touched("models/churn", "models/churn2/x.py")
    assert not touched("models/ch?rn.py", "models/ch/rn.py")
    assert selection.touched(Model("churn", paths=("a",)), None), "nobody knows what was changed"
