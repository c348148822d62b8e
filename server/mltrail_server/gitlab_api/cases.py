"""What became of a table of cases, in the report's JSON."""

import math
from typing import Any

from mltrail_server.domain.cases import words
from mltrail_server.domain.cases.comparison import CaseComparison, CaseEvidence, Method
from mltrail_server.domain.cases.result import CaseResult


def shown(one: CaseResult) -> dict[str, Any]:
    found, counts = one.compared, one.counts
    return {
        "name": one.name,
        "table": one.table.table,
        "measure": one.table.measure,
        "problem": one.problem or None,
        "verdict": one.verdict,
        "sentence": one.problem or _sentence(one),
        "advice": one.advice or None,
        "n": found and found.cases,
        "added": one.added,
        "broke": counts and counts.broke,
        "fixed": counts and counts.fixed,
        "broken_ids": list(one.broke),
        "fixed_ids": list(one.fixed),
        "baseline": found and found.before,
        "current": found and found.now,
        "runs": {"current": one.runs[0], "baseline": one.runs[1]},
        "these_models": found and {"method": found.method, **_evidence(found.evidence)},
        "the_change": _change(found),
        "judged": found and ("these_models" if found.change is None else "the_change"),
        "wear": one.wear and {"judged": one.wear.judged, "worn_out": one.wear.worn_out, "sentence": one.wear.sentence},
    }


def _sentence(one: CaseResult) -> str:
    if one.counts is not None:
        return words.changed(one.counts)
    return words.moved(one.compared) if one.compared is not None else ""


def _change(found: CaseComparison | None) -> dict[str, Any] | None:
    if found is None or found.about_the_change is None:
        return None
    change = found.about_the_change
    return {"method": Method.CROSSED, "baseline": change.before, "current": change.now, **_evidence(change)}


def _evidence(evidence: CaseEvidence) -> dict[str, float | None]:
    numbers = {
        "delta": evidence.difference,
        "low": evidence.low,
        "high": evidence.high,
        "p_lower": evidence.below(0.0),
        "p_higher": evidence.above(0.0),
    }
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}
