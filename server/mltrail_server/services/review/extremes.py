"""The best and worst values of runs' histories, for rules that are about the best value."""

from collections.abc import Mapping
from dataclasses import replace

from mltrail_contract import Contract, Value
from mltrail_server.domain import globs
from mltrail_server.domain.comparison import Comparison
from mltrail_server.domain.grouping import Extremes, Group, Run
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.review import pipeline_runs

_MOST_VALUES = 5_000  # a database accepts some 30,000 values in a statement


def added(tx: Transaction, contract: Contract, compared: dict[str, Comparison]) -> dict[str, Comparison]:
    """Add the extremes of histories where a rule is about the best value. Two statements for all models together."""
    best_of = {
        name: [rule.metric for rule in model.rules if rule.value is Value.BEST]
        for name, model in contract.models.items()
    }
    names: dict[str, None] = {}
    iids: dict[int, None] = {}
    # The baseline's come first, so that a merge request can't hide its history by logging very much.
    for side in (_baselines, _bests, _histories):
        for name, comparison in compared.items():
            for group in side(comparison) if best_of.get(name) else ():
                logged = globs.matching_any(sorted(group.metrics), best_of[name])
                names |= dict.fromkeys(sorted(logged))
                iids |= dict.fromkeys(run.evidence_iid for run in group.runs)
    extremes = pipeline_runs.extremes(tx, list(iids)[:_MOST_VALUES], set(list(names)[:_MOST_VALUES]))

    def extended(group: Group | None) -> Group | None:
        if group is None:
            return None
        runs = tuple(_with_its_extremes(run, extremes.get(run.evidence_iid, {})) for run in group.runs)
        return replace(group, runs=runs)

    if not extremes:
        return compared
    return {
        name: replace(
            comparison,
            best=extended(comparison.best),
            baseline=extended(comparison.baseline),
            history=tuple(map(extended, comparison.history)),
        )
        for name, comparison in compared.items()
    }


def _with_its_extremes(run: Run, found: Mapping[str, Extremes]) -> Run:
    if run.snapshot_iid is not None:
        found = {name: one._replace(points=None) for name, one in found.items()}
    return replace(run, extremes=found)


def _baselines(compared: Comparison) -> list[Group]:
    return [compared.baseline] if compared.baseline is not None else []


def _bests(compared: Comparison) -> list[Group]:
    return [compared.best] if compared.best is not None else []


def _histories(compared: Comparison) -> list[Group]:
    return [one for one in compared.history if one is not None]
