"""What people write into the search box of a page: MLflow's filter, plain words, or a time such as `last 7 days`."""

from collections.abc import Sequence
from dataclasses import dataclass

from .filters import Clause, parse


@dataclass(frozen=True, slots=True)
class PageFilter:
    """What a search box says: comparisons, and words each of which must occur in a run. `text` is what was written;
    `parts` are its comparisons, times and words as they were written, each of which can be removed on its own.
    """

    text: str = ""
    clauses: Sequence[Clause] = ()
    words: Sequence[str] = ()
    parts: Sequence[str] = ()

    def without(self, place: int) -> str:
        """Write the text without one of its parts."""
        joint = " " if self.words else " AND "
        return joint.join(part for number, part in enumerate(self.parts) if number != place)


def read(text: str, now: int) -> PageFilter:  # noqa: ARG001
    """Read a search box at the time `now`, in milliseconds since the epoch. Raises INVALID for a filter that can't be
    read.
    """
    return PageFilter(text, parse(text))
