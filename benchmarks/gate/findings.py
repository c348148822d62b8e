"""What is counted for each merge request."""

from collections.abc import Iterator, Mapping
from enum import StrEnum

from mltrail_contract import Outcome, Then
from mltrail_server.domain.judgement import JudgedModel
from mltrail_server.domain.rules import Ruling
from mltrail_server.domain.verdict import Verdict

Judged = Mapping[str, JudgedModel]


class Finding(StrEnum):
    """What the gate said about a merge request in any of its pipelines or, for `IN_THE_LAST`, in the last one."""

    BROKEN = "broken"  # a test found that a fail rule is broken
    BLOCKED = "blocked"  # the same, in the end
    SEEN = "seen"  # a metric that truly dropped has broken its fail rule, in the end
    WARNED = "warned"  # a warn rule is broken
    UNRULED = "unruled"  # a metric without a rule is worse
    BETTER = "better"  # a metric with a fail rule is better
    UNKNOWN = "unknown"  # all fail rules: can't tell yet, in the end
    DIVERGED = "diverged"  # a run is reported as diverged


IN_THE_LAST = frozenset({Finding.BLOCKED, Finding.SEEN, Finding.UNKNOWN})


def found_in(judged: Judged, dropped: tuple[str, str] | None) -> set[Finding]:
    """Return what the gate says in one pipeline. `dropped` names the model and the metric that truly dropped; None
    means that all of them did.
    """
    rulings = [ruling for model in judged.values() for ruling in model.rulings]
    failing = [one for one in rulings if one.rule.then is Then.FAIL]
    verdicts = {one.verdict for one in failing}
    broken = set(_broken_by_test(judged))
    held = {
        Finding.BROKEN: bool(broken),
        Finding.BLOCKED: bool(broken),
        Finding.SEEN: bool(broken) if dropped is None else dropped in broken,
        Finding.WARNED: any(_is_worse(one) for one in rulings if one.rule.then is Then.WARN),
        Finding.UNRULED: Verdict.WORSE in _without_a_rule(judged),
        Finding.BETTER: Verdict.BETTER in verdicts,
        Finding.UNKNOWN: verdicts == {Verdict.CANT_TELL},
        Finding.DIVERGED: any(_is_worse(one) and one.decision is None for one in failing),
    }
    return {finding for finding, holds in held.items() if holds}


def _broken_by_test(judged: Judged) -> Iterator[tuple[str, str]]:
    for name, model in judged.items():
        for ruling in model.rulings:
            if ruling.outcome is Outcome.FAIL and ruling.decision is not None:
                yield name, ruling.metric


def _without_a_rule(judged: Judged) -> Iterator[Verdict]:
    for model in judged.values():
        ruled = {one.metric for one in model.rulings}
        yield from (one.verdict for one in model.comparison.metrics if one.name not in ruled)


def _is_worse(ruling: Ruling) -> bool:
    return ruling.verdict is Verdict.WORSE
