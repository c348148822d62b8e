"""The list of experiments, with how many runs each holds."""

from dataclasses import dataclass

from mltrail_server.domain.candidate import ViewType
from mltrail_server.domain.filters import Clause, Entity, Order
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.pages import tables
from mltrail_server.store.tracking import experiments
from mltrail_server.store.tracking.experiments import Experiment

MOST_COUNTED = 1000
_ORDERS = {
    "name": Order(Entity.ATTRIBUTE, "name", descending=False),
    "created": Order(Entity.ATTRIBUTE, "creation_time", descending=True),
    "changed": Order(Entity.ATTRIBUTE, "last_update_time", descending=True),
}


@dataclass(frozen=True, slots=True)
class ListedExperiment:
    """`runs` is one more than `MOST_COUNTED` if there are more than that."""

    experiment: Experiment
    runs: int


@dataclass(frozen=True, slots=True)
class ExperimentList:
    items: list[ListedExperiment]
    next_token: str | None


def page(
    scope: Scope,
    *,
    text: str = "",
    order: str = "",
    view: ViewType = ViewType.ACTIVE_ONLY,
    limit: int,
    token: str | None,
) -> ExperimentList:
    """List the experiments whose name contains a text, in three statements; newest first unless `order` is given."""
    clauses = [Clause(Entity.ATTRIBUTE, "name", "ILIKE", f"%{text}%")] if text else []
    orders = [_ORDERS[order]] if order in _ORDERS else []
    with scope.project.read() as tx:
        matches, next_token = experiments.search(
            tx, stages=view.stages, clauses=clauses, orders=orders, limit=limit, token=token
        )
        counts = tables.counts(tx, [experiment.iid for experiment in matches], view.stages, most=MOST_COUNTED)
    return ExperimentList(
        [ListedExperiment(experiment, counts.get(experiment.iid, 0)) for experiment in matches], next_token
    )
