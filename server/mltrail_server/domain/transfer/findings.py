"""What was not imported, or not unchanged. Every such thing is listed; nothing is dropped silently."""

from dataclasses import dataclass, field
from enum import Enum

from .counts import Entity


class Loss(Enum):
    """How bad a finding is. Everything except NOTE makes an import end with exit code 1."""

    MISSING = "missing"  # the source could not provide it: a file is gone, or a page broke off
    REFUSED = "refused"  # it can't be stored here: it exceeds our limits, or its name is not allowed
    CLASH = "clash"  # something else has its name or id here
    CHANGED = "changed"  # it was imported, but not exactly as it was
    NOTE = "note"  # nothing was lost, but the operator should know


@dataclass(frozen=True, slots=True)
class Finding:
    """`owner` is what it is about in the source's words, such as `run 0b3f…`; `text` says what to do."""

    loss: Loss
    entity: Entity
    owner: str
    text: str
    count: int = 1

    def line(self) -> str:
        return f"{self.loss.value}: {self.owner}: {self.text}"


@dataclass(slots=True)
class Findings:
    """Collects findings. Of each kind only the first `most` are kept; all are counted, and `owners` are those of which
    something was lost, whoever has noticed it.
    """

    most: int = 10_000
    kept: list[Finding] = field(default_factory=list)
    counted: dict[tuple[Loss, Entity], int] = field(default_factory=dict)
    owners: set[str] = field(default_factory=set)

    def add(self, loss: Loss, entity: Entity, owner: str, text: str, *, count: int = 1) -> None:
        so_far = self.counted.get((loss, entity), 0)
        self.counted[loss, entity] = so_far + count
        if loss is not Loss.NOTE:
            self.owners.add(owner)
        if so_far < self.most:
            self.kept.append(Finding(loss, entity, owner, text, count))

    @property
    def lost(self) -> int:
        """How many findings are differences."""
        return sum(count for (loss, _), count in self.counted.items() if loss is not Loss.NOTE)
