"""What one side's answers add to a metric, case by case and cluster by cluster."""

import math
import random
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from . import roc
from .bootstrap import Sums, jackknife
from .crossed import RunOnCases
from .metrics import Summed
from .table import Answer

_WIDE = 64
"""A metric made of more sums than this (a macro average over many classes) is summed over groups of clusters."""
_MOST_GROUPS = 1000
_SEED = 20


class Answered(NamedTuple):
    """What a side answered to a case, once or several times."""

    cluster: str
    label: str | None
    answers: tuple[Answer, ...]


def parts(side: Iterable[Answered], how: Summed) -> list[Sums] | None:
    """Return what each case adds to a metric's sums; several answers add their mean. None if a case lacks something."""
    found: list[Sums] = []
    for one in side:
        if len(one.answers) == 1:
            part = how.part(one.label, one.answers[0])
            if part is None:
                return None
            found.append(part)
            continue
        known = [part for part in (how.part(one.label, answer) for answer in one.answers) if part is not None]
        if len(known) < len(one.answers):
            return None
        found.append(tuple(part / len(known) for part in total(known)))
    return found


def total(rows: Iterable[Sums]) -> Sums:
    """Add up rows."""
    return tuple(math.fsum(column) for column in zip(*rows, strict=True))


def by_cluster(side: Iterable[Answered], rows: Sequence[Sums]) -> list[Sums]:
    """Add up the rows of each cluster's cases, in the order of the clusters' names."""
    members: dict[str, list[Sums]] = {}
    for one, row in zip(side, rows, strict=True):
        members.setdefault(one.cluster, []).append(row)
    clusters = [members[name] for name in sorted(members)]
    if len(rows[0]) > _WIDE and len(clusters) > _MOST_GROUPS:
        random.Random(_SEED).shuffle(clusters)  # noqa: S311  no secret
        clusters = [[row for one in clusters[first::_MOST_GROUPS] for row in one] for first in range(_MOST_GROUPS)]
    return [one[0] if len(one) == 1 else total(one) for one in clusters]


def area(side: Iterable[Answered], positive: str) -> roc.Area | None:
    """Return the area under a side's ROC curve. None if a case has no label or no score, or all are of one kind."""
    scored: list[roc.Scored] = []
    for one in side:
        for answer in one.answers:
            if answer.score is None or one.label is None:
                return None
            scored.append(roc.Scored(one.cluster, one.label == positive, answer.score))
    return roc.area(scored)


def area_on_cases(side: Iterable[Answered], positive: str) -> RunOnCases | None:
    """Return a run's area under the ROC curve, and how far each cluster moves it."""
    found = area(side, positive)
    if found is None:
        return None
    influences = found.influences
    return RunOnCases(found.area, [influences[name] for name in sorted(influences)])


def metric_on_cases(side: Sequence[Answered], how: Summed) -> RunOnCases | None:
    """Return a run's metric, and how far each cluster moves it."""
    rows = parts(side, how)
    if not rows:
        return None
    return RunOnCases(how.metric(total(rows)), jackknife(by_cluster(side, rows), how.metric))
