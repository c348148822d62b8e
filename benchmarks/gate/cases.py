"""Simulated rules about cases: of two named models, and of several runs a side."""

import math
import random
from functools import cache
from statistics import NormalDist

from mltrail_contract import CaseTable, Model, Rule, Tolerance
from mltrail_server.domain.cases.result import CaseResult, found
from mltrail_server.domain.cases.table import Answer, Case
from mltrail_server.domain.comparison import compare
from mltrail_server.domain.grouping import Run, RunState
from mltrail_server.domain.judgement import ModelInput, judge_models

from .findings import Finding, found_in

CASES = 1000
_ACCURACY = 0.9
_EASE, _OWN, _LUCK = 1.5, 0.5, 0.045
_NORMAL = NormalDist()
_RIGHT, _WRONG = Answer("1"), Answer("0")
_TABLE = CaseTable("exam", "exam.json", "id", label="label", prediction="prediction")
_MODEL = Model("model-0", case_rules=(Rule("", worse_by=Tolerance(0.0), cases="exam"),), cases={"exam": _TABLE})
_RUN = Run(1, "run", RunState.SUCCEEDED, {}, {})


def findings_in_cases(discordance: float, drop: float, rng: random.Random) -> frozenset[Finding]:
    """Let both models answer all cases. In a share of the cases, `discordance`, only one of the two is right, and the
    accuracy truly drops by `drop`.
    """
    chances = (discordance + drop) / 2, (discordance - drop) / 2
    drawn = [rng.random() for _ in range(CASES)]
    broke = sum(one < chances[0] for one in drawn)
    fixed = sum(one > 1 - chances[1] for one in drawn)
    return _compared(broke, fixed)


def findings_across_runs(runs: int, drop: float, rng: random.Random) -> set[Finding]:
    """Let several runs a side answer the same cases, and judge the rule. Cases are easy or hard for all; each run has
    luck of its own, half a point of accuracy, and answers each case with some luck, too.
    """
    about_right = math.hypot(_EASE, _OWN)
    easy = [about_right * _NORMAL.inv_cdf(_ACCURACY) + rng.gauss(0, _EASE) for _ in range(CASES)]
    lost = about_right * (_NORMAL.inv_cdf(_ACCURACY) - _NORMAL.inv_cdf(_ACCURACY - drop))
    sides = []
    for shift in (0.0, lost):
        levels = [rng.gauss(0, _LUCK) - shift for _ in range(runs)]
        sides.append(
            [
                [
                    Case(str(number), "1", _RIGHT if ease + level + rng.gauss(0, _OWN) > 0 else _WRONG)
                    for number, ease in enumerate(easy)
                ]
                for level in levels
            ]
        )
    return _judged(found(_TABLE, *sides))


@cache
def _compared(broke: int, fixed: int) -> frozenset[Finding]:
    """Compare two tables. Only the counts matter, not which cases broke, so each pair of counts is compared once."""
    answers = [(_RIGHT, _WRONG)] * broke + [(_WRONG, _RIGHT)] * fixed
    answers += [(_RIGHT, _RIGHT)] * (CASES - len(answers))
    before = [Case(str(number), "1", old) for number, (old, _) in enumerate(answers)]
    now = [Case(str(number), "1", new) for number, (_, new) in enumerate(answers)]
    return frozenset(_judged(found(_TABLE, [before], [now])))


def _judged(table: CaseResult) -> set[Finding]:
    given = ModelInput("model-0", compare([_RUN], [_RUN], model=_MODEL), _MODEL, cases=(table,))
    return found_in(judge_models([given]), None)
