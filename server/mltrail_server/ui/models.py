"""Models, their versions and aliases."""

import json
from typing import Any
from urllib.parse import quote

from flask import redirect
from flask.typing import ResponseReturnValue

from mltrail_server.domain import paths
from mltrail_server.http.call import Call
from mltrail_server.http.downloads import attachment
from mltrail_server.services.pages import models as models_service
from mltrail_server.services.pages import prompts as prompts_service
from mltrail_server.services.registry import cards
from mltrail_server.store.files.files import File
from mltrail_server.store.registry.versions import Version

from . import previews, prompts, session
from .render import page, segment

_MODELS = 50
_VERSIONS = 50
_DATASETS = 20
_MOST_STATEMENT = 60_000


def models(call: Call) -> ResponseReturnValue:
    arguments = call.request.args
    find = arguments.get("find", "").strip()
    found = models_service.listed(call.scope, text=find, limit=_MODELS, token=arguments.get("page"))
    return page(call, "models.html", section="models", models=found.items, next_token=found.next_token, find=find)


def model(call: Call, name: str) -> ResponseReturnValue:
    """Show a model by its name or by the number in GitLab's URLs."""
    real = models_service.name_of(call.scope, name)
    if real != name:
        return redirect(f"{call.pages}/models/{segment(real)}", 302)
    if prompts_service.is_prompt(call.scope, name):
        return prompts.moved(call, name)
    view = models_service.get(call.scope, name, limit=_VERSIONS, token=call.request.args.get("page"))
    return page(call, "model.html", section="models", view=view, name=name, count=view.count)


def version(call: Call, name: str, which: str) -> ResponseReturnValue:
    real = models_service.name_of(call.scope, name)
    if real != name:
        # GitLab's own form: models/<id of the model>/versions/<id of the version>
        semver = models_service.semver_of_id(call.scope, real, which)
        return redirect(f"{call.pages}/models/{segment(real)}/versions/{segment(semver)}", 302)
    view = models_service.version(call.scope, real, which)
    folder = paths.clean(call.request.args.get("folder", ""))
    return page(
        call,
        "version.html",
        section="models",
        view=view,
        one=view.version,
        name=view.version.model_name,
        folder=folder,
        above=folder.rpartition("/")[0],
        entries=models_service.entries(call.scope, view.version, folder),
        statement=_indented(view.statement),
        ticket=session.ticket(_upload_path(call, view.version)),
        most_datasets=_DATASETS,
        card=cards.of(call.scope, view.version.model_name, str(view.version.number))[1],
    )


def preview(call: Call, name: str, which: str, path: str) -> ResponseReturnValue:
    view = models_service.version(call.scope, models_service.name_of(call.scope, name), which)
    file = models_service.file(call.scope, view.version, paths.clean(path))
    shown = previews.of(call.scope, file, plain="plain" in call.request.args)
    body = page(
        call,
        "version_file.html",
        section="models",
        one=view.version,
        edits=view.edits,
        path=path,
        file=file,
        preview=shown,
        run_scripts=call.request.args.get("scripts") == "1",
    )
    return previews.around(body, shown)


def download(call: Call, name: str, which: str, path: str) -> ResponseReturnValue:
    return attachment(call.scope, _file(call, name, which, path), call.request)


def picture(call: Call, name: str, which: str, path: str) -> ResponseReturnValue:
    return previews.picture(call, _file(call, name, which, path))


def framed(call: Call, name: str, which: str, path: str) -> ResponseReturnValue:
    there = f"{call.pages}/models/{segment(name)}/versions/{segment(which)}/preview/{quote(path)}"
    return previews.framed(call, _file(call, name, which, path), there)


def _file(call: Call, name: str, which: str, path: str) -> File:
    view = models_service.version(call.scope, models_service.name_of(call.scope, name), which)
    return models_service.file(call.scope, view.version, paths.clean(path))


def _upload_path(call: Call, one: Version) -> str:
    """The path that Flask sees for the form that uploads files: decoded, and without the root path."""
    below = f"{call.actor.project_path}/-/ml/models/{one.model_name}/versions/{one.semver}/upload"
    return f"/{below}"


def _indented(statement: dict[str, Any] | None) -> str:
    return "" if statement is None else json.dumps(statement, indent=2, ensure_ascii=False)[:_MOST_STATEMENT]
