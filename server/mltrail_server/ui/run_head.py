"""What all tabs of a run share: its title and actions, and the tabs themselves, each with its URL.

`page` fills a template that extends `run_head.html` and has its content in `{% block tab %}`. A tab appears once
`_tabs` lists it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from mltrail_server.domain import media
from mltrail_server.domain.direction import is_system
from mltrail_server.http.call import Call
from mltrail_server.services.pages.candidate import CandidateView
from mltrail_server.services.tracking import stamp
from mltrail_server.services.tracking.candidates import NAME_TAG
from mltrail_server.store.tracking.inputs import Direction

from . import render
from .edits.forms import NOTE

_HIDDEN = frozenset({NAME_TAG, NOTE})


@dataclass(frozen=True, slots=True)
class Tab:
    """A tab. `path` follows the run's own address; `count` is shown beside the label; `missing` says why there is
    nothing to open.
    """

    name: str
    label: str
    path: str
    count: str = ""
    missing: str = ""


def page(call: Call, template: str, tab: str, view: CandidateView, **values: object) -> str:
    """Render a tab of a run. Templates get the run as `run` and `one`, its address as `here`, and the tabs."""
    one = view.run.candidate
    return render.page(
        call,
        template,
        section="experiments",
        view=view,
        run=view.run,
        one=one,
        here=f"{call.pages}/candidates/{one.iid}",
        tab=tab,
        tabs=tabs(call, view),
        tags=own_tags(view),
        note=dict(view.run.tags).get(NOTE, ""),
        maintainer=call.actor.has_maintainer_rights,
        **values,
    )


def tabs(call: Call, view: CandidateView) -> list[Tab]:
    return list(_tabs(call, view))


def _tabs(call: Call, view: CandidateView) -> Iterator[Tab]:
    """List the tabs: those that every run may have, greyed if they are empty, and the others only where there is
    something.
    """
    one, files = view.run.candidate, view.files
    yield Tab("overview", "Overview", "")
    drawn = len(measured(view))
    yield Tab("charts", "Charts", "/charts", f"{drawn:,}", "" if drawn else "none")
    if one.elsewhere:
        yield Tab("files", "Files", "/files", "elsewhere")
    else:
        count = f"{files.count:,}{'+' if files.more else ''}"
        yield Tab("files", "Files", "/files", count, "" if files.count else "none")
    if (files.pictures or tables(view)) and not one.elsewhere:
        yield Tab("media", "Media", "/media")
    models = max(view.models, len(outputs(view)))
    if models or files.models:
        yield Tab("models", "Models", "/models", str(models or ""))
    of_machine = len(view.run.metrics) - drawn
    yield Tab("system", "System", "/system", f"{of_machine:,}" if of_machine else "")
    if view.traces and call.sees_traces:
        yield Tab("traces", "Traces", "/traces", f"{view.traces:,}")
        if view.origin is None:
            yield Tab("evaluation", "Evaluation", "/evaluation")


def tables(view: CandidateView) -> list[str]:
    """List the paths of the tables that were logged with `log_table`."""
    return media.logged_tables(dict(view.run.tags).get(media.TABLES_TAG, ""))


def measured(view: CandidateView) -> list[str]:
    """List the metrics that are not measurements of the machine."""
    return [point.key for point in view.run.metrics if not is_system(point.key)]


def outputs(view: CandidateView) -> list[str]:
    """List the ids of the logged models that a run names as its output, in the order of their steps."""
    return linked(view, Direction.OUTPUT)


def linked(view: CandidateView, direction: Direction) -> list[str]:
    return [link.model_id for link in view.run.models if link.direction is direction]


def own_tags(view: CandidateView) -> list[tuple[str, str]]:
    """List the tags that no page shows otherwise."""
    # What the server has stamped is in the strip already.
    hidden = {*_HIDDEN, *stamp.KEYS} if view.jobs else _HIDDEN
    return [(key, value) for key, value in view.run.tags if key not in hidden]
