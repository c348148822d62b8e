"""Single files by run, version or logged model, as MLflow's pages fetch and send them."""

from flask import Response

from mltrail_server.domain import paths
from mltrail_server.domain.errors import Code, MltrailError, invalid
from mltrail_server.http.answers import json_answer
from mltrail_server.http.call import Call
from mltrail_server.http.downloads import attachment
from mltrail_server.http.uploads import FileStream, announced
from mltrail_server.services.files import files
from mltrail_server.services.registry import versions
from mltrail_server.services.tracking import candidates, logged_models

from .messages import Message, message_of, query_of
from .wire import run_id_of

MOST_BYTES = 10 * 1024 * 1024
"""The most that a page may upload. Clients upload through the artifact proxy, which has no such limit."""


class _OfRun(Message):
    path: str = ""
    run_id: str | None = None
    run_uuid: str | None = None


class _OfVersion(Message):
    name: str
    version: str
    path: str


class _OfLoggedModel(Message):
    artifact_file_path: str


def of_run(call: Call) -> Response:
    query = message_of(call.request, _OfRun)
    path = _named(query.path)
    return _sent(call, _folder(call, query), path)


def of_version(call: Call) -> Response:
    query = message_of(call.request, _OfVersion)
    path = _named(query.path)
    return _sent(call, versions.files_of(call.scope, query.name, query.version), path)


def of_logged_model(call: Call, model_id: str) -> Response:
    model = logged_models.get(call.scope, model_id).model
    folder = f"{model.experiment_iid}/models/{model.model_id}/artifacts"
    return _sent(call, folder, _named(message_of(call.request, _OfLoggedModel).artifact_file_path))


def upload(call: Call) -> Response:
    query = query_of(call.request, _OfRun)
    if not (query.run_id or query.run_uuid):
        raise invalid("Request must specify run_uuid. Or run_id: whose file is it?")
    target = paths.join(_folder(call, query), _named(query.path))
    upload = announced(call.request)
    if not upload.size:
        raise invalid(
            "Request must specify data. An empty file, or one in chunks, is logged through the artifact proxy."
        )
    if upload.size > MOST_BYTES:
        raise MltrailError(Code.TOO_LARGE, f"At most {MOST_BYTES} bytes; use `mlflow.log_artifact` for larger files.")
    files.upload(call.scope, target, FileStream(call.request), upload)  # type: ignore[arg-type]
    return json_answer({})


def _folder(call: Call, query: _OfRun) -> str:
    candidate = candidates.get(call.scope, run_id_of(query)).candidate
    return f"{candidate.experiment_iid}/{candidate.eid}/artifacts"


def _named(path: str) -> str:
    """Read the name of a file. As in MLflow, this comes before anything is looked up."""
    name = paths.clean(path)
    if not name:
        raise invalid("Missing value for required parameter 'path'. Request must specify path.")
    return name


def _sent(call: Call, folder: str, path: str) -> Response:
    return attachment(call.scope, files.find(call.scope, paths.join(folder, path)), call.request)
