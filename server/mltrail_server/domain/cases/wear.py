"""How long a test set lasts: whoever sees how a model did on it can, knowingly or not, fit the next one to it.

If each of k questions depends on the answers to those before, an answer from n cases may be off by the square root of
k/n, instead of 1/n: C. Dwork et al., "Preserving statistical validity in adaptive data analysis", STOC 2015, and "The
reusable holdout", Science 349 (2015). Models that answer most cases alike wear a test set more slowly, since only the
cases that change count: H. Mania et al., "Model similarity mitigates test set overuse", NeurIPS 2019. A leaderboard
that shows only clear gains would last far longer (A. Blum and M. Hardt, "The Ladder", ICML 2015); but a note shows
every value.
"""

import math
from dataclasses import dataclass

USUAL_DISCORDANCE = 0.05
"""The share of cases that one model gets right and the next one wrong, or the other way round."""


@dataclass(frozen=True, slots=True)
class Wear:
    """A test set that has judged `judged` merge requests, this one included, and is good for about `lasts`.

    A difference up to `doubtful`, as a share of the cases, may by now be mere fit to this test set.
    """

    judged: int
    cases: int
    lasts: int
    doubtful: float

    @property
    def worn_out(self) -> bool:
        return self.judged > self.lasts

    @property
    def sentence(self) -> str:
        """Say it to a reader of the note, as plain text."""
        judged = "1 merge request" if self.judged == 1 else f"{self.judged:,} merge requests"
        found = f"These {self.cases:,} cases have judged {judged}"
        doubt = f"differences of up to {self.doubtful * 100:.1f} percentage points may be mere fit to them"
        if not self.lasts:
            return f"{found}, but are too few for any: {doubt}. Add cases."
        if self.worn_out:
            return f"{found} and are good for about {self.lasts:,}: {doubt}. Replace or add cases."
        return f"{found} of the about {self.lasts:,} that they are good for."


def wear(judged: int, cases: int, *, tolerance: float = 0.02, discordance: float = USUAL_DISCORDANCE) -> Wear:
    """Say how worn a test set is: it lasts until a difference of `tolerance`, a share of the cases, may be mere fit.

    `cases` counts clusters where cases belong together. `discordance` is the share of cases on which this model and the
    one before differ in being right; less than usual doesn't count, or a merge request that changes nothing would make
    the test set look new.
    """
    share = max(discordance, USUAL_DISCORDANCE)
    return Wear(judged, cases, math.floor(cases * tolerance**2 / share + 1e-9), math.sqrt(judged * share / cases))
