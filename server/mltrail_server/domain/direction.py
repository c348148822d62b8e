"""Is a higher value of a metric better, or a lower one? The contract says so, or the name shows it or suggests it.

A name that is a known measure's as a whole (`val_roc_auc`, `neg_mean_squared_error`) is not a guess. Where a known
measure appears among other words (`toxicity_f1`), these are taken for labels. The direction is then a guess: pages mark
it as one, and no promotion ranks by it. Where words contradict each other or reverse a measure, the direction stays
unknown, since best and worst must never be swapped.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from . import globs, measures, trace_metrics

if TYPE_CHECKING:
    from mltrail_contract import Model


class Better(StrEnum):
    HIGHER = "higher"
    LOWER = "lower"
    UNKNOWN = "unknown"


class Basis(StrEnum):
    """How a direction is known."""

    STATED = "stated"  # by the contract file or the caller
    KNOWN = "known"  # the whole name is a known measure's
    GUESSED = "guessed"


@dataclass(frozen=True, slots=True)
class MetricDirection:
    """Which way a metric is better, and how that is known."""

    better: Better
    source: Basis

    @property
    def guessed(self) -> bool:
        return self.source is Basis.GUESSED and self.better is not Better.UNKNOWN

    @property
    def certain(self) -> bool:
        """Whether it is reliable enough to choose by."""
        return self.source is not Basis.GUESSED and self.better is not Better.UNKNOWN

    def gain(self, delta: float) -> float:
        """Turn a difference into one that is positive when the metric improved. An unknown direction keeps the sign."""
        return -delta if self.better is Better.LOWER else delta


def _words_of(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TRAIN = _words_of("train training learn")
_SPLITS = (_words_of("val valid validation dev cv oof"), _words_of("test testing eval evaluation holdout"))
_OF_A_SPLIT = _TRAIN.union(*_SPLITS)

_NEUTRAL = _OF_A_SPLIT | _words_of(
    "epoch epochs step steps batch iter iteration iterations fold folds final last best first mean avg "
    "average median min max p50 p75 p90 p95 p99 macro micro weighted sample samples binary multiclass "
    "multilabel ovo ovr overall total global class classes cls label labels head output metric metrics raw "
    "ema swa running smoothed dataset none pct percent percentage v1 v2 at by per of the on for with"
)
"""Words that change nothing: which data, when, and how values were combined."""

_UNITS = _words_of("ms sec secs second seconds us ns minute minutes hour hours kb mb gb bytes usd eur kwh kg")

_TURNING = _words_of(
    "minus neg negative negated inverse inverted inv reciprocal complement complementary not non no without "
    "un anti less free improvement improvements improve improved reduction reductions reduce reduced savings "
    "saving saved save skill gain gains gained lift uplift drop drops dropped decrease decreased decline "
    "increase increased growth change changes changed delta diff difference differences gap ratio relative "
    "better worse decay degradation regression recovery recovered avoided avoidance avoid prevented "
    "prevention tolerance robustness resistance margin headroom threshold target goal limit budget bound "
    "weight weights coefficient coef lambda scale scaling rank ranking patience count counts num number size "
    "std stdev sd var variance stderr sem ci se spread range iqr entropy norm grad gradient lr to until "
    "since before between vs versus against survival survived battery life lifetime uptime alive up lost "
    "forgetting shift drift inflation deficit shortfall removed eliminated cut lowered mitigated mitigation "
    "suppression below above zero exp"
)
"""Words that reverse a measure, or turn it into something other than a quality, such as its spread or its weight."""

_BAD = _words_of(
    "failure failures fail failed fault faults miss misses missed missing wrong bad penalty hallucination "
    "hallucinations timeout timeouts crash crashes defect defects violation violations mistake mistakes risk "
    "bias harm harmful harmfulness leakage noise distortion delay lag jitter cost costs time duration "
    "elapsed memory ram energy co2 emissions residual residuals distance divergence disparity err"
)
_GOOD = _words_of(
    "score scores quality success successes similarity roc likelihood return returns profit revenue "
    "conversion helpfulness win wins utility reliability correct"
)
_LOWER_ALONE = _words_of(
    "time duration elapsed memory ram energy co2 emissions cost costs residual residuals distance divergence "
    "violations mistakes delay lag jitter"
)
_HIGHER_ALONE = _words_of("score scores similarity roc likelihood return returns profit revenue conversion")
_BESIDE = (
    _NEUTRAL
    | _UNITS
    | _words_of(
        "fit inference predict prediction response wall clock run elapsed load loading build cpu gpu peak "
        "used usage request requests data forward backward query queries token tokens api llm cross"
    )
)
"""Next to these, a word such as `time` or `score` still means what it means alone."""

_OF_A_CLASS = _words_of("f1 f1score fbeta fscore precision recall averageprecision ap iou dice jaccard")
"""Measures that are logged per class: next to them, a word for something bad is the name of a class."""
_MAY_BE_A_CLASS = _BAD | _words_of("error errors toxicity latency")

_GENERIC = _words_of("loss losses error errors score scores")
"""`mse_loss` and `auc_score` mean the same as `mse` and `auc`."""

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NOT_WORD = re.compile(r"[\W_]+")
_TURNED = re.compile(
    r"^\s*[-\u2212\u2013!]|^\s*1\s*/|[(^*]\s*[-\u2212\u2013]"  # `-f1`, `1/rmse`, `exp(-loss)`
    r"|(?<![\w.-])(?:1(?:\.0+)?|100)\s*[-\u2212\u2013]\s*[\w(]"  # `1 - f1`
    r"|(?<!valid_)(?<!validation_)(?<=_)1-[a-z(]",  # `val_1-f1`; but `validation_1-auc` is XGBoost's second dataset
    re.IGNORECASE,
)
_MOST_WORDS = 40
_LONGEST = 10  # words of a known measure


def words(name: str) -> list[str]:
    """Split a metric's name into words: `val/F1-score`, `valLoss`, `test_roc_auc`, `BinaryAUROC`."""
    spelled = name.replace("IoU", "Iou").replace("SQuAD", "Squad").replace("mAP", "Map").replace("@", " at ")
    return [word for word in _NOT_WORD.split(_CAMEL.sub("_", spelled).lower()) if word]


@dataclass(frozen=True, slots=True)
class _Measure:
    """A known measure in a name: the words from `start` up to `end`."""

    name: str
    better: Better
    start: int
    end: int


_UNKNOWN = MetricDirection(Better.UNKNOWN, Basis.GUESSED)


@lru_cache(maxsize=16_384)
def direction_by_name(name: str) -> MetricDirection:
    """Find what a name alone shows: the direction of a known measure, a guess, or nothing."""
    if name in trace_metrics.NAMES:
        return MetricDirection(Better.LOWER, Basis.KNOWN)
    found = words(name)
    if not found or len(found) > _MOST_WORDS:
        return _UNKNOWN
    known = _measures(found)
    inside = {place for one in known for place in range(one.start, one.end)}
    rest = [word for place, word in enumerate(found) if place not in inside and not _is_a_mark(word)]
    if _TURNED.search(name) or not _TURNING.isdisjoint(rest):
        return _UNKNOWN
    others = frozenset(rest) - _NEUTRAL
    return _by_measures(name, found, known, others) if known else _by_words(others)


def _by_measures(name: str, found: Sequence[str], known: Sequence[_Measure], others: frozenset[str]) -> MetricDirection:
    directions = {one.better for one in known}
    directions |= {Better.LOWER} if others & _BAD else set()
    directions |= {Better.HIGHER} if others & _GOOD else set()
    if len(directions) > 1:
        return MetricDirection(Better.HIGHER, Basis.GUESSED) if _is_of_a_class(name, found, known, others) else _UNKNOWN
    measures_named = {one.name for one in known}
    labels = others - _GENERIC - (_UNITS if "latency" in measures_named else frozenset())
    whole = not labels and len(measures_named - _GENERIC) <= 1
    return MetricDirection(known[0].better, Basis.KNOWN if whole else Basis.GUESSED)


def _is_a_mark(word: str) -> bool:
    """Whether a word is a number or a single letter, such as the `x` and `2` of `accuracy_x_2`."""
    return word.isdigit() or (len(word) == 1 and word.isascii())


def _measures(found: Sequence[str]) -> list[_Measure]:
    """Find the known measures in a name's words, the longest first, so that none is part of another."""
    beside_a_split = not _OF_A_SPLIT.isdisjoint(found)
    kept: list[_Measure] = []
    for length in range(min(len(found), _LONGEST), 0, -1):
        for start in range(len(found) - length + 1):
            end = start + length
            if any(start < one.end and one.start < end for one in kept):
                continue
            kept += _measure(found, start, end, beside_a_split=beside_a_split)
    return sorted(kept, key=lambda one: one.start)


def _measure(found: Sequence[str], start: int, end: int, *, beside_a_split: bool) -> Iterator[_Measure]:
    """Look the words up, with their numbers (`f 1`) and without (`top 5 accuracy`)."""
    part = found[start:end]
    names = ["".join(part)]
    if len(part) > 1 and not part[0].isdigit() and not part[-1].isdigit():
        names.append("".join(word for word in part if not word.isdigit()))
    for name in names:
        if name in measures.HIGHER:
            yield _Measure(name, Better.HIGHER, start, end)
            return
        if name in measures.LOWER or (beside_a_split and name in measures.LOWER_WITH_A_SPLIT):
            yield _Measure(name, Better.LOWER, start, end)
            return


def _by_words(others: frozenset[str]) -> MetricDirection:
    """Guess from a word such as `time`, where no other word changes its meaning."""
    lower, higher = others & _LOWER_ALONE, others & _HIGHER_ALONE
    if bool(lower) == bool(higher) or others - lower - higher - _BESIDE:
        return _UNKNOWN
    return MetricDirection(Better.LOWER if lower else Better.HIGHER, Basis.GUESSED)


def _is_of_a_class(name: str, found: Sequence[str], known: Sequence[_Measure], others: frozenset[str]) -> bool:
    """Whether a name is a measure of a class that has a bad name, as `toxicity_f1` and `f1/error` are; `f1_error` may
    be an error.
    """
    higher = [one for one in known if one.better is Better.HIGHER]
    lower = {one.name for one in known if one.better is Better.LOWER} | (others & _BAD)
    if len(higher) != 1 or higher[0].name not in _OF_A_CLASS or lower - _MAY_BE_A_CLASS or others & _GOOD:
        return False
    return _ends_neutrally(found[higher[0].end :]) or _is_a_part(higher[0].name, name)


def _ends_neutrally(rest: Sequence[str]) -> bool:
    return all(word in _NEUTRAL or word.isdigit() for word in rest)


def _is_a_part(measure: str, name: str) -> bool:
    """Whether a measure is all that one part of a path such as `f1/error` says."""
    parts = ("".join(word for word in words(part) if word not in _NEUTRAL) for part in name.split("/"))
    return measure in parts


_SHARES = _words_of(
    "accuracy acc precision recall sensitivity specificity f1 f2 fbeta fscore auc auroc auprc roc ap map iou "
    "miou jaccard dice ndcg mrr tpr tnr fpr fnr fdr npv ppv top1 top5 wer cer eer ece coverage misclassification"
)
_PERHAPS_SHARES = _words_of("rate ratio hit hits success win")
"""Words for a share only in a name that is known: a `win_rate`, but not a `learning_rate`."""


def is_rate(name: str) -> bool:
    """Whether a metric is a share between 0 and 1, whose changes are shown in percentage points."""
    found = words(name)
    if not _SHARES.isdisjoint(found):
        return True
    return not _PERHAPS_SHARES.isdisjoint(found) and direction_by_name(name).source is Basis.KNOWN


_NO_PERCENTAGES = _words_of("ndcg mrr")


@lru_cache(maxsize=16_384)
def is_in_points(name: str) -> bool:
    """Whether a difference is written in percentage points; nobody reads an nDCG as a percentage."""
    return is_rate(name) and _NO_PERCENTAGES.isdisjoint(words(name))


_UNIT_NAMES = {
    **dict.fromkeys(("ms", "msec", "milliseconds"), "ms"),
    **dict.fromkeys(("sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("minute", "minutes"), "min"),
    **dict.fromkeys(("hour", "hours"), "h"),
    **dict.fromkeys(("pct", "percent", "percentage"), "pp"),
    **dict(zip(("us", "ns", "kb", "mb", "gb"), ("µs", "ns", "KB", "MB", "GB"), strict=True)),
    **dict(zip(("bytes", "usd", "eur", "kwh", "kg"), ("bytes", "USD", "EUR", "kWh", "kg"), strict=True)),
}


def unit_of(name: str) -> str:
    """Return the unit of a difference, if the name ends with one; "" otherwise. Per cent differ by points."""
    found = words(name)
    return _UNIT_NAMES.get(found[-1], "") if len(found) > 1 else ""


_PRIMARY = (
    *("accuracy", "acc", "f1", "auc", "auroc", "map", "ndcg", "iou", "miou", "dice", "r2", "bleu", "score"),
    *("reward", "rmse", "mse", "mae", "mape", "wer", "perplexity", "logloss", "loss"),
)
_EFFORT = _words_of("time duration elapsed latency memory ram energy co2 emissions cost costs throughput") | _UNITS


@lru_cache(maxsize=16_384)
def is_of_training(name: str) -> bool:
    """Whether a metric is measured on the training data, as its name says: a better fit to them is no better model.

    What training took, such as its time, is no such metric.
    """
    found = words(name)
    return _split(found) > len(_SPLITS) and _EFFORT.isdisjoint(found)


_SYSTEM = "system/"  # MLflow's own measurements of the machine


def is_system(name: str) -> bool:
    return name.startswith(_SYSTEM)


def primary_metric(names: Iterable[str]) -> str | None:
    """Choose the metric that most likely ranks candidates: validation first, then test, then the rest, training last;
    known measures before guesses.
    """
    measured = [name for name in names if not is_system(name) and name not in trace_metrics.NAMES]
    known = [name for name in measured if direction_by_name(name).better is not Better.UNKNOWN]

    def place(name: str) -> tuple[int, bool, tuple[int, int, int, str]]:
        return _split(words(name)), not direction_by_name(name).certain, display_order(name)

    return min(known, key=place, default=None)


def splits(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pair the metrics that exist for training and for validation: `train_acc` and `val_acc`. If there are several for
    other data than training, validation comes before test.
    """
    found: dict[tuple[str, ...], dict[int, str]] = {}
    for name in sorted(names, key=len, reverse=True):
        in_words = words(name)
        rest = tuple(word for word in in_words if word not in _OF_A_SPLIT)
        if len(rest) < len(in_words):
            found.setdefault(rest, {})[_split(in_words)] = name
    of_train = len(_SPLITS) + 1
    held_out = range(len(_SPLITS))
    return sorted(
        (of[of_train], of[min(of.keys() & set(held_out))])
        for of in found.values()
        if of_train in of and of.keys() & set(held_out)
    )


def worth_showing(names: Iterable[str], most: int) -> list[str]:
    """Choose the metrics that most likely rank candidates; MLflow's measurements of the machine come last."""

    def place(name: str) -> tuple[bool, bool, tuple[int, int, int, str]]:
        return is_system(name), direction_by_name(name).better is Better.UNKNOWN, display_order(name)

    return sorted(names, key=place)[:most]


def display_order(name: str) -> tuple[int, int, int, str]:
    """Return the key that sorts metrics by how interesting they are."""
    found = words(name)
    place = next((place for place, word in enumerate(_PRIMARY) if word in found), len(_PRIMARY))
    return _split(found), place, len(found), name


def _split(found: Sequence[str]) -> int:
    for place, split_words in enumerate(_SPLITS):
        if not split_words.isdisjoint(found):
            return place
    return len(_SPLITS) + (not _TRAIN.isdisjoint(found))


def direction_of(metric: str, model: "Model") -> MetricDirection:
    """Find which way a metric is better: from the first rule of the contract that says so, or else from its name."""
    return directions_in([metric], model)[metric]


def directions_of(metrics: Collection[str], models: "Iterable[Model]") -> dict[str, MetricDirection]:
    """Find the same for metrics that several models share. Where their rules disagree, the name decides."""
    stated: dict[str, set[MetricDirection]] = {name: set() for name in metrics}
    for model in models:
        for name, direction in directions_in(metrics, model).items():
            if direction.source is Basis.STATED:
                stated[name].add(direction)
    return {name: found.pop() if len(found) == 1 else direction_by_name(name) for name, found in stated.items()}


def directions_in(metrics: Collection[str], model: "Model") -> dict[str, MetricDirection]:
    """Find the same for several metrics of one model."""
    found: dict[str, MetricDirection] = {}
    if model.rank_by is not None and model.rank_better is not None:
        found[model.rank_by] = MetricDirection(Better(model.rank_better), Basis.STATED)
    for rule in model.rules:
        if rule.better is not None:
            for name in globs.matching(metrics, rule.metric):
                found.setdefault(name, MetricDirection(Better(rule.better), Basis.STATED))
    return {name: found.get(name) or direction_by_name(name) for name in metrics}
