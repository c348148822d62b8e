"""Compare two models, or two sets of runs, case by case."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from . import metrics, roc, sides
from .bootstrap import bootstrap
from .comparison import CaseComparison, CaseEvidence, CaseMetric, Counts, Method
from .crossed import RunOnCases, cross
from .metrics import Summed
from .pairing import Paired, PairedCase, align, pair
from .right_or_wrong import McNemarEvidence, Strictest, TangoEvidence
from .sides import Answered
from .sign_flips import flip
from .table import Answer, Case


def compare(pairs: Paired, metric: CaseMetric, *, positive: str | None = None) -> CaseComparison | None:
    """Compare two named models. None if the metric can't be computed from these cases, or if they aren't comparable.

    `positive` is the label of the positive class, for metrics that have one; `1` or `true` is found without.
    """
    if pairs.not_comparable:
        return None
    if metric is CaseMetric.ACCURACY:
        return of_right_or_wrong(pairs)
    before = [Answered(one.cluster, one.label, one.before) for one in pairs.cases]
    now = [Answered(one.cluster, one.label, one.now) for one in pairs.cases]
    positive = positive or metrics.positive_of({one.label for one in now})
    if metric is CaseMetric.AUC:
        return _of_areas(pairs, before, now, positive)
    how = metrics.summed(metric, _classes(metric, [before, now]), positive)
    return None if how is None else _of_sums(pairs, before, now, how)


def of_right_or_wrong(pairs: Paired) -> CaseComparison | None:
    """Compare two named models' right and wrong answers. None if there are no labels or no predictions."""
    rights = _rights(pairs.cases)
    if pairs.not_comparable or not rights:
        return None
    before, now = (math.fsum(column) / len(rights) for column in zip(*rights, strict=True))
    changes = [new - old for old, new in rights]
    fixed = math.fsum(change for change in changes if change > 0)
    tango = TangoEvidence(fixed, fixed - math.fsum(changes), len(rights))
    if pairs.clustered or pairs.repeated:
        return _found(
            pairs, CaseMetric.ACCURACY, (before, now), Method.SIGN_FLIPS, Strictest((_flipped(pairs, changes), tango))
        )
    counts = _counts(rights)
    exact = McNemarEvidence(counts.fixed, counts.broke, counts.n)
    return _found(pairs, CaseMetric.ACCURACY, (before, now), Method.MCNEMAR, Strictest((tango, exact)))


def compare_runs(
    before: Sequence[Sequence[Case]],
    now: Sequence[Sequence[Case]],
    metric: CaseMetric,
    *,
    positive: str | None = None,
    pairs: Paired | None = None,
) -> CaseComparison | None:
    """Compare several runs a side on the same cases; the first of each is the named model. `pairs` are these two, if
    they have been aligned before.

    `about_the_change` of the result stays None unless a side has several runs, which differ, and all runs answered some
    cases in common.
    """
    named = compare(pairs or pair(before[0], now[0]), metric, positive=positive)
    cases = align([*before, *now])
    if named is None or not cases:
        return named
    numbers = range(len(before) + len(now))
    tables = [[Answered(one.cluster, one.label, one.answers[number]) for one in cases] for number in numbers]
    positive = positive or metrics.positive_of({one.label for one in tables[0]})
    known = [run for run in _on_cases(tables, metric, positive) if run is not None]
    if len(known) < len(tables):
        return named
    change = cross(known[: len(before)], known[len(before) :])
    return replace(named, about_the_change=change, answered_by_all=len(cases))


def _on_cases(
    tables: Sequence[Sequence[Answered]], metric: CaseMetric, positive: str | None
) -> list[RunOnCases | None]:
    """Say of each run what it is on each case; nothing where the metric can't be computed so."""
    if metric is CaseMetric.AUC:
        return [sides.area_on_cases(table, positive) for table in tables if positive is not None]
    how = metrics.summed(metric, _classes(metric, tables), positive)
    return [sides.metric_on_cases(table, how) for table in tables if how is not None]


def _found(
    pairs: Paired, metric: CaseMetric, values: tuple[float, float], method: Method, evidence: CaseEvidence
) -> CaseComparison:
    rights = _rights(pairs.cases)
    return CaseComparison(
        metric=metric,
        before=values[0],
        now=values[1],
        cases=len(pairs.cases),
        clusters=len({one.cluster for one in pairs.cases}),
        changed=sum(_differ(one.before, one.now) for one in pairs.cases),
        method=method,
        evidence=evidence,
        counts=_counts(rights) if rights else None,
    )


def _differ(before: Sequence[Answer], now: Sequence[Answer]) -> bool:
    """Whether a case's answers differ. Answering alike more often, or in another order, is no difference."""
    if before == now or len(before) == len(now) == 1:
        return before != now
    old, new = Counter(before), Counter(now)
    return any(old[answer] * len(now) != new[answer] * len(before) for answer in old.keys() | new.keys())


def _of_areas(
    pairs: Paired, before: Iterable[Answered], now: Iterable[Answered], positive: str | None
) -> CaseComparison | None:
    if positive is None:
        return None
    old, new = sides.area(before, positive), sides.area(now, positive)
    if old is None or new is None:
        return None
    return _found(pairs, CaseMetric.AUC, (old.area, new.area), Method.DELONG, roc.compare_areas(old, new))


def _of_sums(pairs: Paired, before: Sequence[Answered], now: Sequence[Answered], how: Summed) -> CaseComparison | None:
    old, new = sides.parts(before, how), sides.parts(now, how)
    if old is None or new is None:
        return None
    values = how.metric(sides.total(old)), how.metric(sides.total(new))
    if how.name is CaseMetric.MEAN_SCORE:
        changes = [later[0] - earlier[0] for earlier, later in zip(old, new, strict=True)]
        return _found(pairs, how.name, values, Method.SIGN_FLIPS, _flipped(pairs, changes))
    width = len(old[0])
    clusters = sides.by_cluster(now, [(*earlier, *later) for earlier, later in zip(old, new, strict=True)])
    evidence = bootstrap(clusters, lambda sums: how.metric(sums[width:]) - how.metric(sums[:width]))
    return _found(pairs, how.name, values, Method.BOOTSTRAP, evidence)


def _flipped(pairs: Paired, changes: Sequence[float]) -> CaseEvidence:
    now = [Answered(one.cluster, one.label, one.now) for one in pairs.cases]
    return flip([(change, size) for change, size in sides.by_cluster(now, [(change, 1.0) for change in changes])])


def _classes(metric: CaseMetric, tables: Iterable[Sequence[Answered]]) -> list[str]:
    if metric is not CaseMetric.MACRO_F1:
        return []
    names = {name for table in tables for one in table for name in (one.label, *_predictions(one.answers))}
    return sorted(name for name in names if name is not None)


def _predictions(answers: Iterable[Answer]) -> list[str | None]:
    return [answer.prediction for answer in answers]


def _rights(cases: Iterable[PairedCase]) -> list[tuple[float, float]]:
    """The share of right answers to each case, before and now. Empty if there are no labels, or no predictions."""
    found: list[tuple[float, float]] = []
    predicted = False
    for one in cases:
        if one.label is None:
            return []
        predictions = _predictions(one.before), _predictions(one.now)
        predicted = predicted or any(prediction is not None for side in predictions for prediction in side)
        before, now = (side.count(one.label) / len(side) for side in predictions)
        found.append((before, now))
    return found if predicted else []


def _counts(rights: Sequence[tuple[float, float]]) -> Counts:
    broke = sum(now < before for before, now in rights)
    fixed = sum(now > before for before, now in rights)
    right = sum(before == now and now >= 0.5 for before, now in rights)
    return Counts(broke, fixed, right, len(rights) - broke - fixed - right)
