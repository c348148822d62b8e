"""Importance against known answers: what mattered is found, noise never is, and odd values change neither."""

import random
import statistics
import sys
from collections.abc import Callable, Sequence

import pytest

from mltrail_server.domain import importance
from mltrail_server.domain.importance import Analysis, Importance, Verdict, analyse

HUGE = sys.float_info.max
Rule = Callable[[Sequence[float], random.Random], float]


def searched(count: int, rule: Rule, *, names: int = 4, seed: int = 3) -> Analysis:
    """Judge a random search over parameters `x0`, `x1` and so on, each evenly between 0 and 1."""
    chance = random.Random(seed)
    rows = [[chance.random() for _ in range(names)] for _ in range(count)]
    values = [rule(row, chance) for row in rows]
    return analyse(values, {f"x{place}": [repr(row[place]) for row in rows] for place in range(names)})


def of(analysis: Analysis, name: str) -> Importance:
    return next(one for one in analysis.parameters if one.name == name)


def that_matter(analysis: Analysis) -> set[str]:
    return {one.name for one in analysis.parameters if one.verdict is Verdict.MATTERS}


@pytest.mark.parametrize("count", [12, 25, 100, 1000])
def test_what_depends_on_one_parameter_only(count: int) -> None:
    found = searched(count, lambda x, _: 3 * x[0])
    assert that_matter(found) == {"x0"}
    first = found.parameters[0]
    assert first.name == "x0"
    assert first.share > 0.6
    assert first.low <= first.share <= first.high
    assert first.correlation == pytest.approx(1)
    assert first.correlates
    assert first.groups[-1].standing > first.groups[0].standing


def test_a_share_is_near_what_it_is() -> None:
    """x0 explains 4/5 of the variance of 2·x0 + x1, on ranks a little differently."""
    found = searched(2000, lambda x, _: 2 * x[0] + x[1])
    assert of(found, "x0").share == pytest.approx(0.8, abs=0.05)
    assert of(found, "x1").share == pytest.approx(0.2, abs=0.05)
    assert found.together == pytest.approx(1, abs=0.05)


STRENGTHS: Sequence[Rule] = (
    lambda x, c: x[0] + c.gauss(0, 0.15),
    lambda x, c: abs(x[0] - 0.4) + c.gauss(0, 0.25),
    lambda x, c: x[0] + 2 * c.random(),
    lambda x, c: (1 + x[0]) * c.random(),  # with noise that is not the same everywhere
)


def true_share(rule: Rule, groups: int) -> float:
    """Return the share that this many groups of a parameter explain in a sweep so large that chance does not matter."""
    chance, count = random.Random(7), 12_000
    runs = sorted([chance.random()] for _ in range(count))
    ranked = importance.ranks([rule(run, chance) for run in runs])
    size = count // groups
    levels = [statistics.fmean(ranked[start : start + size]) for start in range(0, size * groups, size)]
    return statistics.pvariance(levels) / statistics.pvariance(ranked)


@pytest.mark.parametrize(("count", "groups"), [(20, 2), (25, 3), (80, 10), (200, 10)])
def test_intervals_hold_the_true_share_in_19_of_20_sweeps(count: int, groups: int) -> None:
    """Only shares that are shown count. This is an average over weak and strong effects; for some it can be less."""
    held = []
    for rule in STRENGTHS:
        share = true_share(rule, groups)
        for seed in range(80 if count > 100 else 200):
            first = of(searched(count, rule, names=1, seed=seed), "x0")
            if first.verdict is Verdict.MATTERS:
                held.append(first.low <= share <= first.high)
    assert 0.93 <= statistics.fmean(held) <= 0.98


def test_an_effect_that_goes_up_and_down_has_no_correlation() -> None:
    found = searched(300, lambda x, _: abs(x[0] - 0.5))
    assert that_matter(found) == {"x0"}
    assert of(found, "x0").share > 0.8
    assert not of(found, "x0").correlates


@pytest.mark.parametrize("count", [10, 15, 19, 20, 40, 200])
def test_noise_is_an_effect_in_one_sweep_of_twenty(count: int) -> None:
    alarms = sum(bool(that_matter(searched(count, lambda _, c: c.random(), seed=seed))) for seed in range(100))
    assert alarms <= 11  # one in twenty, and three standard errors


def test_whether_there_were_enough_runs_is_said() -> None:
    few, many = (searched(count, lambda _, c: c.random(), names=2) for count in (40, 2000))
    assert {one.verdict for one in few.parameters} == {Verdict.UNCLEAR}
    assert {one.verdict for one in many.parameters} == {Verdict.NEGLIGIBLE}
    assert few.parameters[0].detectable > 0.2
    assert many.parameters[0].detectable < 0.05


def test_below_ten_nothing_is_judged() -> None:
    found = searched(9, lambda x, _: x[0])
    assert found.too_few
    assert {one.verdict for one in found.parameters} == {Verdict.UNJUDGED}


def test_what_only_a_combination_does_is_an_interaction() -> None:
    found = searched(300, lambda x, c: float((x[0] > 0.5) != (x[1] > 0.5)) + c.gauss(0, 0.1))
    assert that_matter(found) == set()
    assert [{pair.first, pair.second} for pair in found.interactions] == [{"x0", "x1"}]
    assert found.interactions[0].share > 0.35  # the rest is lost where the groups are cut
    assert searched(300, lambda x, c: x[0] + x[1] + c.gauss(0, 0.1)).interactions == ()


def test_parameters_that_changed_together_are_named() -> None:
    chance = random.Random(5)
    first = [chance.choice("abc") for _ in range(100)]
    found = analyse(
        [float("abc".index(one)) + chance.random() for one in first],
        {"one": first, "two": [one.upper() for one in first], "three": [str(chance.random()) for _ in first]},
    )
    assert [(pair.first, pair.second) for pair in found.entangled] == [("one", "two")]


def test_words_and_what_is_not_set_are_groups() -> None:
    chance = random.Random(5)
    kinds: list[str | None] = [chance.choice(["adam", "sgd", None]) for _ in range(90)]
    worth = {"adam": 0.0, "sgd": 1.0, None: 2.0}
    found = analyse([worth[one] + chance.random() for one in kinds], {"optimizer": kinds})
    one = of(found, "optimizer")
    assert one.verdict is Verdict.MATTERS
    assert one.correlation is None
    assert [group.label for group in one.groups] == ["adam", "sgd", "not set"]
    assert [group.count for group in one.groups] == [kinds.count("adam"), kinds.count("sgd"), kinds.count(None)]


def test_a_word_among_numbers_is_a_group_of_its_own() -> None:
    values = ["1", "2", "3", "4", "5", "None"] * 10
    found = analyse(
        [0.0 if one == "None" else 1.0 + place / 100 for place, one in enumerate(values)], {"depth": values}
    )
    one = of(found, "depth")
    assert one.verdict is Verdict.MATTERS
    assert one.groups[-1].label == "None"
    assert one.groups[-1].standing < min(group.standing for group in one.groups[:-1])


def test_groups_name_large_and_small_numbers_as_tables_do() -> None:
    sizes = ["65536", "1e-05", "12000000", "512"] * 10
    found = analyse([float(place % 4) for place in range(40)], {"size": sizes})
    assert [group.label for group in of(found, "size").groups] == ["1e\N{MINUS SIGN}5", "512", "65,536", "12\xa0M"]


def test_names_of_runs_are_no_parameter() -> None:
    chance = random.Random(5)
    paths = [f"out/{number}" for number in range(50)]
    found = analyse([chance.random() for _ in paths], {"path": paths, "x": [str(chance.random()) for _ in paths]})
    assert of(found, "path").verdict is Verdict.UNJUDGED
    assert of(found, "x").verdict is Verdict.UNCLEAR


def test_repeats_count_once() -> None:
    """Ten configurations repeated ten times are no hundred: an effect of chance among the ten stays one."""
    chance = random.Random(2)
    configurations = [(chance.choice("ab"), chance.random()) for _ in range(10)]
    rows = [(kind, level, seed) for kind, level in configurations for seed in range(10)]
    values = [level + chance.gauss(0, 0.01) for _, level, _ in rows]
    parameters = {
        "kind": [kind for kind, _, _ in rows],
        "level": [str(level) for _, level, _ in rows],
        "seed": [str(seed) for _, _, seed in rows],
    }
    found = analyse(values, parameters, ["seed"])
    assert (found.runs, found.configurations, found.repeats) == (100, 10, ("seed",))
    assert found.noise is not None
    assert found.noise < 0.05
    assert of(found, "kind").verdict is Verdict.UNCLEAR


def test_where_all_combinations_were_tried_each_run_counts() -> None:
    chance = random.Random(2)
    rows = [(first, second) for first in "abc" for second in "xy" for _ in range(8)]
    values = [float("abc".index(first)) + chance.gauss(0, 0.5) for first, _ in rows]
    found = analyse(values, {"first": [first for first, _ in rows], "second": [second for _, second in rows]})
    assert found.crossed
    assert found.configurations == 48
    assert that_matter(found) == {"first"}


@pytest.mark.parametrize("value", [0.0, -1.5, HUGE, -HUGE])
def test_a_constant_has_nothing_to_explain(value: float) -> None:
    found = analyse([value] * 50, {"x": [str(number) for number in range(50)]})
    assert found.constant
    assert found.parameters == ()


def test_parameters_that_do_not_differ_are_left_out() -> None:
    found = analyse([float(number) for number in range(50)], {"same": ["1"] * 50, "none": [None] * 50})
    assert found.parameters == ()
    assert analyse([], {}).runs == 0


def test_the_largest_numbers_are_ranks_like_others() -> None:
    chance = random.Random(9)
    xs = [chance.random() for _ in range(60)]
    xs[:2] = [0.999999, 0.000001]
    values = list(xs)
    plain = analyse(values, {"x": [repr(x) for x in xs]})
    values[:2] = [HUGE, -HUGE]
    assert analyse(values, {"x": [repr(x) for x in xs]}) == plain


@pytest.mark.parametrize("odd", ["nan", "inf", "-inf", "1e999", "", " ", "True", "0x1", "\x00", "1e308", "-1e308"])
def test_odd_values_of_a_parameter_are_judged_all_the_same(odd: str) -> None:
    chance = random.Random(4)
    xs = [odd if number % 10 == 0 else str(chance.random()) for number in range(60)]
    found = analyse([chance.random() for _ in xs], {"x": xs})
    assert of(found, "x").verdict is Verdict.UNCLEAR


def test_what_the_metric_is_measured_in_does_not_matter() -> None:
    chance = random.Random(8)
    parameters: dict[str, list[str | None]] = {"x": [str(chance.random()) for _ in range(50)]}
    values = [float(x or 0) + chance.gauss(0, 0.2) for x in parameters["x"]]
    assert analyse(values, parameters) == analyse([2**value for value in values], parameters)


def test_equal_values_share_a_rank() -> None:
    assert importance.ranks([3.0, 1.0, 3.0, 2.0]) == [2.5, 0.0, 2.5, 1.0]


def test_numbers_that_span_a_factor_of_a_hundred_are_logarithmic() -> None:
    assert importance.is_logarithmic(1e-4, 1e-2)
    assert not importance.is_logarithmic(0.0, 1.0)
    assert not importance.is_logarithmic(-1.0, 1000.0)
    assert importance.is_logarithmic(5e-324, HUGE)
