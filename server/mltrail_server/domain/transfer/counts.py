"""How many things of each kind there are: the two columns of an import's report."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Self


class Entity(Enum):
    """What is counted, in the order of the report."""

    EXPERIMENT = "experiments"
    RUN = "runs"
    DELETED_RUN = "deleted runs"
    PARAM = "parameters"
    TAG = "tags"
    POINT = "metric points"
    DATASET = "datasets"
    LOGGED_MODEL = "logged models"
    MODEL_METRIC = "metrics of logged models"
    TRACE = "traces"
    ASSESSMENT = "assessments"
    SCORER = "scorer versions"
    EVALUATION_DATASET = "evaluation datasets"
    EVALUATION_ROW = "rows of evaluation datasets"
    MODEL = "registered models"
    PROMPT = "prompts"
    VERSION = "versions"
    ALIAS = "aliases"
    FILE = "files"
    BYTES = "bytes of files"

    __hash__ = object.__hash__  # Enum's own is written in Python, and these are counted for every parameter


@dataclass(slots=True)
class Counts:
    of: dict[Entity, int] = field(default_factory=lambda: dict.fromkeys(Entity, 0))

    def add(self, entity: Entity, count: int = 1) -> None:
        self.of[entity] += count

    def __getitem__(self, entity: Entity) -> int:
        return self.of[entity]

    def __iadd__(self, other: "Counts") -> Self:
        for entity, count in other.of.items():
            self.of[entity] += count
        return self
