"""No version takes the place of one that is really better, and no promotion ranks by a guess."""

import re
from typing import Any

import pytest

from tests.api.promotion.promoting import aliases, promote
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import Pipeline

SEEDS = [0.90, 0.91, 0.92]
PROMOTES = "version: 1\nmodels: {churn: {rules: [%s], promote: {from: [default]%s}}}\n"


def after(trail: Trail, before: list[float], now: list[float], contract: str | None = None, **more: Any) -> Pipeline:
    """Promote what the first pipeline trains, and train a second one."""
    first = trail.main(SHAS["b"], contract)
    trail.train(first, before, **more)
    assert promote(trail, first)[0]["state"] == "promoted"
    second = trail.main(SHAS["d"], contract)
    trail.train(second, now, **more)
    return second


def standing(done: Any) -> dict[str, str]:
    return {one["name"]: one["standing"] for one in done["comparison"]["metrics"]}


@pytest.mark.parametrize(
    ("metric", "before", "now"),
    [
        ("val_accuracy", [0.95], [0.50]),
        ("val_accuracy", SEEDS, [0.85, 0.86, 0.87]),
        ("val_accuracy", [0.95], [0.45, 0.5, 0.55]),
        ("val_accuracy", [0.95], [0.05, 0.96]),  # runs that are made to spread
        ("val_accuracy", [0.94, 0.96], [0.5]),
        ("accuracy_score", [95.0], [50.0]),
        ("val_loss", [0.30], [0.60]),
        ("rmse", [0.0], [3.0]),
        ("neg_mean_squared_error", [-1.0], [-2.0]),
    ],
)
def test_what_is_really_worse_is_not_promoted(trail: Trail, metric: str, before: Any, now: Any) -> None:
    second = after(trail, before, now, metric=metric)
    for wish in ({"dry_run": True}, {}):
        (done,) = promote(trail, second, **wish)
        assert (done["state"], standing(done)) == ("refused", {metric: "worse"})
        assert f"allow_worse: [{metric}]" in done["reason"]
        assert "it is worse than champion, which is 1.0.0" in done["reason"]
        assert not re.search(r"\([^)]*\(", done["reason"]), "brackets within brackets"
    line = done["comparison"]["metrics"][0]
    assert line["before"] == pytest.approx(sum(before) / len(before))
    assert line["now"] == pytest.approx(sum(now) / len(now))
    assert aliases(trail) == {"champion": "1"}


@pytest.mark.parametrize(
    ("metric", "before", "now", "says"),
    [
        ("val_accuracy", [0.95], [0.94], "can't tell yet"),
        ("val_accuracy", [0.95], [0.95], "no clear change"),
        ("val_accuracy", [0.95], [0.99], "can't tell yet"),
        ("val_accuracy", SEEDS, [0.905, 0.895, 0.91], "no clear change"),
        ("val_accuracy", SEEDS, [0.95, 0.96, 0.97], "better"),
        # The champion is the lucky run of its three, and is held to their mean.
        ("val_accuracy", [0.85, 0.90, 0.95], [0.88, 0.89, 0.90], "no clear change"),
        ("val_loss", [0.30], [0.31], "can't tell yet"),
        ("val_loss", [0.30], [0.10], "can't tell yet"),
    ],
)
def test_each_promotion_says_how_it_compares(trail: Trail, metric: str, before: Any, now: Any, says: str) -> None:
    (done,) = promote(trail, after(trail, before, now, metric=metric))
    assert (done["state"], standing(done), done["comparison"]["version"]) == ("promoted", {metric: says}, "1.0.0")
    assert aliases(trail) == {"champion": "2"}


def test_the_branchs_history_shows_what_chance_does(trail: Trail) -> None:
    for number, value in enumerate((0.80, 0.90, 0.81, 0.91, 0.82, 0.92, 0.81, 0.90)):
        pipeline = trail.main(SHAS["b"])
        trail.train(pipeline, [value], job_name=f"train {number}")
    promote(trail, pipeline)
    noisy = trail.main(SHAS["d"])
    trail.train(noisy, [0.81])
    (done,) = promote(trail, noisy)
    assert done["state"] == "promoted"
    assert standing(done) == {"val_accuracy": "can't tell yet"}
    bad = trail.main(SHAS["e"])
    trail.train(bad, [0.30])
    assert promote(trail, bad)[0]["state"] == "refused"


@pytest.mark.parametrize("allowed", ["val_accuracy", "'val_*'", "'*'"])
def test_one_line_of_the_contract_allows_it(trail: Trail, allowed: str) -> None:
    contract = PROMOTES % ("", f", allow_worse: [{allowed}]")
    (done,) = promote(trail, after(trail, [0.95], [0.5], contract))
    assert (done["state"], standing(done)) == ("promoted", {"val_accuracy": "worse, allowed by the contract"})


def test_the_line_that_the_refusal_names_works(trail: Trail) -> None:
    second = after(trail, [0.95], [0.5])
    reason = promote(trail, second)[0]["reason"]
    line = reason.rpartition("and `")[2].rstrip("`")
    third = trail.main(SHAS["e"], f"version: 1\n{line}\n")
    trail.train(third, [0.5])
    assert promote(trail, third)[0]["state"] == "promoted"


RULES = [
    ("{metric: latency_ms, better: lower, worse_by: {percent: 10}}", {"latency_ms": 108.0}, "can't tell yet", True),
    ("{metric: latency_ms, better: lower, worse_by: {percent: 10}}", {"latency_ms": 150.0}, "worse", False),
    ("{metric: 'lat*', better: lower, at_most: 900}", {"latency_ms": 500.0}, "worse", False),
    ("{metric: latency_ms, better: higher, at_least: 1}", {"latency_ms": 500.0}, "can't tell yet", True),
    ("{metric: latency_ms, better: lower, at_most: 9, target: 'release/*'}", {"latency_ms": 500.0}, None, True),
    ("{metric: nothing, at_most: 900}", {"latency_ms": 500.0}, None, True),
    ("{metric: 'toxicity_*', at_most: 900}", {"toxicity_score": 500.0}, "not compared", True),
]


@pytest.mark.parametrize(("rule", "beside", "says", "promoted"), RULES)
def test_the_ruled_metrics_count_and_no_others(
    trail: Trail, rule: str, beside: dict[str, float], says: str | None, promoted: bool
) -> None:
    contract = PROMOTES % (rule, "")
    first = trail.main(SHAS["b"], contract)
    trail.train(first, [0.9], beside=dict.fromkeys(beside, 100.0))
    promote(trail, first)
    second = trail.main(SHAS["d"], contract)
    trail.train(second, [0.9], beside=beside)
    (done,) = promote(trail, second)
    assert done["state"] == ("promoted" if promoted else "refused"), done
    if done["comparison"]:
        assert standing(done).get(next(iter(beside))) == says


def test_a_ruled_metric_that_is_gone_is_worse(trail: Trail) -> None:
    contract = PROMOTES % ("{metric: val_f1, better: higher, at_least: 0.1, then: warn}", "")
    first = trail.main(SHAS["b"], contract)
    trail.train(first, [0.9], beside={"val_f1": 0.9})
    promote(trail, first)
    second = trail.main(SHAS["d"], contract)
    trail.train(second, [0.9], beside={})
    (done,) = promote(trail, second)
    assert (done["state"], standing(done)["val_f1"]) == ("refused", "worse")
    assert "no longer logged, or not a number" in done["reason"]


class TestWhatIsNotCompared:
    def test_a_first_version(self, trail: Trail) -> None:
        first = trail.main(SHAS["b"])
        trail.train(first, [0.9])
        (done,) = promote(trail, first)
        assert done["comparison"] == {
            "version": None,
            "why_not": "there is no version to compare with yet",
            "imported": None,
            "metrics": [],
        }

    def test_a_new_metric(self, trail: Trail) -> None:
        second = after(trail, [0.95], [])
        trail.train(second, [0.1], metric="val_f1")
        (done,) = promote(trail, second)
        assert (done["state"], standing(done)) == ("promoted", {"val_f1": "not compared"})
        assert "the champion has not logged it" in done["comparison"]["metrics"][0]["sentence"]

    @pytest.mark.parametrize(
        ("before", "now", "compared"),
        [
            ({"test": "d1"}, {"test": "d2"}, False),
            ({"training": "d1"}, {"training": "d2"}, False),
            ({"training": "d1", "test": "d3"}, {"training": "d2", "test": "d3"}, True),
            ({"test": "d1"}, {"test": "d1"}, True),
            ({"test": "d1"}, {}, True),
            ({}, {"test": "d1"}, True),
        ],
    )
    def test_other_data(self, trail: Trail, before: Any, now: Any, compared: bool) -> None:
        first = trail.main(SHAS["b"])
        trail.train(first, [0.95], data=before)
        promote(trail, first)
        second = trail.main(SHAS["d"])
        trail.train(second, [0.5], data=now)
        (done,) = promote(trail, second)
        assert done["state"] == ("refused" if compared else "promoted")
        assert compared or "measured on other data" in done["comparison"]["why_not"]

    def test_an_alias_of_its_own(self, trail: Trail) -> None:
        second = after(trail, [0.95], [0.5])
        (done,) = promote(trail, second, alias="challenger")
        assert (done["state"], aliases(trail)) == ("promoted", {"champion": "1", "challenger": "2"})

    def test_a_pre_release_is_compared_and_made(self, trail: Trail) -> None:
        first = trail.main(SHAS["b"])
        trail.train(first, [0.95])
        promote(trail, first)
        pipeline = trail.of_request(trail.request(SHAS["c"]), SHAS["c"])
        trail.train(pipeline, [0.5])
        (done,) = promote(trail, pipeline, pre_release=True)
        assert (done["state"], standing(done)) == ("promoted", {"val_accuracy": "worse"})


def test_a_person_is_held_to_it_too(trail: Trail) -> None:
    second = after(trail, [0.95], [0.5])
    iid = len(trail.runs())
    (done,) = promote(trail, second, token=trail.team.tokens["maintainer"])
    assert done["state"] == "refused"
    answer = trail.client.post(
        "/api/v4/projects/42/ml/promotions",
        headers={"Authorization": f"Bearer {trail.team.tokens['maintainer']}"},
        json={"candidate": iid},
    ).get_json()["promotions"][0]
    assert (answer["state"], standing(answer)) == ("refused", {"val_accuracy": "worse"})


def test_after_a_rollback_the_one_that_holds_the_alias_counts(trail: Trail) -> None:
    second = after(trail, [0.70], [0.95])
    promote(trail, second)
    rolled = trail.client.post(
        "/api/v4/projects/42/ml/models/churn/aliases/champion/rollback",
        headers={"Authorization": f"Bearer {trail.team.tokens['maintainer']}"},
        json={},
    )
    assert rolled.status_code == 200, rolled.get_data(as_text=True)
    third = trail.main(SHAS["e"])
    trail.train(third, [0.71])
    (done,) = promote(trail, third)
    assert (done["state"], done["comparison"]["version"]) == ("promoted", "1.0.0")


def test_a_reviewed_candidate_is_held_to_it(trail: Trail) -> None:
    first = trail.main(SHAS["b"])
    trail.train(first, [0.95])
    promote(trail, first)
    request = trail.request(SHAS["c"])
    trail.train(trail.of_request(request, SHAS["c"]), [0.5], lr="0.2")
    sha = trail.team.gitlab.merge(trail.team.project, request.iid)
    (done,) = promote(trail, trail.team.gitlab.add_pipeline(trail.team.project, sha, "main", "push"))
    assert done["state"] == "refused"
    assert "val_accuracy" in done["reason"]


UNSURE = ["toxicity_f1", "latency_score", "cost_savings", "toxicity_score", "loss_improvement", "1-f1"]


class TestGuesses:
    @pytest.mark.parametrize("metric", UNSURE)
    def test_no_promotion_ranks_by_a_guess(self, trail: Trail, metric: str) -> None:
        first = trail.main(SHAS["b"])
        trail.train(first, [0.2, 0.21, 0.22], metric=metric)
        for wish in ({}, {"rank_by": metric}):
            (asked,) = promote(trail, first, **wish)
            assert asked["state"] == "refused"
            assert "rank_by: {metric: " in asked["reason"]
            assert "--better" in asked["reason"]
        (done,) = promote(trail, first, rank_by=metric, better="lower")
        assert done["state"] == "promoted"
        assert best(trail, metric) == 0.2

    @pytest.mark.parametrize(("better", "value"), [("higher", 0.22), ("lower", 0.2)])
    def test_the_contract_says_it(self, trail: Trail, better: str, value: float) -> None:
        rank = f"{{metric: toxicity_score, better: {better}}}"
        contract = f"version: 1\nmodels: {{churn: {{rank_by: {rank}, promote: {{from: [default]}}}}}}\n"
        first = trail.main(SHAS["b"], contract)
        trail.train(first, [0.2, 0.21, 0.22], metric="toxicity_score")
        assert promote(trail, first)[0]["state"] == "promoted"
        assert best(trail, "toxicity_score") == value

    @pytest.mark.parametrize(
        ("metric", "value"),
        [("val_f1", 0.22), ("d2_absolute_error_score", 0.22), ("brier_score", 0.2), ("neg_log_loss", 0.22)],
    )
    def test_a_known_measure_is_none(self, trail: Trail, metric: str, value: float) -> None:
        first = trail.main(SHAS["b"])
        trail.train(first, [0.2, 0.21, 0.22], metric=metric)
        assert promote(trail, first)[0]["state"] == "promoted"
        assert best(trail, metric) == value

    def test_a_single_run_needs_no_ranking(self, trail: Trail) -> None:
        first = trail.main(SHAS["b"])
        trail.train(first, [0.2], metric="toxicity_score")
        assert promote(trail, first)[0]["state"] == "promoted"


def best(trail: Trail, metric: str) -> float:
    reader = trail.person("guest")
    run = reader.get("registered-models/alias", name="churn", alias="champion")["model_version"]["run_id"]
    logged = {one["key"]: one["value"] for one in reader.get("runs/get", run_id=run)["run"]["data"]["metrics"]}
    value: float = logged[metric]
    return value
