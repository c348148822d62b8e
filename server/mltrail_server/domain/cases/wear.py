"""How long a test set lasts: each merge request that it judges tells the next one a little about it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wear:
    """A test set of `cases` cases that has judged `judged` merge requests, this one included.

    `doubtful` is the difference in accuracy that may by now be mere fit to this test set; it is `worn_out` when that
    exceeds the drop that merge requests are held to. `sentence` says it to a reader.
    """

    judged: int
    cases: int
    doubtful: float
    worn_out: bool
    sentence: str


def wear(judged: int, cases: int, *, tolerance: float = 0.02) -> Wear:
    """Say how worn a test set is. `tolerance` is the smallest difference that must still count."""
    raise NotImplementedError(judged, cases, tolerance)
