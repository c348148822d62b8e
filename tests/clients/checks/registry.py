"""Collects the checks, and gives each names that nobody else uses."""

import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

Check = Callable[["Desk"], None]
CHECKS: dict[str, Check] = {}

VERSION = tuple(int(part) for part in mlflow.__version__.split(".")[:2])


@dataclass
class Desk:
    """Where one check works: a client, an experiment of its own, an empty folder."""

    client: MlflowClient = field(default_factory=MlflowClient)
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp()))
    experiment_id: str = ""

    def __post_init__(self) -> None:
        self.experiment_id = self.client.create_experiment(self.name("experiment"))
        mlflow.set_experiment(experiment_id=self.experiment_id)

    def name(self, word: str = "name") -> str:
        return f"{word}-{uuid.uuid4().hex[:12]}"

    def run(self) -> str:
        """Begin a run, and answer its id."""
        return str(self.client.create_run(self.experiment_id).info.run_id)

    def file(self, path: str, content: bytes = b"content") -> Path:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return target


def check(since: tuple[int, int] = (1, 28), before: tuple[int, int] = (99, 0)) -> Callable[[Check], Check]:
    """Register a check that clients of these versions can do."""

    def register(function: Check) -> Check:
        if since <= VERSION < before:
            module = function.__module__.rpartition(".")[2]
            CHECKS[f"{module}.{function.__name__}"] = function
        return function

    return register


def refused(code: str, action: Callable[[], object]) -> MlflowException:
    """Do what must be refused, with this error code."""
    caught: MlflowException | None = None
    try:
        action()
    except MlflowException as error:
        caught = error
    assert caught is not None, f"was not refused with {code}"
    assert caught.error_code == code, (caught.error_code, str(caught))
    return caught
