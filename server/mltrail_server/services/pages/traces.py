"""What the page of a trace shows, and the list of an experiment's traces."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from mltrail_server.domain import page_filters
from mltrail_server.domain.assessments import Assessment
from mltrail_server.domain.errors import MltrailError, not_found
from mltrail_server.domain.origins import Origin
from mltrail_server.domain.prompts import LINKED_TAG, linked
from mltrail_server.domain.reasons import Reason
from mltrail_server.domain.span_tree import PlacedSpan, placed
from mltrail_server.domain.spans import Span
from mltrail_server.domain.traces import Trace
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.traces import search
from mltrail_server.services.traces import spans as span_service
from mltrail_server.services.tracking import experiments as experiment_service
from mltrail_server.store.imports import origins
from mltrail_server.store.pages import traces as pages_store
from mltrail_server.store.pages.traces import TraceRun
from mltrail_server.store.traces import assessments as assessment_store
from mltrail_server.store.traces import links
from mltrail_server.store.traces import traces as store
from mltrail_server.store.tracking.experiments import Experiment


@dataclass(frozen=True, slots=True)
class TraceView:
    """A trace with everything that belongs to it. `problem` says why its spans can't be shown, `origin` where it was
    imported from.
    """

    trace: Trace
    experiment: Experiment
    runs: Sequence[TraceRun] = ()
    prompts: Sequence[tuple[str, str]] = ()
    assessments: Sequence[Assessment] = ()
    spans: Sequence[PlacedSpan] = field(default=())
    problem: str = ""
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class ListedTrace:
    trace: Trace
    runs: Sequence[TraceRun]
    assessments: Sequence[Assessment]


@dataclass(frozen=True, slots=True)
class TraceList:
    experiment: Experiment
    items: Sequence[ListedTrace]
    next_token: str | None


def get(scope: Scope, trace_id: str) -> TraceView:
    """Return a trace, in a fixed number of statements. Raises NOT_FOUND."""
    with scope.project.read() as tx:
        trace = store.get(tx, trace_id)
        if trace is None:
            raise not_found(Reason.NO_TRACE, trace_id=trace_id)
        experiment = experiment_service.existing(tx, trace.experiment_iid)
        runs = pages_store.runs_of(tx, [trace_id]).get(trace_id, [])
        prompts = links.prompts_of(tx, [trace_id]).get(trace_id) or _prompts(trace)
        assessments = assessment_store.of_traces(tx, [trace_id]).get(trace_id, [])
        origin = origins.get(tx, trace.origin_id)
    spans, problem = _spans(scope, trace_id)
    return TraceView(trace, experiment, runs, prompts, assessments, spans, problem, origin)


def listed(
    scope: Scope,
    experiment_iid: int,
    *,
    filter_text: str,
    quick: str = "",
    now: int | None = None,
    limit: int,
    token: str | None,
) -> TraceList:
    """Search an experiment's traces, the newest first. A page may have less than `limit`, and still a next one. The
    `quick` filter finds yes and no however scorers write them. `last 7 days` is counted back
    from `now`, in milliseconds: a later page takes that of the first one, since a token continues only the same search.

    Raises NOT_FOUND, and INVALID for a filter that can't be read.
    """
    with scope.project.read() as tx:
        experiment = experiment_service.existing(tx, experiment_iid)
    found = search.traces(
        scope,
        experiment_iids=[experiment_iid],
        filter_text=page_filters.with_milliseconds(filter_text, scope.now if now is None else now),
        quick=quick,
        limit=limit,
        token=token,
    )
    with scope.project.read() as tx:
        runs = pages_store.runs_of(tx, [one.trace.id for one in found.items])
    items = [ListedTrace(one.trace, runs.get(one.trace.id, []), one.assessments) for one in found.items]
    return TraceList(experiment, items, found.next_token)


def newest_experiment(scope: Scope) -> int | None:
    """Return the number of the experiment that got the newest trace; None if there is no trace."""
    with scope.project.read() as tx:
        return pages_store.newest_experiment(tx)


def root_of(scope: Scope, trace_id: str) -> Span | None:
    """Read the first root of a trace, which has the whole request and response; None if there is none to read."""
    spans, _ = _spans(scope, trace_id)
    return spans[0].span if spans else None


def _prompts(trace: Trace) -> list[tuple[str, str]]:
    """Read what a client says itself about the prompts that a trace used."""
    return [(one.name, str(one.number)) for one in linked(trace.tags.get(LINKED_TAG))]


def _spans(scope: Scope, trace_id: str) -> tuple[list[PlacedSpan], str]:
    """Read the spans; whatever a client sent, the rest of the page is shown without them."""
    try:
        return placed(span_service.read(scope, trace_id)), ""
    except MltrailError as error:
        return [], error.message
    except (ValueError, TypeError, KeyError, zlib.error, RecursionError):
        return [], "The spans that a client sent can't be read."
