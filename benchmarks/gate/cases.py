"""Simulated tests of two named models on the same cases: is the one here worse?"""

import random
from functools import cache

from mltrail_contract import CaseTable
from mltrail_server.domain.cases.result import found
from mltrail_server.domain.cases.table import Answer, Case
from mltrail_server.domain.evidence import ALPHA

from .findings import Finding

CASES = 1000
_RIGHT, _WRONG = Answer("1"), Answer("0")
_TABLE = CaseTable("exam", "exam.json", "id", label="label", prediction="prediction")


def findings_in_cases(discordance: float, drop: float, rng: random.Random) -> frozenset[Finding]:
    """Have both models answer all cases. A share `discordance` of the cases is right in one of them only, and the
    accuracy truly drops by `drop`.
    """
    chances = (discordance + drop) / 2, (discordance - drop) / 2
    drawn = [rng.random() for _ in range(CASES)]
    broke = sum(one < chances[0] for one in drawn)
    fixed = sum(one > 1 - chances[1] for one in drawn)
    return _compared(broke, fixed)


@cache
def _compared(broke: int, fixed: int) -> frozenset[Finding]:
    """Compare two tables. Which cases broke does not matter, so that each pair of counts is compared only once."""
    answers = [(_RIGHT, _WRONG)] * broke + [(_WRONG, _RIGHT)] * fixed
    answers += [(_RIGHT, _RIGHT)] * (CASES - len(answers))
    before = [Case(str(number), "1", old) for number, (old, _) in enumerate(answers)]
    now = [Case(str(number), "1", new) for number, (_, new) in enumerate(answers)]
    compared = found(_TABLE, [before], [now]).compared
    if compared is None:
        return frozenset({Finding.UNKNOWN})
    if compared.evidence.below(0.0) <= ALPHA:
        return frozenset({Finding.BROKEN, Finding.BLOCKED, Finding.SEEN})
    return frozenset({Finding.BETTER} if compared.evidence.above(0.0) <= ALPHA else ())
