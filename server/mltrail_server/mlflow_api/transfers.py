"""Large files in parts, and through the store's own URLs, as MLflow's client sends and fetches them.

Clients ask for this with MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD and MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD, and fall back
to whole files on 501: https://mlflow.org/docs/latest/self-hosting/architecture/artifact-store/.
"""

from flask import Response

from mltrail_server.artifacts.base import UploadPart
from mltrail_server.artifacts.whole_files import refused
from mltrail_server.domain import paths
from mltrail_server.http.answers import json_answer
from mltrail_server.http.call import Call
from mltrail_server.http.downloads import disposition
from mltrail_server.services.files import direct_transfers, files
from mltrail_server.services.tracking import candidates

from .messages import Message, message_of
from .wire import run_id_of


class _Begin(Message):
    path: str
    num_parts: int = 1


class _Part(Message):
    part_number: int
    etag: str = ""


class _Complete(Message):
    path: str
    upload_id: str
    parts: list[_Part]


class _Abort(Message):
    path: str
    upload_id: str


class _Download(Message):
    path: str
    run_id: str | None = None
    run_uuid: str | None = None


def begin(call: Call, path: str) -> Response:
    if paths.trace_file_of(path) is not None:
        raise refused()  # the spans have to be read here
    body = message_of(call.request, _Begin)
    upload_id, urls = direct_transfers.begin(call.scope, _target(path, body.path), body.num_parts)
    credentials = [{"url": one.url, "part_number": one.number, "headers": {}} for one in urls]
    return json_answer({"upload_id": upload_id, "credentials": credentials})


def complete(call: Call, path: str) -> Response:
    body = message_of(call.request, _Complete)
    parts = [UploadPart(one.part_number, one.etag) for one in body.parts]
    direct_transfers.complete(call.scope, _target(path, body.path), body.upload_id, parts)
    return json_answer({})


def abort(call: Call, path: str) -> Response:
    body = message_of(call.request, _Abort)
    direct_transfers.abort(call.scope, _target(path, body.path), body.upload_id)
    return json_answer({})


def presigned(call: Call, path: str) -> Response:
    if paths.trace_file_of(path) is not None:
        raise refused()  # what the store has is compressed, and who has a URL needs no right to read traces
    return json_answer(_located(call, path))


def presigned_of_run(call: Call) -> Response:
    body = message_of(call.request, _Download)
    candidate = candidates.get(call.scope, run_id_of(body)).candidate
    root = f"{candidate.experiment_iid}/{candidate.eid}/artifacts"
    return json_answer(_located(call, paths.join(root, paths.clean(body.path))) | {"headers": []})


def not_here(call: Call) -> Response:
    """After an upload to a single URL, nothing tells this server that it is complete, so the file would never get its
    name.
    """
    del call
    raise refused()


def _located(call: Call, path: str) -> dict[str, object]:
    file = files.find(call.scope, path)
    url = direct_transfers.download_url(call.scope, file, disposition=disposition(file))
    return {"url": url, "headers": {}, "file_size": file.size}


def _target(folder: str, path: str) -> str:
    """Join folder and file name. Clients before 3.18 send the file's path on their machine, which may be Windows."""
    return paths.join(folder, path.replace("\\", "/").rpartition("/")[2])
