"""An experiment's runs in groups: by a parameter, a tag, their job or pipeline, or as repeats of each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mltrail_server.domain.direction import MetricDirection
from mltrail_server.domain.statistics import Summary
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.tracking.experiments import Experiment

from .tables import CandidateRow, TableQuery


@dataclass(frozen=True, slots=True)
class GroupRow:
    """Runs that have the same value, or the same parameters. `key` is what `opened` names a group by; `label` has what
    its runs share, by name, and is empty for runs that lack what they are grouped by.

    `count` counts all its runs, `failed` those of them that don't count in `metrics`. `best` has the metrics whose mean
    is the best of all groups. `runs` are the newest of an opened group.
    """

    key: str
    label: Mapping[str, str]
    count: int
    failed: int
    metrics: Mapping[str, Summary]
    best: frozenset[str] = frozenset()
    opened: bool = False
    runs: Sequence[CandidateRow] = ()
    filter: str = ""  # what shows the runs of this group in the table; "" if no filter can
    pipeline_id: int | None = None  # if they are grouped by pipeline


@dataclass(frozen=True, slots=True)
class GroupTable:
    """A page of groups. `groups` counts them all, and `runs` those that were grouped: the newest that match, of
    `matching`.
    """

    experiment: Experiment
    by: str
    rows: Sequence[GroupRow]
    metrics: Sequence[str]
    all_metrics: Sequence[str]
    params: Sequence[str]
    all_params: Sequence[str]
    directions: Mapping[str, MetricDirection]
    groups: int
    runs: int
    matching: int
    matching_is_more: bool
    total: int
    total_is_more: bool
    next_token: str | None
    ignored: Sequence[str] = ()  # the parameters that repeats may differ in
    notes: Sequence[str] = ()


def page(scope: Scope, experiment_iid: int, query: TableQuery, by: str, opened: Sequence[str] = ()) -> GroupTable:
    """Return a page of groups, in the order of `query.orders`: by a metric's mean, by `count` or by `key`.

    Raises NOT_FOUND for an unknown experiment, INVALID for what runs can't be grouped by.
    """
    raise NotImplementedError
