"""Whether higher or lower is better, for pages: as the project's contract file says, else guessed from the name."""

from collections.abc import Collection

from mltrail_contract import Contract
from mltrail_server.domain import direction, selection
from mltrail_server.domain.direction import MetricDirection
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.review import contracts as store

from . import contracts

_MOST_PIPELINES = 100
"""How many of the newest pipelines are searched for one whose contract file was read."""


def of_runs(tx: Transaction, metrics: Collection[str], *, experiments: Collection[str]) -> dict[str, MetricDirection]:
    """Return the direction of each metric in runs of these experiments. One statement."""
    contract = newest_contract(tx)
    return direction.directions_of(metrics, selection.models_of(contract, experiments))


def of_versions(tx: Transaction, metrics: Collection[str], model: str) -> dict[str, MetricDirection]:
    """Return the direction of each metric in versions of a model. One statement."""
    contract = newest_contract(tx)
    rules = contract.models.get(model) if contract else None
    return direction.directions_of(metrics, [rules] if rules else [])


def newest_contract(tx: Transaction) -> Contract | None:
    """Read the contract that binds the newest pipelines; None if there is none, or none has been read yet."""
    return contracts.parsed(store.newest(tx, among=_MOST_PIPELINES)).contract
