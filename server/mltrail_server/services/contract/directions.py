"""Which way metrics are better, for pages: by the project's contract file where it says it, else by a guess."""

from collections.abc import Collection

from mltrail_contract import Contract
from mltrail_server.domain import comparison, selection
from mltrail_server.domain.direction import MetricDirection
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.review import contracts as store

from . import contracts

_LOOK_AT = 100
"""So many of the newest pipelines are looked at for one whose contract file was read."""


def of(tx: Transaction, metrics: Collection[str], *, experiments: Collection[str]) -> dict[str, MetricDirection]:
    """Tell the direction of each metric in runs of these experiments. One statement."""
    contract = newest_contract(tx)
    return comparison.directions_of(metrics, selection.models_of(contract, experiments))


def of_model(tx: Transaction, metrics: Collection[str], model: str) -> dict[str, MetricDirection]:
    """Tell the direction of each metric in versions of a model. One statement."""
    contract = newest_contract(tx)
    found = contract.models.get(model) if contract else None
    return comparison.directions_of(metrics, [found] if found else [])


def newest_contract(tx: Transaction) -> Contract | None:
    """Read the contract that binds the newest pipelines; None where there is none, or nobody has asked yet."""
    return contracts.parsed(store.newest(tx, among=_LOOK_AT)).contract
