"""One run: what was logged to it, which job created it, its files, and how to load it."""

from flask.typing import ResponseReturnValue

from mltrail_server.domain import paths
from mltrail_server.http.call import Call
from mltrail_server.http.downloads import attachment
from mltrail_server.services.files import files
from mltrail_server.services.pages import candidate
from mltrail_server.services.pages.candidate import CandidateView
from mltrail_server.services.registry import versions
from mltrail_server.services.tracking import stamp
from mltrail_server.services.tracking.candidates import NAME_TAG
from mltrail_server.store.files.files import File, FolderEntry
from mltrail_server.store.tracking.inputs import Direction

from . import previews
from .render import page

NOTE = "mlflow.note.content"
_MOST_ROWS = 300
_MOST_CHARTS = 12
_HIDDEN = frozenset({NAME_TAG, NOTE})


def show(call: Call, iid: int) -> ResponseReturnValue:
    view = candidate.get(call.scope, iid)
    arguments = call.request.args
    find = arguments.get("find", "").strip()
    folder = paths.clean(arguments.get("folder", ""))
    tags = dict(view.run.tags)
    # The page shows the stamp under CI already.
    hidden = {*_HIDDEN, *stamp.KEYS} if view.jobs else _HIDDEN
    metrics = [point for point in view.run.metrics if find.lower() in point.key.lower()]
    params = [(key, value) for key, value in view.run.params if find.lower() in key.lower()]
    own_tags = [(key, value) for key, value in tags.items() if key not in hidden and find.lower() in key.lower()]
    charts = [point.key for point in metrics if point.step > 0]
    most = len(charts) if "charts" in arguments else _MOST_CHARTS
    made = versions.search(call.scope, filter_text=f"run_id = '{view.run.candidate.eid}'", limit=50)
    return page(
        call,
        "candidate.html",
        section="experiments",
        view=view,
        run=view.run,
        one=view.run.candidate,
        find=find,
        metrics=metrics[:_MOST_ROWS],
        metrics_count=len(metrics),
        charts=charts[:most],
        charts_count=len(charts),
        params=params[:_MOST_ROWS],
        params_count=len(params),
        tags=own_tags[:_MOST_ROWS],
        tags_count=len(own_tags),
        maintainer=call.actor.has_maintainer_rights,
        note=tags.get(NOTE, ""),
        commit=tags.get("mlflow.source.git.commit"),
        folder=folder,
        above=folder.rpartition("/")[0],
        entries=_entries(call, view, folder),
        versions=made.items,
        model_ids=_linked(view, Direction.OUTPUT),
        input_ids=_linked(view, Direction.INPUT),
    )


def _linked(view: CandidateView, direction: Direction) -> list[str]:
    return [link.model_id for link in view.run.models if link.direction is direction]


def preview(call: Call, iid: int, path: str) -> ResponseReturnValue:
    """Show a file, or its beginning, and offer it as a download."""
    view = candidate.get(call.scope, iid)
    file = _file(call, view, path)
    return page(
        call,
        "file.html",
        section="experiments",
        view=view,
        one=view.run.candidate,
        path=path,
        file=file,
        preview=previews.of(call.scope, file),
    )


def download(call: Call, iid: int, path: str) -> ResponseReturnValue:
    return attachment(call.scope, _file(call, candidate.get(call.scope, iid), path), call.request)


def picture(call: Call, iid: int, path: str) -> ResponseReturnValue:
    return previews.picture(call, _file(call, candidate.get(call.scope, iid), path))


def _file(call: Call, view: CandidateView, path: str) -> File:
    return files.find(call.scope, f"{_root(view)}/{path}")


def _entries(call: Call, view: CandidateView, folder: str) -> list[FolderEntry]:
    """List a folder of a run's files; none if they are stored elsewhere, where this server does not look."""
    return [] if view.run.candidate.elsewhere else files.listing(call.scope, paths.join(_root(view), folder))


def _root(view: CandidateView) -> str:
    one = view.run.candidate
    return f"{one.experiment_iid}/{one.eid}/artifacts"
