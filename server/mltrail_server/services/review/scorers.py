"""More about an evaluation's scorers than their verdicts: why one can't be compared, what it could not judge,
and how many cases all of them pass.
"""

from collections.abc import Callable, Iterable

from mltrail_contract import Model, Rule
from mltrail_server.domain import globs
from mltrail_server.domain.cases import evaluation_rule, words
from mltrail_server.domain.cases.evaluation import (
    CaseTrace,
    Differs,
    EvaluatedCase,
    EvaluationResult,
    ScorerResult,
    Sides,
)

_NOT_COMPARED = "can't be compared"
_OTHER_CODE = "the scorer's code has changed"
_NO_CODE = "the scorer no longer says which code it runs"
_OTHER_JUDGE = "the judge model has changed"
_NO_JUDGE = "no model judges here"


def remark(one: ScorerResult, quoted: Callable[[str], str] | None = None) -> str:
    """Say it after the scorer's name; "" if there is nothing to say. `quoted` makes safe what a client wrote; without
    it judges are not named, whose long names have no room in a phone's column.
    """
    parts = [_differs(one.differs, quoted)] if one.differs is not None else []
    here, there = one.errors
    if here:
        parts.append(f"could not judge {words.count(here)}, which count{'s' if here == 1 else ''} as failed")
    if there:
        parts.append(f"could not judge {words.count(there)} in the baseline")
    return "; ".join(parts)


def _differs(found: Differs, quoted: Callable[[str], str] | None) -> str:
    if found.what != "judge":
        return f"{_NOT_COMPARED}: {_OTHER_CODE if found.here else _NO_CODE}"
    if quoted is None:
        return f"{_NOT_COMPARED}: {_OTHER_JUDGE if found.here else _NO_JUDGE}"
    judge = quoted(found.here) if found.here else "no model"
    return f"{_NOT_COMPARED}: judged by {judge} here and by {quoted(found.baseline)} in the baseline"


def pass_rates(one: EvaluationResult, rule: Rule) -> Sides:
    """Return the share of cases, on each side, that all scorers of a rule pass."""
    names = {scorer.name for scorer in evaluation_rule.selected(rule, one.scorers)}
    here = [_passes(case.here, names) for case in one.cases]
    there = [_passes(case.baseline, names) for case in one.cases]
    return Sides(_share(here), _share(there))


def _passes(traces: Iterable[CaseTrace], names: set[str]) -> bool | None:
    """Return whether a case passes; None if no scorer passes or fails it."""
    said = [trace.marks[name].passed for trace in traces for name in names & trace.marks.keys()]
    known = [one for one in said if one is not None]
    return all(known) if known else None


def _share(passed: Iterable[bool | None]) -> float | None:
    known = [one for one in passed if one is not None]
    return sum(known) / len(known) if known else None


def must_pass(model: Model | None, one: EvaluationResult) -> list[EvaluatedCase]:
    """List the cases that the contract says must pass and that fail here."""
    rules = [rule for rule in model.case_rules if rule.must_pass and rule.cases == one.name] if model else []
    found: dict[str, EvaluatedCase] = {}
    for rule in rules:
        names = {scorer.name for scorer in evaluation_rule.selected(rule, one.scorers)}
        wanted = globs.matching_any([case.id for case in one.cases], rule.must_pass)
        failed = (case for case in one.cases if case.id in wanted and not names.isdisjoint(case.failed))
        found |= {case.id: case for case in failed}
    return list(found.values())
