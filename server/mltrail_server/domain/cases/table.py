"""A table of cases: what one run answered to each case of a test set."""

from typing import NamedTuple


class Answer(NamedTuple):
    """What a model answered to a case: the class, the number or the text, and a score where there is one.

    `score` is the probability or the rank of the positive class, or a mark that somebody gave the answer.
    """

    prediction: str | None = None
    score: float | None = None


class Case(NamedTuple):
    """A row of a table. Cases of one `cluster` (a patient, a document, a customer) are not independent of each other; a
    case without a cluster stands for itself. An `id` that occurs again is a repeat: the same case, answered once more.

    Labels and predictions are texts that have been brought into one form: `1`, not `1.0` or `True`.
    """

    id: str
    label: str | None
    answer: Answer
    cluster: str | None = None
