"""The five verdicts. Notes, pages, logs, JUnit reports and threads all use these words."""

from enum import StrEnum


class Verdict(StrEnum):
    """What became of a metric.

    WORSE: the loss is larger than chance explains, and than what a rule tolerates; or a plain bound is broken.
    BETTER: the gain is larger than chance explains.
    WITHIN_LIMIT: a rule's limit is kept, whatever chance may do: even the interval's bad end is within it.
    NO_CLEAR_CHANGE: a difference as large as chance makes. This is no proof that nothing changed.
    CANT_TELL: too little is known to say any of these.
    """

    WORSE = "worse"
    BETTER = "better"
    NO_CLEAR_CHANGE = "no clear change"
    CANT_TELL = "can't tell yet"
    WITHIN_LIMIT = "within its limit"


WORST_FIRST = (
    *(Verdict.WORSE, Verdict.CANT_TELL, Verdict.NO_CLEAR_CHANGE),
    *(Verdict.WITHIN_LIMIT, Verdict.BETTER),
)
