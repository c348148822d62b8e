"""When a test set is worn out: whoever chooses among many models by it chooses those that it happens to suit.

The best of k models that are equally good looks better than they are, by as much as the largest of k standard errors:
G. Blom, "Statistical Estimates and Transformed Beta-Variables" (1958), gives its mean. Decision 33 says why this, and
not a stricter bound.
"""

from dataclasses import dataclass
from statistics import NormalDist

from . import power, words
from .comparison import CaseComparison, CaseMetric

_FEW = 10
"""A test set that has judged fewer merge requests is not called worn out."""


@dataclass(frozen=True, slots=True)
class Wear:
    """A test set of `cases` that has judged `judged` merge requests, this one included.

    `luck` is what choosing among so many can add to the measure, and `shows` the difference that the cases can show.
    """

    judged: int
    cases: int
    metric: CaseMetric
    luck: float
    shows: float

    @property
    def worn_out(self) -> bool:
        return self.judged >= _FEW and self.luck >= self.shows

    @property
    def sentence(self) -> str:
        """Say it to a reader of the note, as plain text."""
        judged = "1 merge request" if self.judged == 1 else f"{self.judged:,} merge requests"
        found = f"These {words.count(self.cases)} have judged {judged}"
        if not self.worn_out:
            return f"{found}."
        luck = words.amount(self.metric, self.luck)
        return f"{found}: by now luck can add {luck}, as much as they can show. Draw new cases."


def wear(judged: int, found: CaseComparison) -> Wear:
    """Say how worn the test set of a comparison is."""
    best = NormalDist().inv_cdf((judged - 0.375) / (judged + 0.25)) if judged > 1 else 0.0
    return Wear(judged, found.cases, found.metric, best * power.error(found), power.detectable(found))
