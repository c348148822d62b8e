"""A run's files: a tree of folders, and beside it what a file holds."""

from urllib.parse import quote

from flask import redirect
from flask.typing import ResponseReturnValue

from mltrail_server.domain import paths
from mltrail_server.http.call import Call
from mltrail_server.http.downloads import attachment
from mltrail_server.services.files import files
from mltrail_server.services.pages import candidate
from mltrail_server.services.pages.candidate import CandidateView
from mltrail_server.store.files.files import File, FolderEntry

from . import previews, run_head


def show(call: Call, iid: int) -> ResponseReturnValue:
    view = candidate.get(call.scope, iid)
    folder = paths.clean(call.request.args.get("folder", ""))
    return run_head.page(
        call,
        "run_files.html",
        "files",
        view,
        folder=folder,
        above=folder.rpartition("/")[0],
        entries=_entries(call, view, folder),
    )


def browse(call: Call, iid: int, path: str) -> ResponseReturnValue:
    """Show a file, or its beginning, and offer it as a download."""
    view = candidate.get(call.scope, iid)
    file = _file(call, view, path)
    shown = previews.of(call.scope, file)
    return run_head.page(call, "run_file.html", "files", view, path=path, file=file, preview=shown)


def preview(call: Call, iid: int, path: str) -> ResponseReturnValue:
    """Go to where earlier releases' links to a file lead now."""
    return redirect(f"{call.pages}/candidates/{iid}/browse/{quote(path)}", 302)


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
