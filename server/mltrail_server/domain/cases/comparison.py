"""What comparing two models case by case has found."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from .crossed import Crossed


class CaseMetric(StrEnum):
    """Metrics that can be computed from a table of cases."""

    ACCURACY = "accuracy"  # label and prediction
    MEAN_SCORE = "mean_score"  # score; no label needed
    AUC = "auc"  # label and score
    F1 = "f1"  # label and prediction, of the positive class
    PRECISION = "precision"
    RECALL = "recall"
    MACRO_F1 = "macro_f1"  # label and prediction, the mean over the classes
    LOG_LOSS = "log_loss"  # label and score: the probability of the positive class
    BRIER = "brier"
    MEAN_ABSOLUTE_ERROR = "mean_absolute_error"  # label and prediction, both numbers
    ROOT_MEAN_SQUARED_ERROR = "root_mean_squared_error"


class Method(StrEnum):
    """How a difference was tested."""

    MCNEMAR = "exact McNemar test, Tango's interval"
    SIGN_FLIPS = "sign flips by cluster"
    DELONG = "DeLong's test"
    BOOTSTRAP = "paired BCa bootstrap"
    CROSSED = "Obuchowski-Rockette test"


class CaseEvidence(Protocol):
    """A difference (now minus before, in the metric's unit), and how well it is known: like `evidence.Evidence`."""

    @property
    def difference(self) -> float: ...

    def below(self, limit: float) -> float:
        """Return how often chance alone makes the difference this low, if the true difference is `limit`."""

    def above(self, limit: float) -> float:
        """Return how often chance alone makes the difference this high, if the true difference is `limit`."""

    @property
    def low(self) -> float:
        """A bound of the true difference: it is lower in at most one of twenty cases. With fewer than five clusters
        there may be none, which is minus infinity.
        """

    @property
    def high(self) -> float:
        """A bound of the true difference: it is higher in at most one of twenty cases, or infinity."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many cases the model `broke` (right before, wrong now) and `fixed`. Of a case that was answered several
    times, the share of right answers fell or rose.
    """

    broke: int
    fixed: int
    both_right: int
    both_wrong: int

    @property
    def n(self) -> int:
        return self.broke + self.fixed + self.both_right + self.both_wrong


@dataclass(frozen=True, slots=True)
class CaseComparison:
    """Two named models on `cases` common cases in `clusters` independent groups.

    `before` and `now` are the metric on these cases. `evidence` is about these two models: whether the one would answer
    further cases worse than the other. `about_the_change` also covers the chance of training: whether the change makes
    models worse. It is None with one run a side, which can't show that, and rests on the cases that all runs have
    answered, of which there are `answered_by_all`. A verdict rests on `judged`.

    `changed` counts the cases whose answers differ at all. If there are none, some of the intervals have no width; that
    is no proof that further cases would be answered alike.
    """

    metric: CaseMetric
    before: float
    now: float
    cases: int
    clusters: int
    changed: int
    method: Method
    evidence: CaseEvidence
    counts: Counts | None = None  # of right and wrong answers, where the cases have labels and predictions
    about_the_change: Crossed | None = None
    answered_by_all: int = 0

    @property
    def change(self) -> Crossed | None:
        """What several runs on each side say about the change; None if they can't be judged. All of them must have
        answered all of the cases, or a run could leave out those that it breaks.
        """
        found = self.about_the_change
        return found if found is not None and found.several and self.answered_by_all == self.cases else None

    @property
    def judged(self) -> CaseEvidence:
        """What a verdict rests on: the change where it can be judged, or else the two named models."""
        return self.change or self.evidence

    @property
    def held_to(self) -> float:
        """The metric that the judged value is compared with: a mean of runs, or the named model's."""
        return self.before if self.change is None else self.change.before

    @property
    def held(self) -> float:
        """The metric that is judged: a mean of runs, or the named model's."""
        return self.now if self.change is None else self.change.now
