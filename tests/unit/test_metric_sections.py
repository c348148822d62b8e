"""How charts are arranged, and what system metrics are called."""

import itertools

import pytest

from mltrail_server.domain.metric_sections import sections
from mltrail_server.domain.system_metrics import title


@pytest.mark.parametrize(
    ("names", "charts"),
    [
        (["train_acc", "val_acc", "train_loss", "val_loss"], [["val_loss", "train_loss"], ["val_acc", "train_acc"]]),
        (["loss", "val_loss", "lr"], [["val_loss", "loss"], ["lr"]]),
        (["loss/train", "loss/val"], [["loss/val", "loss/train"]]),
        (["layer10/w", "layer2/w"], [["layer2/w"], ["layer10/w"]]),
        (["system/cpu"], []),
        ([], []),
    ],
    ids=["both", "keras", "suffix", "numbers", "system", "none"],
)
def test_validation_is_drawn_with_training_and_losses_first(names: list[str], charts: list[list[str]]) -> None:
    assert list(itertools.chain.from_iterable(section.charts for section in sections(names))) == charts


def test_sections_follow_prefixes_and_none_is_for_one_chart() -> None:
    found = sections(["opt/lr", "opt/beta", "alone/x", "plain"])
    assert [(section.name, set(section.keys)) for section in found] == [
        ("", {"plain", "alone/x"}),
        ("opt", {"opt/beta", "opt/lr"}),
    ]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("system/gpu_0_power_usage_watts", "GPU 0 power usage (W)"),
        ("system/system_memory_usage_percentage", "Memory usage (%)"),
        ("system/network_receive_megabytes", "Network receive (MB)"),
        ("system/", "System/"),
        ("loss", "loss"),
    ],
)
def test_system_metrics_have_names_and_units(name: str, shown: str) -> None:
    assert title(name) == shown
