"""Which way metrics are better, for pages: by the project's contract file where it says it, else by a guess."""

from collections.abc import Collection

import sqlalchemy as sa

from mltrail_contract import Contract
from mltrail_server.domain import comparison, selection
from mltrail_server.domain.direction import MetricDirection
from mltrail_server.domain.ids import ProjectId
from mltrail_server.store.review import contracts as store

from . import contracts

_LOOK_AT = 100
"""So many of the newest pipelines are looked at for one whose contract file was read."""


def of(
    connection: sa.Connection, project_id: ProjectId, metrics: Collection[str], *, experiments: Collection[str]
) -> dict[str, MetricDirection]:
    """Tell the direction of each metric in runs of these experiments. One statement."""
    contract = newest_contract(connection, project_id)
    return comparison.directions_of(metrics, selection.models_of(contract, experiments))


def of_model(
    connection: sa.Connection, project_id: ProjectId, metrics: Collection[str], model: str
) -> dict[str, MetricDirection]:
    """Tell the direction of each metric in versions of a model. One statement."""
    contract = newest_contract(connection, project_id)
    found = contract.models.get(model) if contract else None
    return comparison.directions_of(metrics, [found] if found else [])


def newest_contract(connection: sa.Connection, project_id: ProjectId) -> Contract | None:
    """Read the contract that binds the newest pipelines; None where there is none, or nobody has asked yet."""
    return contracts.parsed(store.newest(connection, project_id, among=_LOOK_AT)).contract
