"""Where the history is made: the two stores, the folder of files, and everything random about it."""

import json
import random
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

DELETED = ("deleted", "deleted with runs")
"""Experiments that are deleted in the end."""
BEGIN_SECONDS = 1_650_000_000.0
LATER_SECONDS = 1_750_000_000.0


class Clock:
    """Time as the stores see it: it begins in the past, and goes on a little whenever somebody looks."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        self.seconds += 0.731
        return self.seconds


@dataclass
class Place:
    folder: Path
    rng: Random
    tracking: Any
    registry: Any
    version: tuple[int, int]
    counts: Counter[str] = field(default_factory=Counter)
    experiments: dict[str, str] = field(default_factory=dict)
    """By id, the name."""
    runs: list[str] = field(default_factory=list)
    """Those that were not deleted."""
    with_model: list[str] = field(default_factory=list)
    """Those of `runs` that have files below `model`."""
    logged_models: list[str] = field(default_factory=list)

    @classmethod
    def at(cls, folder: Path, *, seed: int, later: bool) -> "Place":
        rng = Random(f"{seed} {later}")
        clock = Clock(LATER_SECONDS if later else BEGIN_SECONDS)
        random.seed(rng.random())
        uuid.uuid4 = lambda: uuid.UUID(int=rng.getrandbits(128), version=4)
        import mlflow  # noqa: PLC0415
        from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Registry  # noqa: PLC0415
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Tracking  # noqa: PLC0415
        from sqlalchemy import event  # noqa: PLC0415

        url = f"sqlite:///{folder}/mlflow.db"
        time.time, time.time_ns = clock, lambda: int(clock() * 1e9)
        mlflow.set_tracking_uri(url)
        tracking, registry = Tracking(url, "mlflow-artifacts:/"), Registry(url)
        for store in (tracking, registry):
            event.listen(store.engine, "connect", _in_a_hurry)
            store.engine.dispose()
        version = tuple(int(part) for part in mlflow.__version__.split(".")[:2])
        return cls(folder, rng, tracking, registry, version)

    def since(self, *version: int) -> bool:
        return self.version >= version

    def stays(self, run: dict[str, Any]) -> bool:
        """Whether a run, as the database has it, is not deleted, and won't be together with its experiment."""
        return run["lifecycle_stage"] == "active" and self.experiments[str(run["experiment_id"])] not in DELETED

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def write(self, uri: str, path: str, content: bytes) -> None:
        """Write a file where a server that serves `files` finds it."""
        place = self.folder / "files" / uri.removeprefix("mlflow-artifacts:/").lstrip("/") / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        self.counts["files"] += 1

    def write_json(self, uri: str, path: str, content: Any) -> None:
        self.write(uri, path, json.dumps(content).encode())


def _in_a_hurry(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA journal_mode=MEMORY")
