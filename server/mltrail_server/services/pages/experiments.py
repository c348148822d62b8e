"""The list of experiments, with how many runs each holds and when something last changed."""

from dataclasses import dataclass

from mltrail_server.domain.candidate import ViewType
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.pages import experiments as store
from mltrail_server.store.pages import tables
from mltrail_server.store.pages.experiments import ExperimentOrder, ExperimentQuery
from mltrail_server.store.tracking.experiments import Experiment

MOST_COUNTED = 1000
__all__ = ["MOST_COUNTED", "ExperimentList", "ExperimentOrder", "ListedExperiment", "page"]


@dataclass(frozen=True, slots=True)
class ListedExperiment:
    """`runs` is one more than `MOST_COUNTED` if there are more than that. `changed_ms` is the later of its own last
    change and the end of its newest run, or that run's start while it runs.
    """

    experiment: Experiment
    runs: int
    changed_ms: int


@dataclass(frozen=True, slots=True)
class ExperimentList:
    """`left_out` is how many experiments of models are not listed because nobody has logged a run in them."""

    items: list[ListedExperiment]
    next_token: str | None
    left_out: int


def page(
    scope: Scope,
    *,
    text: str = "",
    order: ExperimentOrder = ExperimentOrder.CHANGED,
    view: ViewType = ViewType.ACTIVE_ONLY,
    empty_models: bool = False,
    limit: int,
    token: str | None,
) -> ExperimentList:
    """List the experiments whose name contains a text, in four statements."""
    query = ExperimentQuery(text, order, view.stages, empty_models)
    with scope.project.read() as tx:
        found, next_token = store.listed(tx, query, limit=limit, token=token)
        counts = tables.counts(tx, [one.experiment.iid for one in found], view.stages, most=MOST_COUNTED)
        left_out = 0 if empty_models else store.count_empty_models(tx, view.stages, most=MOST_COUNTED)
    return ExperimentList(
        [ListedExperiment(one.experiment, counts.get(one.experiment.iid, 0), one.changed_ms) for one in found],
        next_token,
        left_out,
    )
