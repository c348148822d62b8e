"""Simulate a situation: make merge requests, let the product judge them, and count what it says."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from mltrail_contract import HigherOrLower, Model, Outcome, Rule, Then, Tolerance
from mltrail_server.domain import rules
from mltrail_server.domain.comparison import compare
from mltrail_server.domain.grouping import Run
from mltrail_server.domain.judgement import ModelInput, judge_models

from .cases import findings_across_runs, findings_in_cases
from .findings import IN_THE_LAST, Finding, Judged, found_in
from .runs import SPREAD, Metric, Training, branch_levels
from .situations import Author, Change, Situation

_RULED = ("accuracy", "log_loss", "f1", "auc", "precision", "rmse", "recall", "mae", "dice", "ndcg")
_WARNED = ("r2", "brier", "map")
_UNRULED = ("iou", "hinge_loss", "mrr", "mape")
_LOWER = frozenset({"log_loss", "rmse", "mae", "brier", "hinge_loss", "mape"})
_MOST_PIPELINES = 4
_ALARMS = frozenset({Finding.BROKEN, Finding.BLOCKED})
_NEWEST = 100  # the target branch's newest pipeline


def simulate(situation: Situation, change: Change, *, requests: int, seed: int = 1) -> Counter[Finding]:
    """Simulate merge requests. The same seed gives the same ones, so a smaller number gives the first of them."""
    rng = random.Random(f"{seed} {situation.slug} {change.name}")  # noqa: S311 - no secret
    simulated = Simulated(situation, change, rng)
    total: Counter[Finding] = Counter()
    for _ in range(requests):
        if situation.answering:
            total.update(findings_across_runs(situation.answering, change.drop, rng))
        elif situation.discordance:
            total.update(findings_in_cases(situation.discordance, change.drop, rng))
        else:
            total.update(simulated.request())
    return total


@dataclass
class SimulatedModel:
    """One model of a merge request: its contract, how it is trained, and what has been trained so far."""

    contract: Model
    training: Training
    runs: Sequence[Run] = ()
    branch: Sequence[Sequence[Run]] = ()
    earlier: list[Sequence[Run]] = field(default_factory=list)
    red: frozenset[str] = frozenset()


class Simulated:
    """Simulates one merge request after another."""

    def __init__(self, situation: Situation, change: Change, rng: random.Random) -> None:
        self._situation, self._change, self._rng = situation, change, rng
        self._metrics = metrics_of(situation)
        self.models = [
            SimulatedModel(
                contract_of(situation, number), Training(self._metrics, situation.shape, situation.correlation, rng)
            )
            for number in range(situation.models)
        ]

    def request(self) -> set[Finding]:
        """Run a merge request's pipelines. Returns what any of them said, or the last where only that counts."""
        for model in self.models:
            self._open(model)
        found = [self._pipeline(number) for number in self._pipelines()]
        return (set[Finding]().union(*found) - IN_THE_LAST) | (found[-1] & IN_THE_LAST)

    def _open(self, model: SimulatedModel) -> None:
        situation = self._situation
        levels = branch_levels(situation.branch, situation.pipelines, len(self._metrics), self._rng)
        model.branch = [
            model.training.pipeline(_NEWEST - place, situation.main, level) for place, level in enumerate(levels)
        ]
        model.earlier, model.red = [], frozenset()

    def _pipelines(self) -> Iterator[int]:
        """Number the pipelines that the author starts. What one has found decides whether there is another."""
        author = self._situation.author
        for number in range(_MOST_PIPELINES):
            yield number
            red = any(model.red for model in self.models)
            if author is Author.ONCE or not (red or author is Author.ALWAYS_FOUR):
                return

    def _pipeline(self, number: int) -> set[Finding]:
        """Train and judge once more. Seeds are fresh unless the author repeats them."""
        situation = self._situation
        first_seed = 0 if situation.author is Author.RETRIES_SAME_SEEDS else number * situation.here.runs
        inputs = []
        for place, model in enumerate(self.models):
            levels = self._levels(drops=place == 0 or self._change.every)
            model.runs = model.training.pipeline(_NEWEST + 1 + number, situation.here, levels, first_seed=first_seed)
            compared = compare(
                model.runs, model.branch[0], history=model.branch[1:], model=model.contract, earlier=model.earlier
            )
            pipelines = range(_NEWEST, _NEWEST - situation.pipelines, -1)
            name = model.contract.name
            inputs.append(ModelInput(name, compared, model.contract, target="main", red=model.red, pipelines=pipelines))
            if situation.author is not Author.PUSHES:
                model.earlier.insert(0, model.runs)
        judged = judge_models(inputs)
        for model in self.models:
            failing = [one for one in judged[model.contract.name].rulings if one.outcome is Outcome.FAIL]
            model.red = frozenset(rules.name_of(model.contract.name, one) for one in failing)
        dropped = None if self._change.every else ("model-0", self._metrics[0].name)
        found = found_in(judged, dropped)
        return found - _ALARMS if self._change.nothing and self._is_worse(judged) else found

    def _is_worse(self, judged: Judged) -> bool:
        """Whether the chosen candidate truly is worse: saying so is no false alarm."""
        chosen = [one.comparison.best for one in judged.values()]
        return self._situation.here.behind > 0 and any(one is not None and one.params["depth"] != "0" for one in chosen)

    def _levels(self, *, drops: bool) -> list[float]:
        """Return the true levels of a model's metrics here."""
        situation, change = self._situation, self._change
        ruled = situation.failing + situation.warning
        levels = [-situation.tolerance] * ruled + [0.0] * situation.unruled
        if drops:
            for place in range(len(levels) if change.every else 1):
                levels[place] -= change.drop
        return levels


def metrics_of(situation: Situation) -> list[Metric]:
    """Name the metrics: those of fail rules, then those of warn rules, then those without a rule."""
    if situation.one_rule:
        return [Metric(f"slice_{number:02}_accuracy") for number in range(situation.failing)]
    names = [*_RULED[: situation.failing], *_WARNED[: situation.warning], *_UNRULED[: situation.unruled]]
    return [Metric(f"val_{name}", name in _LOWER) for name in names]


def contract_of(situation: Situation, number: int) -> Model:
    """Write the contract of one of the models."""
    metrics = metrics_of(situation)
    tolerance = Tolerance(situation.tolerance * SPREAD)
    rules = [
        Rule(
            one.name,
            HigherOrLower.LOWER if one.lower else HigherOrLower.HIGHER,
            worse_by=tolerance,
            then=Then.FAIL if place < situation.failing else Then.WARN,
        )
        for place, one in enumerate(metrics[: situation.failing + situation.warning])
    ]
    if situation.one_rule:
        rules = [replace(rules[0], metric="slice_*")]
    return Model(
        f"model-{number}", same_dataset="test", rank_by=metrics[0].name, rank_better=rules[0].better, rules=tuple(rules)
    )
