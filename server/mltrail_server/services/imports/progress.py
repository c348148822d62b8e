"""How far an import has come, how fast it is, and how long the rest will take."""

from collections.abc import Callable
from dataclasses import dataclass, field

from mltrail_server.domain import quantities
from mltrail_server.domain.transfer import Counts, Entity

_TERMINAL_SECONDS = 0.2
_LOG_SECONDS = 10.0
_SHOWN = (Entity.RUN, Entity.POINT, Entity.TRACE, Entity.FILE)
_WORK = (Entity.RUN, Entity.POINT, Entity.TRACE, Entity.BYTES)
"""What takes the time: the share of each that is done tells how much is left."""


@dataclass(slots=True)
class Progress:
    """Counts what has been read. `write` takes a line of text; on a terminal it is the same line again and again.
    `clock` is in seconds.
    """

    clock: Callable[[], float]
    write: Callable[[str], None] | None = None
    terminal: bool = False
    totals: Counts | None = None
    done: Counts = field(default_factory=Counts)
    skipped: int = 0
    _began: float = field(init=False)
    _shown: float = field(init=False)
    _width: int = 0

    def __post_init__(self) -> None:
        self._began = self._shown = self.clock()

    @property
    def seconds(self) -> float:
        return self.clock() - self._began

    def advance(self, entity: Entity, count: int = 1) -> None:
        """Note that things were read, and show the progress if that is due."""
        self.done.add(Entity.RUN if entity is Entity.DELETED_RUN else entity, count)
        if self.write is None:
            return
        now = self.clock()
        if now - self._shown >= (_TERMINAL_SECONDS if self.terminal else _LOG_SECONDS):
            self._shown = now
            self._show(self.line())

    def end(self) -> None:
        """Leave the last line on the terminal."""
        if self.write is not None and self.terminal:
            self._show(self.line())
            self.write("\n")

    def line(self) -> str:
        seconds = max(self.seconds, 0.001)
        parts = []
        for entity in _SHOWN:
            done, total = self.done[entity], self._total(entity)
            if done or total:
                of = f" of {total:,}" if total > done else ""
                parts.append(f"{done:,}{of} {entity.value}")
        if points := self.done[Entity.POINT]:
            parts.append(f"{points / seconds:,.0f} points/s")
        if size := self.done[Entity.BYTES]:
            parts.append(f"{quantities.size(size)}, {quantities.size(size / seconds)}/s")
        left = self.left()
        parts.append(f"{quantities.duration(seconds)} so far" if left is None else f"{quantities.duration(left)} left")
        return " · ".join(parts)

    def left(self) -> float | None:
        """Return how many seconds the rest will take; None if the source can't say how much there is."""
        shares = [min(1.0, self.done[entity] / total) for entity in _WORK if (total := self._total(entity)) > 0]
        done = sum(shares) / len(shares) if shares else 0.0
        return self.seconds * (1 - done) / done if done > 0 else None

    def _total(self, entity: Entity) -> int:
        if self.totals is None:
            return 0
        return self.totals[entity] + (self.totals[Entity.DELETED_RUN] if entity is Entity.RUN else 0)

    def _show(self, line: str) -> None:
        assert self.write is not None  # noqa: S101 - asked before
        if not self.terminal:
            self.write(f"{line}\n")
            return
        self.write(f"\r{line:<{self._width}}")
        self._width = len(line)
