"""A run's files, or those of one of its logged models: a tree of folders, and beside it what a file holds."""

from collections.abc import Sequence
from urllib.parse import quote

from flask import redirect
from flask.typing import ResponseReturnValue

from mltrail_server.domain import paths
from mltrail_server.http.call import Call
from mltrail_server.http.downloads import attachment
from mltrail_server.services.pages import candidate, run_models
from mltrail_server.services.pages import files as service
from mltrail_server.services.pages.candidate import CandidateView
from mltrail_server.services.pages.files import FileTree
from mltrail_server.store.files.files import File

from . import previews, run_head


def show(call: Call, iid: int, model_id: str = "") -> ResponseReturnValue:
    """Show the tree with one folder open, or the files that are searched for."""
    return _page(call, candidate.get(call.scope, iid), model_id, paths.clean(call.request.args.get("folder", "")))


def browse(call: Call, iid: int, path: str, model_id: str = "") -> ResponseReturnValue:
    """Show a file, or its beginning, and offer it as a download; or open a folder."""
    return _page(call, candidate.get(call.scope, iid), model_id, paths.clean(path))


def _page(call: Call, view: CandidateView, model_id: str, path: str) -> ResponseReturnValue:
    arguments = call.request.args
    find = arguments.get("find", "").strip()
    roots = _roots(call, view, model_id)
    tree = service.tree(call.scope, roots, path, arguments.get("after")) if roots else FileTree("", False, ())
    found, more = service.find(call.scope, roots, find) if find and roots else ([], False)
    file = service.get(call.scope, roots, path) if tree.is_file else None
    shown = previews.of(call.scope, file, plain="plain" in arguments) if file is not None else None
    body = run_head.page(
        call,
        "run_files.html",
        "models" if model_id else "files",
        view,
        base_of_files=_address(call, view.run.candidate.iid, model_id),
        model_id=model_id,
        tree=tree,
        path=path,
        find=find,
        found=found,
        found_more=more,
        file=file,
        preview=shown,
        run_scripts=arguments.get("scripts") == "1",
    )
    return body if shown is None else previews.around(body, shown)


def preview(call: Call, iid: int, path: str) -> ResponseReturnValue:
    """Go to where earlier releases' links to a file lead now."""
    return redirect(f"{_address(call, iid, '')}/browse/{quote(path)}", 302)


def framed(call: Call, iid: int, path: str, model_id: str = "") -> ResponseReturnValue:
    there = f"{_address(call, iid, model_id)}/browse/{quote(path)}"
    return previews.framed(call, _file(call, iid, model_id, path), there)


def download(call: Call, iid: int, path: str, model_id: str = "") -> ResponseReturnValue:
    return attachment(call.scope, _file(call, iid, model_id, path), call.request)


def picture(call: Call, iid: int, path: str, model_id: str = "") -> ResponseReturnValue:
    return previews.picture(call, _file(call, iid, model_id, path))


def _file(call: Call, iid: int, model_id: str, path: str) -> File:
    view = candidate.get(call.scope, iid)
    return service.get(call.scope, _roots(call, view, model_id), path)


def _roots(call: Call, view: CandidateView, model_id: str) -> Sequence[str]:
    """Return the folders that the tree is made of; none if the files are stored elsewhere."""
    if model_id:
        return run_models.roots_of(call.scope, view, model_id)
    return [] if view.run.candidate.elsewhere else candidate.folders(view.run.candidate)


def _address(call: Call, iid: int, model_id: str) -> str:
    """Return the address below which the files have theirs."""
    return f"{call.pages}/candidates/{iid}" + (f"/models/{model_id}" if model_id else "")
