"""An evaluation in the report's JSON: numbers, and which cases broke. What was asked and answered is never here, since
whoever sees a merge request may read it.
"""

from typing import Any

from mltrail_server.domain.cases.evaluation import (
    Change,
    Criterion,
    EvaluatedCase,
    EvaluationResult,
    ScorerResult,
    Sides,
)
from mltrail_server.services.context import links
from mltrail_server.settings import Settings

_MOST_CASES = 10_000
_LINKED = frozenset({Change.BROKE, Change.FIXED})


def shown(settings: Settings, path: str, one: EvaluationResult) -> dict[str, Any]:
    counts = one.counts
    return {
        "name": one.name,
        "iid": one.candidate,
        "baseline_iid": one.baseline,
        "url": links.evaluation(settings, path, one.candidate, against=one.baseline),
        "problem": one.problem or None,
        "n": len(one.cases) - len(one.that(Change.MISSING)),
        "compared": counts and counts.n,
        "broke": counts and counts.broke,
        "fixed": counts and counts.fixed,
        "scorers": [_scorer(each) for each in one.scorers],
        "cases": [_case(settings, path, one, each) for each in one.cases[:_MOST_CASES]],
        "left_out": max(0, len(one.cases) - _MOST_CASES),
        "traces": {name: _sides(both) for name, both in one.traces.items()},
        "criteria": [_criterion(each) for each in one.criteria],
        "remarks": list(one.remarks),
    }


def _scorer(one: ScorerResult) -> dict[str, Any]:
    differs = one.differs
    return {
        "name": one.name,
        "kind": one.kind,
        "table": one.result.name,
        **_sides(one.values),
        "verdict": one.result.verdict,
        "problem": one.result.problem or None,
        "errors": {"current": one.errors[0], "baseline": one.errors[1]},
        "differs": differs and {"what": differs.what, "current": differs.here, "baseline": differs.baseline},
    }


def _case(settings: Settings, path: str, evaluation: EvaluationResult, one: EvaluatedCase) -> dict[str, Any]:
    url = links.evaluation(settings, path, evaluation.candidate, against=evaluation.baseline, case=one.id)
    return {
        "id": one.id,
        "label": one.label,
        "change": one.change,
        "broke": list(one.broke),
        "fixed": list(one.fixed),
        "failed": list(one.failed),
        "in_baseline": bool(one.baseline),
        "url": url if one.change in _LINKED else None,
    }


def _sides(both: Sides) -> dict[str, float | None]:
    return {"current": both.here, "baseline": both.baseline}


def _criterion(one: Criterion) -> dict[str, Any]:
    return {
        "metric": one.metric,
        "at_least": one.threshold if one.at_least else None,
        "at_most": None if one.at_least else one.threshold,
        "baseline_bar": one.before,
        "value": one.value,
        "kept": one.kept,
        "gates": one.gates,
    }
