"""Is a higher value of a metric better, or a lower one? Guessed from its name as long as nobody has said it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Direction(StrEnum):
    HIGHER = "higher"
    LOWER = "lower"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Goal:
    """Which way a metric shall go. `guessed` when only its name says so."""

    direction: Direction
    guessed: bool

    def gain(self, delta: float) -> float:
        """Turn a difference into one that is positive when things got better. An unknown direction keeps the sign."""
        return -delta if self.direction is Direction.LOWER else delta


def _words_of(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LOWER = _words_of(
    "loss losses logloss err error errors mse rmse mae mape smape wape rmsle msle rmsd wer cer ter eer ece perplexity "
    "ppl entropy crossentropy nll brier deviance divergence kl fid distance hausdorff hinge hamming misclassification "
    "regret fpr fnr fdr bpc bpb latency time duration elapsed seconds secs ms memory energy co2 emissions cost "
    "residual bias mistakes violations pinball toxicity"
)
_HIGHER = _words_of(
    "accuracy acc precision recall sensitivity specificity f1 f2 fbeta fscore auc auroc auprc roc pr ap map r2 score "
    "bleu rouge rouge1 rouge2 rougel meteor cider chrf iou miou jaccard dice ndcg dcg mrr hit hits kappa mcc matthews "
    "tpr tnr npv ppv top1 top5 likelihood reward return returns success throughput coverage correlation pearson "
    "spearman kendall gini lift psnr ssim explained silhouette completeness homogeneity purity uplift win profit "
    "revenue conversion faithfulness"
)
_NEGATED = frozenset({"neg", "negative", "minus"})

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NOT_WORD = re.compile(r"[^a-z0-9]+")


def words(name: str) -> list[str]:
    """Split a metric's name as people write them: `val/F1-score`, `valLoss`, `test_roc_auc`."""
    return [word for word in _NOT_WORD.split(_CAMEL.sub("_", name).lower()) if word]


def guess(name: str) -> Goal:
    """Guess from the name. A word for something bad (a loss, an error, a time) outweighs one for something good."""
    found = words(name)
    direction = Direction.UNKNOWN
    if not _LOWER.isdisjoint(found) or "log loss" in " ".join(found):
        direction = Direction.LOWER
    elif not _HIGHER.isdisjoint(found):
        direction = Direction.HIGHER
    if not _NEGATED.isdisjoint(found):
        # scikit-learn's `neg_mean_squared_error`, where higher is better; `neg_log_likelihood`, where lower is.
        direction = {Direction.LOWER: Direction.HIGHER, Direction.HIGHER: Direction.LOWER}.get(direction, direction)
    return Goal(direction, guessed=True)


_RATES = _words_of(
    "accuracy acc precision recall sensitivity specificity f1 f2 fbeta fscore auc auroc auprc roc ap map iou miou "
    "jaccard dice ndcg mrr hit hits tpr tnr fpr fnr fdr npv ppv top1 top5 wer cer eer ece rate ratio coverage success "
    "win misclassification"
)


def is_rate(name: str) -> bool:
    """Tell whether a metric is a share between 0 and 1, whose changes are told in percentage points."""
    return not _RATES.isdisjoint(words(name))


_SPLITS = (frozenset({"val", "valid", "validation", "dev", "cv"}), frozenset({"test", "eval", "holdout"}))
_TRAIN = frozenset({"train", "training"})
_PRIMARY = (
    *("accuracy", "acc", "f1", "auc", "auroc", "map", "ndcg", "iou", "miou", "dice", "r2", "bleu", "score"),
    *("reward", "rmse", "mse", "mae", "mape", "wer", "perplexity", "logloss", "loss"),
)
_SYSTEM = "system/"  # MLflow's own measurements of the machine


def is_system(name: str) -> bool:
    return name.startswith(_SYSTEM)


def primary(names: set[str]) -> str | None:
    """Choose the metric that most likely ranks candidates: validation before test before the rest, training last."""
    known = [name for name in names if guess(name).direction is not Direction.UNKNOWN and not is_system(name)]
    return min(known, key=rank, default=None)


def worth_showing(names: Iterable[str], most: int) -> list[str]:
    """Choose the metrics that most likely rank candidates; what MLflow measures of the machine comes last."""

    def place(name: str) -> tuple[bool, bool, tuple[int, int, int, str]]:
        return is_system(name), guess(name).direction is Direction.UNKNOWN, rank(name)

    return sorted(names, key=place)[:most]


def rank(name: str) -> tuple[int, int, int, str]:
    """Give the sort key by which metrics stand in the order of what they are worth looking at."""
    found = words(name)
    split = 3 if not _TRAIN.isdisjoint(found) else 2
    for place, split_words in enumerate(_SPLITS):
        if not split_words.isdisjoint(found):
            split = place
    place = next((place for place, word in enumerate(_PRIMARY) if word in found), len(_PRIMARY))
    return split, place, len(found), name
