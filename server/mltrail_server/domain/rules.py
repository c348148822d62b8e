"""A rule of the contract: where it applies, what it expects, and what it says of a metric."""

import fnmatch
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from mltrail_contract import HigherOrLower, Outcome, Rule, Tolerance, Value

from .differences import Difference
from .hypotheses import Decision
from .verdict import Verdict

BEFORE = "it failed in this merge request before: show that it is fixed, or have somebody accept it"
_NOT_CLEARED = "it failed in this merge request before, and these runs don't show that it is fixed"
_SEVERITY = (Outcome.PASS, Outcome.WARN, Outcome.FAIL)
_CLEARED = 0.2
"""A rule that was broken on other files counts as fixed when chance makes such a drop more often than this."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """The result of one rule for one metric. `expects` is the rule in words and `sentence` what was found; neither
    contains anything that a user wrote. Where nobody can tell whether the rule holds, the outcome is that of a broken
    rule if the merge request is the cause, or else the contract's `if_unknown`. `advice` says what to do, or what would
    tell. `difference` holds the values that were tested, such as the best ones.
    """

    metric: str
    rule: Rule
    outcome: Outcome
    expects: str
    sentence: str
    verdict: Verdict
    advice: str = ""
    decision: Decision | None = None
    difference: Difference | None = None

    @property
    def known(self) -> bool:
        """Whether it could be told if the rule holds."""
        return self.verdict is not Verdict.CANT_TELL

    @property
    def full_sentence(self) -> str:
        """What was found, and what to do."""
        return f"{self.sentence}; {self.advice}" if self.advice else self.sentence

    @property
    def explained(self) -> str:
        """The verdict, what was found, and what was expected, unless that is said already or the rule is kept."""
        found = f"{self.verdict}: {self.full_sentence}"
        plain = self.rule.worse_by is None or (self.decision is None and self.verdict is Verdict.WORSE)
        return found if plain or self.outcome is Outcome.PASS else f"{found}; {self.expects}"


def applies(rule: Rule, target: str) -> bool:
    """Whether a rule is meant for a target branch."""
    return rule.target is None or fnmatch.fnmatchcase(target, rule.target)


def compares_last(rule: Rule) -> bool:
    """Whether a rule compares last values with the baseline's."""
    return rule.worse_by is not None and rule.value is Value.LAST


def allowed(tolerance: Tolerance, held_to: float) -> float:
    """Return the loss that is tolerated of a value, in its unit."""
    return abs(held_to) * tolerance.amount / 100 if tolerance.percent else tolerance.amount


def expectation(rule: Rule) -> str:
    """Say in words what a rule expects."""
    parts = []
    if rule.worse_by is not None:
        word = "rise" if rule.better is HigherOrLower.LOWER else "drop"
        bound = "" if rule.worse_by.amount == 0 else f" by more than {_amount(rule.worse_by)}"
        parts.append(f"must not {word}{bound}")
    if rule.at_least is not None:
        parts.append(f"at least {rule.at_least:g}")
    if rule.at_most is not None:
        parts.append(f"at most {rule.at_most:g}")
    return ", ".join(parts) + (" (best value)" if rule.value is Value.BEST else "")


def _amount(tolerance: Tolerance) -> str:
    return f"{tolerance.amount:g} %" if tolerance.percent else f"{tolerance.amount:g}"


def name_of(model: str, ruling: Ruling) -> str:
    """Name a rule and its metric in a form that stays the same from pipeline to pipeline."""
    return f"{model}: {ruling.metric} {ruling.expects}"


def unless_fixed(ruled: Ruling, model: str, red: AbstractSet[str]) -> Ruling:
    """Keep a rule broken that failed before, one of `red`, while nobody can tell whether it holds."""
    if ruled.known or ruled.outcome is Outcome.FAIL or name_of(model, ruled) not in red:
        return ruled
    return replace(ruled, outcome=Outcome.FAIL, advice=BEFORE)


def unless_cleared(ruled: Ruling, chance: float) -> Ruling:
    """Keep a rule broken that failed before, unless these runs speak against a loss. `chance` is how often luck alone
    would make such a loss.
    """
    if chance > _CLEARED:
        return ruled
    return replace(ruled, outcome=Outcome.FAIL, verdict=Verdict.WORSE, advice=_NOT_CLEARED)


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the worst of some outcomes; none is a pass."""
    return max(outcomes, key=_SEVERITY.index, default=Outcome.PASS)
