"""The metrics of a table of cases, as functions of sums over its cases."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .bootstrap import Sums
from .comparison import CaseMetric
from .table import Answer

_SURE = 1e-15
"""Log loss is infinite for a certainty that was wrong; a probability is kept this far from 0 and 1."""
_POSITIVE = frozenset({"1", "true", "yes", "positive"})

Part = Callable[[str | None, Answer], Sums | None]
Metric = Callable[[Sequence[float]], float]


@dataclass(frozen=True, slots=True)
class Summed:
    """`part` is what an answer adds to the sums (None if it lacks what the metric needs), `metric` what they make."""

    name: CaseMetric
    part: Part
    metric: Metric


def positive_of(labels: set[str | None]) -> str | None:
    """Guess which of two labels is the positive class."""
    found = [label for label in labels if label is not None and label.casefold() in _POSITIVE]
    return found[0] if len(found) == 1 and len(labels) <= 2 else None


def _right(label: str | None, answer: Answer) -> float | None:
    """1 for a right answer and 0 for a wrong one; no answer is wrong."""
    return None if label is None else float(label == answer.prediction)


def summed(metric: CaseMetric, classes: Sequence[str], positive: str | None) -> Summed | None:
    """Return how to compute a metric. None if it needs a positive class and there is none, or for AUC."""
    if metric in _MEANS:
        part, finish = _MEANS[metric]
        return Summed(metric, _mean_of(part), finish)
    if metric is CaseMetric.MACRO_F1:
        return Summed(metric, _by_class(classes), _macro_f1)
    if positive is None:
        return None
    if metric in _OF_COUNTS:
        return Summed(metric, _counting(positive), _OF_COUNTS[metric])
    if metric in _OF_PROBABILITIES:
        return Summed(metric, _mean_of(_loss(_OF_PROBABILITIES[metric], positive)), _mean)
    return None


def _mean(sums: Sequence[float]) -> float:
    return sums[0] / sums[1] if sums[1] else 0.0


def _root_of_mean(sums: Sequence[float]) -> float:
    return math.sqrt(max(0.0, _mean(sums)))


def _f1(sums: Sequence[float]) -> float:
    hits, predicted, actual = sums
    return 2 * hits / (predicted + actual) if hits > 0 else 0.0


def _precision(sums: Sequence[float]) -> float:
    return sums[0] / sums[1] if sums[0] > 0 else 0.0


def _recall(sums: Sequence[float]) -> float:
    return sums[0] / sums[2] if sums[0] > 0 else 0.0


def _macro_f1(sums: Sequence[float]) -> float:
    """The mean over the classes that occur, as a label or as a prediction."""
    each = [sums[first : first + 3] for first in range(0, len(sums), 3)]
    present = [_f1(one) for one in each if one[1] + one[2] > 0]
    return math.fsum(present) / len(present) if present else 0.0


LARGEST = 1e30
"""No score and no error is larger: cubes of sums of squares are computed, which would be infinite."""


def _mean_of(part: Callable[[str | None, Answer], float | None]) -> Part:
    def with_count(label: str | None, answer: Answer) -> Sums | None:
        found = part(label, answer)
        return None if found is None else (found, 1.0)

    return with_count


def _score(_label: str | None, answer: Answer) -> float | None:
    return answer.score


def _absolute_error(label: str | None, answer: Answer) -> float | None:
    error = _error(label, answer)
    return None if error is None else abs(error)


def _squared_error(label: str | None, answer: Answer) -> float | None:
    error = _error(label, answer)
    return None if error is None else error**2


def _error(label: str | None, answer: Answer) -> float | None:
    try:
        error = float(answer.prediction or "") - float(label or "")
    except ValueError:
        return None
    return error if abs(error) <= LARGEST else None


def _loss(loss: Callable[[float], float], positive: str) -> Callable[[str | None, Answer], float | None]:
    """`loss` takes the probability that the model gave to the true class."""

    def of_answer(label: str | None, answer: Answer) -> float | None:
        if label is None or answer.score is None or not 0 <= answer.score <= 1:
            return None
        return loss(answer.score if label == positive else 1 - answer.score)

    return of_answer


def _counting(positive: str) -> Part:
    def count(label: str | None, answer: Answer) -> Sums | None:
        if label is None:
            return None
        predicted, actual = answer.prediction == positive, label == positive
        return float(predicted and actual), float(predicted), float(actual)

    return count


def _by_class(classes: Sequence[str]) -> Part:
    place = {name: 3 * number for number, name in enumerate(classes)}
    known: dict[tuple[str, str | None], Sums] = {}

    def count(label: str | None, answer: Answer) -> Sums | None:
        if label is None:
            return None
        if (label, answer.prediction) not in known:
            known[label, answer.prediction] = row(label, answer.prediction)
        return known[label, answer.prediction]

    def row(label: str, prediction: str | None) -> Sums:
        sums = [0.0] * (3 * len(place))
        sums[place[label] + 2] = 1.0
        if prediction is not None:
            sums[place[prediction] + 1] = 1.0
        if prediction == label:
            sums[place[label]] = 1.0
        return tuple(sums)

    return count


_MEANS: dict[CaseMetric, tuple[Callable[[str | None, Answer], float | None], Metric]] = {
    CaseMetric.ACCURACY: (_right, _mean),
    CaseMetric.MEAN_SCORE: (_score, _mean),
    CaseMetric.MEAN_ABSOLUTE_ERROR: (_absolute_error, _mean),
    CaseMetric.ROOT_MEAN_SQUARED_ERROR: (_squared_error, _root_of_mean),
}
_OF_COUNTS: dict[CaseMetric, Metric] = {
    CaseMetric.F1: _f1,
    CaseMetric.PRECISION: _precision,
    CaseMetric.RECALL: _recall,
}
_OF_PROBABILITIES: dict[CaseMetric, Callable[[float], float]] = {
    CaseMetric.LOG_LOSS: lambda given: -math.log(max(given, _SURE)),
    CaseMetric.BRIER: lambda given: (1 - given) ** 2,
}
