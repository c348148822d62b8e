"""Runs of a sweep, logged by a client, whose parameters are known to matter or not."""

import math
import random
from collections.abc import Callable, Iterator
from typing import Any

from tests.mlflow_client import Mlflow

Params = dict[str, str]


def settings(count: int) -> Iterator[Params]:
    """A random search over a learning rate, a depth, an optimizer and a dropout."""
    chance = random.Random(7)
    for _ in range(count):
        yield {
            "lr": f"{10 ** chance.uniform(-4, -1):.4g}",
            "depth": str(chance.choice([2, 4, 6, 8])),
            "optimizer": chance.choice(["adam", "sgd", "lion"]),
            "dropout": f"{chance.uniform(0, 0.5):.3f}",
        }


def loss(params: Params, chance: random.Random) -> float:
    """The learning rate matters most, the optimizer a little, the rest not at all."""
    away = abs(math.log10(float(params["lr"])) + 2.5)
    return 0.2 + 0.25 * away + {"adam": 0.0, "lion": 0.03, "sgd": 0.12}[params["optimizer"]] + chance.gauss(0, 0.02)


def log(
    mlflow: Mlflow,
    count: int,
    *,
    experiment: str = "0",
    of: Callable[[Params, random.Random], Any] = loss,
    metric: str = "val_loss",
    status: str = "FINISHED",
    clock: Callable[[], int] = lambda: 1,
) -> None:
    chance = random.Random(11)
    for number, params in enumerate(settings(count)):
        made = mlflow.post(
            "runs/create", experiment_id=experiment, run_name=f"trial-{number}", start_time=clock() + number
        )["run"]["info"]["run_id"]
        points = [
            {"key": metric, "value": of(params, chance), "timestamp": clock(), "step": 0},
            {"key": "minutes", "value": 3 + number % 5, "timestamp": clock(), "step": 0},
        ]
        pairs = [{"key": key, "value": value} for key, value in params.items()]
        mlflow.post("runs/log-batch", run_id=made, metrics=points, params=pairs)
        mlflow.post("runs/update", run_id=made, status=status, end_time=clock() + number + 60_000)
