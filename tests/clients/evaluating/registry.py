"""Collects the checks, and gives each an experiment of its own and names that are the same on every server."""

import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import mlflow
from evaluating.normal import Normal
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

Check = Callable[["Desk"], object]
CHECKS: dict[str, Check] = {}

VERSION = tuple(int(part) for part in mlflow.__version__.split(".")[:2])
WHERE = "experiment_ids" if VERSION < (3, 5) else "locations"


@dataclass
class Desk:
    """Where one check works: a client, an experiment of its own, an empty folder."""

    check: str
    client: MlflowClient = field(default_factory=MlflowClient)
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp()))
    experiment_id: str = ""
    salt: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    def __post_init__(self) -> None:
        self.experiment_id = self.client.create_experiment(self.name("experiment"))
        mlflow.set_experiment(experiment_id=self.experiment_id)

    def name(self, word: str = "name") -> str:
        """A name that nobody else uses."""
        return f"{word}-{self.salt}"

    def normal(self, saw: object) -> object:
        """What was seen, without what differs from one time to the next."""
        return Normal({str(self.folder): "⟦folder⟧", f"-{self.salt}": ""}).value(saw)

    def traces(self, **how: object) -> list[mlflow.entities.Trace]:
        """This experiment's traces, the oldest first."""
        how = {"order_by": ["timestamp ASC"], WHERE: [self.experiment_id]} | how
        return list(self.client.search_traces(**how))


def check(since: tuple[int, int] = (3, 1), before: tuple[int, int] = (99, 0)) -> Callable[[Check], Check]:
    """Register a check that clients of these versions can do."""

    def register(function: Check) -> Check:
        if since <= VERSION < before:
            module = function.__module__.rpartition(".")[2]
            CHECKS[f"{module}.{function.__name__}"] = function
        return function

    return register


def answer(action: Callable[[], object]) -> object:
    """What it answers, or the code of the error with which it is refused."""
    try:
        return action()
    except MlflowException as error:
        return f"refused: {error.error_code}"
