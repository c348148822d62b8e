"""Which way a metric shall go, guessed from the names that people give."""

import pytest

from mltrail_server.domain.direction import Direction, guess, is_rate, primary

HIGHER = [
    *("accuracy", "val_acc", "test/F1-score", "roc_auc", "valAUC", "r2", "BLEU", "mAP", "ndcg@10", "eval_reward"),
    *("neg_mean_squared_error", "throughput_rows", "top1"),
]
LOWER = [
    *("loss", "valLoss", "val/log_loss", "RMSE", "test_mean_absolute_error", "latency_p95_ms", "fit_time", "wer"),
    *("perplexity", "error_rate", "accuracy_loss", "neg_log_likelihood", "time_to_accuracy", "score_time"),
]
UNKNOWN = ["epoch", "learning_rate", "lr", "batch_size", "n_estimators", "metric", "x", "", "损失", "lossless_bits"]


@pytest.mark.parametrize("name", HIGHER)
def test_higher_is_better(name: str) -> None:
    assert guess(name).direction is Direction.HIGHER


@pytest.mark.parametrize("name", LOWER)
def test_lower_is_better(name: str) -> None:
    assert guess(name).direction is Direction.LOWER


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_a_name_does_not_tell_stays_unknown(name: str) -> None:
    assert guess(name).direction is Direction.UNKNOWN


def test_a_guess_is_marked_as_one() -> None:
    assert guess("accuracy").guessed


@pytest.mark.parametrize(
    ("names", "ranks"),
    [
        ({"train_accuracy", "val_accuracy", "test_accuracy"}, "val_accuracy"),
        ({"train_loss", "test_loss"}, "test_loss"),
        ({"val_loss", "val_accuracy", "val_f1"}, "val_accuracy"),
        ({"accuracy", "fit_time"}, "accuracy"),
        ({"train_accuracy", "auc"}, "auc"),
        ({"epoch", "lr"}, None),
        ({"system/cpu_time"}, None),
        (set(), None),
    ],
)
def test_validation_ranks_before_test_and_training_last(names: set[str], ranks: str | None) -> None:
    assert primary(names) == ranks


def test_rates_are_told_from_amounts() -> None:
    assert all(map(is_rate, ("val_accuracy", "f1", "error_rate", "wer")))
    assert not any(map(is_rate, ("loss", "rmse", "r2", "latency_ms")))
