"""Which way a metric is better: known by its whole name, guessed from a part of it, or unknown; never swapped."""

import json
import subprocess
from pathlib import Path

import pytest

from mltrail_server.domain.direction import Basis, Better, is_rate, primary_metric
from mltrail_server.domain.direction import direction_by_name as by_name
from tests.places import TRAIN_PYTHON

HERE = Path(__file__)

LIBRARIES = json.loads(HERE.with_name("known_measures.json").read_text())
"""Names under which libraries log what they measure, by what they say themselves (`higher_is_better` in torchmetrics,
`greater_is_better` in MLflow), except for four of torchmetrics that it says otherwise than those who invented them.
"""
NAMED = [(name, way) for library in LIBRARIES.values() for way, names in library.items() for name in names]


def _names(text: str) -> list[str]:
    return text.split()


KNOWN_HIGHER = _names("""
accuracy val_acc test/F1-score roc_auc valAUC r2 BLEU mAP ndcg@10 eval_reward top1 neg_mean_squared_error
test_neg_log_loss d2_absolute_error_score d2_log_loss_score d2_brier_score d2_pinball_score brier_skill_score
f1_macro f1/class_2 mIoU recall@5 explained_variance top_5_accuracy precision_at_recall pass@1 f0.5_score
silhouette_score cv_f1_weighted acc_norm,none validation_1-auc rougeL/v1/mean balanced-accuracy ROC_AUC RocAuc
psnr neg_negative_likelihood_ratio
""")
KNOWN_LOWER = _names("""
loss valLoss val/log_loss RMSE test_mean_absolute_error latency_p95_ms fit_time wer perplexity error_rate
neg_log_likelihood score_time max_error brier_score brier_score_loss davies_bouldin_score label_ranking_loss
coverage_error zero_one_loss negative_likelihood_ratio false_positive_rate word_error_rate relative_error
noise_sensitivity mse_loss loss_epoch
""")
GUESSED = {
    Better.HIGHER: _names("""
toxicity_f1 error/recall f1/error error_f1-score latency/precision churn_f1 accuracy_eu throughput_rows
"""),
    Better.LOWER: _names("""
val/box_loss rmse_berlin inference_time_ms training_cost gpu_memory_mb discriminator_loss
"""),
}
UNKNOWN = _names("""
epoch learning_rate lr batch_size n_estimators metric x lossless_bits coverage policy_entropy accuracy_loss
time_to_accuracy cost_savings error_reduction loss_improvement time_to_failure latency_score toxicity_score
mean_time_between_failures f1_error accuracy_gap f1_std val_loss_std auc_variance rmse_stderr loss_scale
loss_weight recall_threshold early_stopping_patience neg_loss negative_f1 minus_rmse inverse_rmse
inverted_accuracy complement_accuracy skill_of_rmse information_gain f1_improvement mae_reduction
error_free_rate risk_score anomaly_score loss_reduction lossImprovement costSavings error_savings grad_norm
num_f1 loss/dice f1_loss accuracy_error accuracy_drop forgetting_accuracy best_of_time_saved battery_time
survival_time
""")
SPELLED = [
    "",
    "1-f1",
    "1 - accuracy",
    "val/1-f1",
    "1.0-auc",
    "100 - accuracy",
    "val_1-f1",
    "one_minus_auc",
    "1-(f1)",
    "-loss",
    "-f1",
]
SPELLED += [
    "\u2212rmse",
    "1/rmse",
    "exp(-loss)",
    "损失",
    "非loss",
    "非_loss_非",
    "!accuracy",
    "loss^-1",
    "a" * 5000,
    "_".join(["f1"] * 50),
]


def test_the_whole_name_of_a_known_measure_is_no_guess() -> None:
    for names, direction in ((KNOWN_HIGHER, Better.HIGHER), (KNOWN_LOWER, Better.LOWER)):
        assert [(name, by_name(name)) for name in names if by_name(name).source is not Basis.KNOWN] == []
        assert [name for name in names if by_name(name).better is not direction] == []


@pytest.mark.parametrize("direction", GUESSED)
def test_a_known_measure_among_labels_is_guessed(direction: Better) -> None:
    found = {name: by_name(name) for name in GUESSED[direction]}
    assert {one.better for one in found.values()} == {direction}
    assert [name for name, one in found.items() if one.certain or not one.guessed] == []


@pytest.mark.parametrize("name", [*UNKNOWN, *SPELLED])
def test_a_name_that_contradicts_itself_or_says_nothing_stays_unknown(name: str) -> None:
    found = by_name(name)
    assert (found.better, found.certain, found.guessed) == (Better.UNKNOWN, False, False) or name == "非_loss_非"
    assert not found.certain


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_libraries_log_goes_the_way_that_they_say(library: str) -> None:
    wrong = [
        (name, way, by_name(name))
        for way, names in LIBRARIES[library].items()
        for name in names
        if by_name(name).better != way or (by_name(name).source is not Basis.KNOWN and "Curve" not in name)
    ]
    assert wrong == []


BEFORE = ("", "val_", "test/", "train-", "eval_", "Validation ", "cv_mean_", "fold_3_", "best_", "final/")
AFTER = ("", "_epoch", "_mean", "/macro", "_weighted", "_class_2", "_0", " (avg)", "@5", "_p95", "_step")


def test_what_people_put_around_a_measure_changes_nothing() -> None:
    expected = {f"{before}{known}{after}": way for known, way in NAMED for before in BEFORE for after in AFTER}
    found = {name: by_name(name).better for name in expected}
    assert [name for name, way in expected.items() if found[name] not in (way, Better.UNKNOWN)] == []
    unknown = [name for name in expected if found[name] is Better.UNKNOWN]
    assert len(unknown) < len(expected) / 100, unknown[:20]


TURNED = (
    "{}_improvement",
    "{}_reduction",
    "reduced_{}",
    "{}_savings",
    "1-{}",
    "1 - {}",
    "minus_{}",
    "inverse_{}",
    "{}_complement",
)
TURNED += (
    "{}_std",
    "{}_variance",
    "{}_gap",
    "{}_delta",
    "delta {}",
    "{}Change",
    "time_to_{}",
    "negative_{}",
    "{}_gain",
    "{}_skill",
)


def test_words_that_turn_a_measure_round_leave_it_unknown() -> None:
    wrong = [
        name
        for known, _ in NAMED
        for turned in TURNED
        if by_name(name := turned.format(known)).better is not Better.UNKNOWN
    ]
    assert wrong == []


BAD = ("error", "loss", "cost", "latency", "toxicity", "failure", "time", "risk", "penalty", "rmse")
GOOD = ("accuracy", "score", "quality", "reward", "auc", "similarity", "r2", "success")


def test_contradicting_words_are_never_taken_for_one_of_them() -> None:
    pairs = [(a, b) for bad in BAD for good in GOOD for a, b in ((bad, good), (good, bad))]
    names = [f"{a}{mark}{b}" for a, b in pairs for mark in ("_", "/", " ", "-")] + [f"{a}{b.title()}" for a, b in pairs]
    wrong = {name for name in names if by_name(name).better is not Better.UNKNOWN}
    assert wrong <= {"score_time", "score/time", "score time", "score-time", "scoreTime"}  # scikit-learn's, a time


@pytest.mark.train
def test_scikit_learn_says_the_same_of_its_scorers_and_measures() -> None:
    script = """
import json
from sklearn import metrics
signs = {name: metrics.get_scorer(name)._sign for name in metrics.get_scorer_names()}
assert all((sign < 0) == name.startswith("neg_") for name, sign in signs.items())
ends = {"_score": 1, "_error": -1, "_loss": -1, "_deviance": -1}
functions = {n: s for n in metrics.__all__ for end, s in ends.items() if n.endswith(end)}
print(json.dumps([list(signs), functions]))
"""
    done = subprocess.run([TRAIN_PYTHON, "-c", script], capture_output=True, text=True, check=True)
    scorers, functions = json.loads(done.stdout)
    # A scorer's value is always better when it is higher: that is what its `neg_` is for.
    assert len(scorers) > 50
    wrong = [
        name for name in scorers for split in ("", "test_", "mean_test_") if by_name(split + name).better != "higher"
    ]
    functions["davies_bouldin_score"] = -1  # the one score that is better when it is lower, as its page says
    wrong += [name for name, sign in functions.items() if by_name(name).better != ("higher" if sign > 0 else "lower")]
    assert wrong == []
    assert [name for name in (*scorers, *functions) if not by_name(name).certain] == []


@pytest.mark.parametrize(
    ("names", "ranks"),
    [
        ({"train_accuracy", "val_accuracy", "test_accuracy"}, "val_accuracy"),
        ({"train_loss", "test_loss"}, "test_loss"),
        ({"val_loss", "val_accuracy", "val_f1"}, "val_accuracy"),
        ({"accuracy", "fit_time"}, "accuracy"),
        ({"train_accuracy", "auc"}, "auc"),
        ({"accuracy_eu", "f1"}, "f1"),
        ({"train_f1", "accuracy_eu"}, "accuracy_eu"),
        ({"toxicity_score", "epoch"}, None),
        ({"epoch", "lr"}, None),
        ({"system/cpu_time"}, None),
        (set(), None),
    ],
)
def test_validation_ranks_before_test_and_training_last(names: set[str], ranks: str | None) -> None:
    assert primary_metric(names) == ranks


def test_rates_differ_from_amounts() -> None:
    assert all(map(is_rate, ("val_accuracy", "f1", "error_rate", "wer")))
    assert not any(map(is_rate, ("loss", "rmse", "r2", "latency_ms")))
