"""Hold an evaluation to a rule of the contract: a case passes if every scorer that the rule is about passes it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mltrail_contract import Model, Outcome, Rule
from mltrail_server.domain import globs
from mltrail_server.domain.rules import Ruling
from mltrail_server.domain.verdict import Verdict

from . import evaluate, words
from .evaluation import EvaluatedCase, EvaluationResult, Kind, ScorerResult
from .result import CaseResult

OWN_CASES = "this merge request is the cause: log the same cases as the baseline, or have somebody accept this table"
OWN_EVALUATION = (
    "this merge request is the cause: evaluate the same cases with the same scorers and judges, or evaluate the target "
    "branch again with the new ones"
)
_NO_SCORER = "no matching scorer judged any case"
_NONE_PASSES = "no scorer passes or fails cases; one that returns numbers needs a pass mark in `pass_at`"


class _Found(NamedTuple):
    """What one bound says: whether it is broken, None if nobody can tell; `ours` if this side is the cause of that."""

    broken: bool | None
    sentence: str
    ours: bool = False


@dataclass(frozen=True)
class Bounds:
    """A rule's plain bounds on an evaluation: how many cases broke, how many pass, and which have to."""

    model: Model
    rule: Rule
    evaluation: EvaluationResult | None
    unlogged: CaseResult | None  # says why there is no evaluation

    @property
    def expects(self) -> str:
        rule, parts = self.rule, []
        if rule.broke_at_most is not None:
            most = rule.broke_at_most
            parts.append(f"must break at most {words.count(most)}" if most else "must break no case")
        if rule.pass_rate_at_least is not None:
            parts.append(_must_pass_rate(rule.pass_rate_at_least))
        if rule.must_pass:
            parts.append("must pass the named cases")
        return ", ".join(parts)

    def ruling(self) -> Ruling | None:
        """Return what they say together; None if the rule has none."""
        if not self.expects:
            return None
        found = self._found()
        broken = [one for one in found if one.broken]
        unknown = [one for one in found if one.broken is None]
        decisive = broken or unknown or found
        sentence = "; ".join(dict.fromkeys(one.sentence for one in decisive))
        if broken:
            return self._say(Outcome(self.rule.then), sentence, Verdict.WORSE)
        if unknown:
            ours = any(one.ours for one in unknown)
            outcome = Outcome(self.rule.then) if ours else self.model.if_unknown
            return self._say(outcome, sentence, Verdict.CANT_TELL, OWN_EVALUATION if ours else "")
        return self._say(Outcome.PASS, sentence, Verdict.WITHIN_LIMIT)

    def _say(self, outcome: Outcome, sentence: str, verdict: Verdict, advice: str = "") -> Ruling:
        return Ruling(name_in(self.rule), self.rule, outcome, self.expects, sentence, verdict, advice)

    def _found(self) -> list[_Found]:
        if self.evaluation is None:
            missing = self.unlogged
            return [_Found(None, missing.problem if missing else words.UNREAD, bool(missing and missing.ours))]
        scorers = selected(self.rule, self.evaluation.scorers)
        if not scorers:
            return [_Found(None, self.evaluation.problem or _NO_SCORER, self.evaluation.ours)]
        passing = [one for one in scorers if one.kind is not Kind.OTHER and one.result.table.right_or_wrong]
        if not passing:
            return [_Found(None, _NONE_PASSES)]
        cases = [_OfCase.made(one, {each.name for each in passing}) for one in self.evaluation.cases]
        found = []
        if self.rule.must_pass:
            found.append(self._must_pass(cases))
        if self.rule.pass_rate_at_least is not None:
            found.append(self._pass_rate(cases, self.rule.pass_rate_at_least))
        if self.rule.broke_at_most is not None:
            found.append(self._broke(passing, self.evaluation.cases, self.rule.broke_at_most))
        return found

    def _must_pass(self, cases: "Sequence[_OfCase]") -> _Found:
        """A case that is missing has not passed, and a pattern that nothing matches names cases that are missing."""
        names = [one.case.id for one in cases]
        unmatched = sum(not globs.matching(names, glob) for glob in self.rule.must_pass)
        wanted = globs.matching_any(names, self.rule.must_pass)
        failed = sum(one.case.id in wanted and not one.passed for one in cases)
        parts = []
        if failed:
            parts.append(f"{failed:,} of {words.count(len(wanted))} that must pass {_does(failed)} not")
        if unmatched:
            are = "pattern of `must_pass` matches" if unmatched == 1 else "patterns of `must_pass` match"
            parts.append(f"{unmatched} {are} no case")
        return _Found(bool(parts), " and ".join(parts) or _all_pass(len(wanted)))

    def _pass_rate(self, cases: "Sequence[_OfCase]", least: float) -> _Found:
        """Leaving out cases of the baseline would be a way to pass, so those have failed."""
        judged = [one for one in cases if one.judged]
        if not judged:
            return _Found(None, _NO_SCORER)
        passed, missing = sum(one.passed for one in judged), sum(not one.case.here for one in judged)
        left_out = f" ({missing:,} missing)" if missing else ""
        bar = "all" if least >= 1 else f"at least {least * 100:g} %"
        sentence = f"{passed:,} of {words.count(len(judged))}{left_out} pass; must be {bar}"
        return _Found(passed < least * len(judged), sentence)

    def _broke(self, passing: Sequence[ScorerResult], cases: Sequence[EvaluatedCase], most: int) -> _Found:
        held = _without_new([one.result for one in passing])
        unknown = sorted((one for one in held if one.compared is None), key=lambda one: not one.ours)
        names = {one.name for one in passing}
        both = [one for one in cases if one.here and one.baseline]
        broke = sum(not names.isdisjoint(one.broke) for one in both)
        if broke > most:
            return _Found(True, f"broke {broke:,} of {words.count(len(both))} ({most:,} allowed)")
        if unknown:
            return _Found(None, unknown[0].problem, unknown[0].ours)
        fixed = sum(not names.isdisjoint(one.fixed) and names.isdisjoint(one.broke) for one in both)
        return _Found(False, f"broke {broke:,} of {words.count(len(both))}, fixed {fixed:,}")


class _OfCase(NamedTuple):
    """One case by some scorers: whether they have judged it, on either side, and whether all of them pass it here."""

    case: EvaluatedCase
    judged: bool
    passed: bool

    @classmethod
    def made(cls, case: EvaluatedCase, scorers: set[str]) -> "_OfCase":
        here, there = (
            any(trace.marks[name].passed is not None for trace in side for name in scorers & trace.marks.keys())
            for side in (case.here, case.baseline)
        )
        return cls(case, here or there, here and scorers.isdisjoint(case.failed))


def _must_pass_rate(least: float) -> str:
    return "must pass all cases" if least >= 1 else f"must pass at least {least * 100:g} % of cases"


def _all_pass(number: int) -> str:
    return "the case that must pass does" if number == 1 else f"all {words.count(number)} that must pass do"


def _does(number: int) -> str:
    return "does" if number == 1 else "do"


def selected(rule: Rule, scorers: Iterable[ScorerResult]) -> list[ScorerResult]:
    """List the scorers that a rule is about."""
    known = {one.name: one for one in scorers}
    return [known[name] for name in (known if rule.scorer is None else globs.matching(known, rule.scorer))]


def tables(rule: Rule, known: Iterable[CaseResult]) -> list[CaseResult]:
    """List the scorers' tables that a rule with `worse_by` compares."""
    of_rule = [one for one in known if one.evaluation == rule.cases and one.scorer]
    if rule.scorer is not None:
        matching = set(globs.matching([one.scorer for one in of_rule], rule.scorer))
        of_rule = [one for one in of_rule if one.scorer in matching]
    return _without_new(of_rule)


def _without_new(results: list[CaseResult]) -> list[CaseResult]:
    """Leave out the scorers that are new here, unless all are."""
    return [one for one in results if one.problem != evaluate.NOT_THERE] or results


def unlogged(rule: Rule, known: Iterable[CaseResult]) -> CaseResult | None:
    """Return what stands in the place of an evaluation that was not logged."""
    return next((one for one in known if one.evaluation == rule.cases and not one.scorer), None)


def is_about(rule: Rule, scorer: str) -> bool:
    return rule.scorer is None or bool(globs.matching([scorer], rule.scorer))


def name_in(rule: Rule) -> str:
    """Name what a rule is about as a whole."""
    return f"{rule.cases}{evaluate.SEPARATOR}{rule.scorer}" if rule.scorer is not None else rule.cases or ""
