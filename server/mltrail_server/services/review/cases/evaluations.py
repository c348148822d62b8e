"""Find the evaluations of the runs that are compared, and compare them.

Their traces are read in the report's transaction; they are compared afterwards, like tables of cases.
"""

import json
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from mltrail_contract import Evaluation, HigherOrLower, Model, QualityCriteria, Rule
from mltrail_server.domain import globs, trace_metrics
from mltrail_server.domain.cases import evaluate
from mltrail_server.domain.cases.evaluate import TESTS, RunAnswers
from mltrail_server.domain.cases.evaluation import Criterion, EvaluationResult, Sides
from mltrail_server.domain.cases.result import CaseResult
from mltrail_server.domain.comparison import NO_CONTRACT, Comparison
from mltrail_server.domain.grouping import Run, RunState
from mltrail_server.domain.trials import is_of_tests
from mltrail_server.services.review.pipeline_runs import EVALUATION_TAGS
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.review import evaluations

from . import answers
from .sides import Sides as Named
from .sides import sides_of

_, *_CRITERIA_TAGS = EVALUATION_TAGS
_UNNAMED = "evaluation"
_MOST_RUNS = 50
_MOST_EVALUATIONS = 20
_MOST_CRITERIA = 50
_LONGEST_NAME = 250
_COMPARATORS = {"GTE": True, ">=": True, "LTE": False, "<=": False}

Key = tuple[str, str, tuple[int, ...], tuple[int, ...]]


class Asked(NamedTuple):
    """A model whose evaluations are wanted: all runs of the pipeline, and all of the baseline's."""

    model: Model
    compared: Comparison
    here: Sequence[Run]
    baseline: Sequence[Run]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A model's evaluations, and their scorers' tables with those of evaluations that are missing."""

    evaluations: tuple[EvaluationResult, ...] = ()
    tables: tuple[CaseResult, ...] = ()


class _Wanted(NamedTuple):
    evaluation: Evaluation
    before: Sequence[RunAnswers]
    now: Sequence[RunAnswers]
    stated: bool


class Evaluations:
    """What is known of the evaluations of one report, and which of them have to be compared."""

    def __init__(self) -> None:
        self._answers: dict[int, RunAnswers] = {}
        self._known: dict[Key, EvaluationResult] = {}
        self._wanted: dict[Key, _Wanted] = {}

    def of(self, tx: Transaction, asked: Mapping[str, Asked]) -> dict[str, Evaluated]:
        """Return each model's evaluations, those of the contract first. One statement if no run has traces, else up to
        seven.
        """
        sides = {name: _ordered(one) for name, one in asked.items()}
        runs = {run.iid: run for both in sides.values() for side in both for run in side.runs}
        linked = evaluations.linked(tx, list(runs)) if runs else {}
        names = _names(tx, [run for iid, run in runs.items() if iid in linked])
        found: dict[str, list[_Chosen]] = {}
        for name, one in asked.items():
            found[name] = list(_chosen(one.model, *sides[name], names))
        self._read(tx, [run for chosen in found.values() for one in chosen for run in one.runs], linked, names)
        return {
            name: evaluated
            for name, chosen in found.items()
            if (evaluated := self._evaluated(asked[name], chosen)).tables or evaluated.evaluations
        }

    def compare_wanted(self) -> bool:
        """Compare what was asked for and is not known. Returns whether there was anything."""
        wanted, self._wanted = self._wanted, {}
        for key, one in wanted.items():
            self._known[key] = evaluate.evaluate(one.evaluation, one.before, one.now, stated=one.stated)
        return bool(wanted)

    def _read(
        self, tx: Transaction, runs: Iterable[Run], linked: Mapping[int, evaluations.Linked], names: Mapping[int, str]
    ) -> None:
        new = list({run.iid: run for run in runs if run.iid not in self._answers}.values())
        if new:
            self._answers |= answers.read(tx, new, linked, names)

    def _evaluated(self, asked: Asked, chosen: Sequence["_Chosen"]) -> Evaluated:
        results: list[EvaluationResult] = []
        tables: list[CaseResult] = []
        for one in chosen:
            before, now = (
                [found for run in side if _is_evaluation(found := self._answers[run.iid])]
                for side in (one.before, one.now)
            )
            if not now:
                if one.stated or before:
                    tables.append(evaluate.missing(one.evaluation, before=bool(before)))
                continue
            key = (
                one.evaluation.name,
                repr(one.evaluation),  # which has mappings, so that it can't be a key itself
                tuple(each.candidate for each in before),
                tuple(each.candidate for each in now),
            )
            result = self._known.get(key)
            if result is None:
                self._wanted[key] = _Wanted(one.evaluation, before, now, one.stated)
                continue
            runs = {run.iid: run for run in one.runs}
            here = runs[result.candidate]
            there = runs.get(result.baseline) if result.baseline is not None else None
            result = replace(result, traces=_spent(here, there), criteria=criteria_of(asked.model, here, there))
            results.append(result)
            tables += [scorer.result for scorer in result.scorers]
        return Evaluated(tuple(results), tuple(tables))


class Pair(NamedTuple):
    """The evaluation of one run, and that of another if it has one: what a page shows side by side."""

    wanted: _Wanted
    traces: Mapping[str, Sides]
    criteria: tuple[Criterion, ...]

    def compared(self) -> EvaluationResult:
        """Compare the two. This may take some time, so it is not for a transaction."""
        one = self.wanted
        result = evaluate.evaluate(one.evaluation, one.before, one.now, stated=one.stated)
        return replace(result, traces=self.traces, criteria=self.criteria)


def pair(tx: Transaction, here: Run, there: Run | None, models: Iterable[Model]) -> Pair | None:
    """Read the evaluations of two runs, by the first of these models in whose contract it is. None if the run `here`
    has evaluated nothing. Up to seven statements.
    """
    runs = [run for run in (here, there) if run is not None]
    linked = evaluations.linked(tx, [run.iid for run in runs])
    if here.iid not in linked:
        return None
    runs = [run for run in runs if run.iid in linked]
    names = _names(tx, runs)
    found = answers.read(tx, runs, linked, names)
    if not _is_evaluation(found[here.iid]):
        return None
    name = names[here.iid]
    named = [
        (model, one)
        for model in models
        for one in model.evaluations.values()
        if name in globs.matching([name], one.evaluation)
    ]
    model, evaluation = next(iter(named), (NO_CONTRACT, Evaluation(name, name)))
    before = [found[there.iid]] if there is not None and there.iid in found else []
    wanted = _Wanted(evaluation, before, [found[here.iid]], bool(named))
    return Pair(wanted, _spent(here, there), criteria_of(model, here, there))


def has(tx: Transaction, evaluation: Evaluation, runs: Sequence[Run]) -> bool:
    """Whether one of some runs has an evaluation: traces that one of its scorers has judged. Up to six statements."""
    linked = evaluations.linked(tx, [run.iid for run in runs])
    names = _names(tx, [run for run in runs if run.iid in linked])
    asked = [run for run in runs if run.iid in names and globs.matching([names[run.iid]], evaluation.evaluation)]
    found = answers.read(tx, asked[:_MOST_RUNS], linked, names) if asked else {}
    return any(globs.matching_any(one.scorers, evaluation.scorers) for one in found.values())


def _is_evaluation(found: RunAnswers) -> bool:
    """Whether a run's traces were judged at all, or may have been."""
    return bool(found.scorers or found.problem or found.deleted)


class _Chosen(NamedTuple):
    """An evaluation, and the runs on each side that have it, the named one first."""

    evaluation: Evaluation
    before: Sequence[Run]
    now: Sequence[Run]
    stated: bool

    @property
    def runs(self) -> list[Run]:
        return [*self.now[:1], *self.before[:1], *self.now[1:], *self.before[1:]]


class _Side(NamedTuple):
    """The runs of one side that may have evaluations: the best group's first, its named run before the others."""

    runs: Sequence[Run]
    best: Collection[int]  # the numbers of the best group's

    def of(self, name: str, names: Mapping[int, str]) -> list[Run]:
        """Return the runs that have an evaluation: those of the best group, or else the newest other one. What is not a
        candidate but a test of the commit has a run of its own.
        """
        found = [run for run in self.runs if names.get(run.iid) == name]
        return [run for run in found if run.iid in self.best] or found[:1]


def _ordered(asked: Asked) -> tuple[_Side, _Side]:
    """List the runs of this side, and of the baseline."""
    named = sides_of(asked.model, asked.compared) or Named((), ())
    found = []
    for of_best, runs in ((named.now, asked.here), (named.before, asked.baseline)):
        # What has measured a model again speaks for it, and before what its own run has said.
        best = [one for run in of_best for one in (*run.evaluations, run)]
        numbers = {run.iid for run in best}
        others = [run for run in runs if run.iid not in numbers and _counts(run)]
        others.sort(key=lambda run: -run.iid)
        found.append(_Side([*best, *others][:_MOST_RUNS], numbers))
    return found[0], found[1]


def _counts(run: Run) -> bool:
    """Whether a run's evaluation counts beside the best. A test session fails if one of its tests does, which is what
    it is there to say.
    """
    return run.state is RunState.SUCCEEDED or (run.state is RunState.FAILED and is_of_tests(run))


def _names(tx: Transaction, runs: Sequence[Run]) -> dict[int, str]:
    """Name the evaluation of each run: by its dataset, or `tests`."""
    datasets = evaluations.dataset_names(tx, [run.iid for run in runs]) if runs else {}
    found = {}
    for run in runs:
        found[run.iid] = TESTS if is_of_tests(run) else ", ".join(datasets.get(run.iid, ()))[:_LONGEST_NAME] or _UNNAMED
    return found


def _chosen(model: Model, here: _Side, there: _Side, names: Mapping[int, str]) -> Iterable[_Chosen]:
    """Choose the runs of each evaluation: of those that the contract names, and then of all others."""
    known = list(dict.fromkeys(names[run.iid] for run in (*here.runs, *there.runs) if run.iid in names))
    taken_by_contract: set[str] = set()
    for evaluation in model.evaluations.values():
        matching = globs.matching(known, evaluation.evaluation)
        taken_by_contract |= set(matching)
        now = next((found for name in matching if (found := here.of(name, names))), [])
        name = names[now[0].iid] if now else next(iter(matching), "")
        before = there.of(name, names) or next((found for one in matching if (found := there.of(one, names))), [])
        yield _Chosen(evaluation, before, now, stated=True)
    taken = model.evaluations.keys() | model.cases.keys()
    for name in [one for one in known if one not in taken_by_contract][:_MOST_EVALUATIONS]:
        shown = f"{name} (dataset)" if name in taken else name
        yield _Chosen(Evaluation(shown, name), there.of(name, names), here.of(name, names), stated=False)


_AGGREGATES = ("mean", "min", "max", "median", "variance", "p90")


def metrics_of_scorers(evaluated: Evaluated, metrics: Iterable[str]) -> set[str]:
    """List the metrics that clients have computed from what scorers said (`correctness/mean`), and what traces have
    taken, which an evaluation shows itself.
    """
    if not evaluated.evaluations:
        return set()
    scorers = {one.name for each in evaluated.evaluations for one in each.scorers}
    found = set()
    for metric in metrics:
        scorer, _, aggregate = metric.rpartition("/")
        if evaluated.evaluations and (
            metric in trace_metrics.NAMES or (scorer in scorers and aggregate in _AGGREGATES)
        ):
            found.add(metric)
    return found


def declared_rules(evaluated: Evaluated) -> list[Rule]:
    """Make rules of the bars that runs have declared, each once."""
    found = {}
    for criterion in (one for each in evaluated.evaluations for one in each.criteria):
        metric = _GLOB.sub(r"[\g<0>]", criterion.metric)
        better = HigherOrLower.HIGHER if criterion.at_least else HigherOrLower.LOWER
        bars = {"at_least" if criterion.at_least else "at_most": criterion.threshold}
        found[metric, better] = Rule(metric, better=better, at_least=bars.get("at_least"), at_most=bars.get("at_most"))
    return list(found.values())


_GLOB = re.compile(r"[*?[]")


def _spent(here: Run, there: Run | None) -> dict[str, Sides]:
    """Put what traces have taken on both sides beside each other."""
    found = {}
    for name in trace_metrics.NAMES:
        now, before = (_known(run.metrics.get(name)) if run is not None else None for run in (here, there))
        if now is not None or before is not None:
            found[name] = Sides(now, before)
    return found


def _known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def criteria_of(model: Model, here: Run, there: Run | None) -> tuple[Criterion, ...]:
    """Read the bars that a run has declared itself, in tags that its own jobs have set."""
    before = {(one.metric, one.at_least): one.threshold for one in _declared(there)} if there is not None else {}
    gates = model.quality_criteria is QualityCriteria.ACCEPT
    return tuple(
        replace(
            one, value=_known(here.metrics.get(one.metric)), before=before.get((one.metric, one.at_least)), gates=gates
        )
        for one in _declared(here)
    )


def _declared(run: Run) -> list[Criterion]:
    found: dict[tuple[str, bool], Criterion] = {}
    for tag in _CRITERIA_TAGS:
        for rule in _rules(run.tags.get(tag, ""))[:_MOST_CRITERIA]:
            if isinstance(rule, dict) and (made := _criterion(rule)) is not None:
                found.setdefault((made.metric, made.at_least), made)
    return list(found.values())


def _rules(text: str) -> list[object]:
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return []
    rules = found.get("rules") if isinstance(found, dict) else None
    return rules if isinstance(rules, list) else []


def _criterion(rule: Mapping[str, object]) -> Criterion | None:
    metric, threshold = rule.get("metricKey"), rule.get("threshold")
    at_least = _COMPARATORS.get(str(rule.get("comparator")))
    if not isinstance(metric, str) or not 0 < len(metric) <= _LONGEST_NAME or at_least is None:
        return None
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not math.isfinite(threshold):
        return None
    return Criterion(metric, at_least, float(threshold), None)
