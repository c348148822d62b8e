"""Upload files of a version, and delete them."""

from flask import redirect
from flask.typing import ResponseReturnValue

from mltrail_server.domain import paths
from mltrail_server.domain.errors import Code, MltrailError, invalid
from mltrail_server.http.call import Call
from mltrail_server.http.multipart import MultipartBody
from mltrail_server.services.files import files, packages
from mltrail_server.services.files.files import Announced
from mltrail_server.services.pages import consequences
from mltrail_server.services.registry import versions
from mltrail_server.ui import messages, sentences
from mltrail_server.ui.messages import quoted
from mltrail_server.ui.render import segment

from . import forms
from .forms import Done, Question

_MOST_NAMED = 3


def upload(call: Call, name: str, which: str) -> ResponseReturnValue:
    """Store each file of the form as it arrives. What is refused later leaves the files before it stored, and says so.

    The form's ticket was checked before (`ui.session`); nothing of the body has been read yet.
    """
    one = versions.get(call.scope, name, which)
    there = f"{call.pages}/models/{segment(name)}/versions/{segment(which)}"
    body = MultipartBody(call.request)
    stored: list[str] = []
    try:
        consequences.check_upload(call.scope, one)
        for given, stream in body.files():
            path = _path(body.fields.get("folder", ""), given)
            target = packages.path_of(call.scope, str(one.id), path)
            files.check(call.scope, target, size=0 if stored else call.request.content_length or 0)
            files.upload(call.scope, target, stream, Announced(None))  # type: ignore[arg-type]
            stored.append(path)
        if not stored:
            raise invalid("Choose the files to upload.")
    except MltrailError as error:
        if error.code not in forms.SHOWN_THERE and error.code is not Code.TOO_LARGE:
            raise
        body.drain()
        kept = f" Stored before that: {_listed(stored)}." if stored else ""
        messages.refuse(sentences.of(error) + kept)
        return redirect(f"{there}#files", 303)
    messages.say(f"Uploaded {_listed(stored)} to {name} {one.semver}.", pages=call.pages)
    return redirect(f"{there}#files", 303)


def change(call: Call, name: str, which: str, path: str) -> ResponseReturnValue:
    """Delete a file of a version."""
    one = versions.get(call.scope, name, which)
    there = f"models/{segment(name)}/versions/{segment(which)}"

    def delete() -> Done:
        consequences.check_upload(call.scope, one)
        files.delete(call.scope, packages.path_of(call.scope, str(one.id), path))
        return Done(f"Deleted the file {quoted(path)} of {name} {one.semver}.", there=there)

    def before_deletion() -> Question:
        points = [f"It is removed from {name} {one.semver}. This can't be undone."]
        return Question(f"Delete the file {quoted(path)}?", points, "Delete file")

    return forms.answer(call, {"delete": delete}, there, ask={"delete": before_deletion})


def _path(folder: str, name: str) -> str:
    """Return where a file goes. Raises INVALID for a path that leaves the version's folder."""
    inside, plain = paths.clean(folder.strip().strip("/")), paths.clean(name)
    return paths.clean(f"{inside}/{plain}" if inside else plain)


def _listed(names: list[str]) -> str:
    shown = ", ".join(quoted(name) for name in names[:_MOST_NAMED])
    return shown if len(names) <= _MOST_NAMED else f"{shown} and {len(names) - _MOST_NAMED} more files"
