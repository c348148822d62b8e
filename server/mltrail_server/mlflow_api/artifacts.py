"""Files through the server: https://mlflow.org/docs/latest/self-hosting/architecture/artifact-store/."""

from typing import TYPE_CHECKING

from flask import Response

from mltrail_server.domain import paths
from mltrail_server.domain.identity import Access
from mltrail_server.domain.paths import TraceFile
from mltrail_server.http.answers import json_answer
from mltrail_server.http.call import Call
from mltrail_server.http.downloads import attachment, attachment_of
from mltrail_server.http.routes import require
from mltrail_server.http.uploads import FileStream, announced
from mltrail_server.later import later
from mltrail_server.services.files import files
from mltrail_server.services.traces import trace_files
from mltrail_server.services.tracking import candidates

from . import run_shapes
from .messages import Message, message_of
from .wire import run_id_of

if TYPE_CHECKING:
    from mltrail_server.services.traces import traces
else:
    [traces] = later("mltrail_server.services.traces", "traces")


class _List(Message):
    path: str = ""


class _ListOfRun(Message):
    run_id: str | None = None
    run_uuid: str | None = None
    path: str = ""
    page_token: str | None = None


class _OfTrace(Message):
    request_id: str
    path: str = ""


def upload(call: Call, path: str) -> Response:
    if (place := paths.trace_file_of(path)) is not None:
        trace_files.upload(call.scope, place, FileStream(call.request), call.request.content_length)  # type: ignore[arg-type]
        return json_answer({})
    files.upload(call.scope, path, FileStream(call.request), announced(call.request))  # type: ignore[arg-type]
    return json_answer({})


def download(call: Call, path: str) -> Response:
    if (place := paths.trace_file_of(path)) is not None:
        require(call.deps, call.actor, Access.READ_TRACES)
        return _of_trace(call, place)
    return attachment(call.scope, files.find(call.scope, path), call.request)


def of_trace(call: Call) -> Response:
    """Send a trace's spans, or one of its attachments, as MLflow's pages ask for them."""
    query = message_of(call.request, _OfTrace)
    trace = traces.get(call.scope, query.request_id).trace
    name = f"attachments/{paths.clean(query.path)}" if query.path else trace_files.SPANS
    return _of_trace(call, TraceFile(trace.experiment_iid, trace.id, name))


def _of_trace(call: Call, place: TraceFile) -> Response:
    found = trace_files.content(call.scope, place)
    if isinstance(found, bytes):
        return attachment_of(found, trace_files.SPANS)
    return attachment(call.scope, found, call.request)


def listing(call: Call) -> Response:
    """List a folder with bare names, as the artifact proxy does."""
    path = message_of(call.request, _List).path
    if (place := paths.trace_file_of(path)) is not None:
        require(call.deps, call.actor, Access.READ_TRACES)
        entries = trace_files.listing(call.scope, place)
    else:
        entries = files.listing(call.scope, path)
    return json_answer({"files": [run_shapes.entry(one) for one in entries]})


def delete(call: Call, path: str) -> Response:
    files.delete(call.scope, path)
    return json_answer({})


def listing_of_run(call: Call) -> Response:
    """List a folder of a run with paths relative to the run."""
    query = message_of(call.request, _ListOfRun)
    inner = paths.clean(query.path)
    candidate = candidates.get(call.scope, run_id_of(query)).candidate
    root = f"{candidate.experiment_iid}/{candidate.eid}/artifacts"
    entries, following = files.page(call.scope, paths.join(root, inner), query.page_token)
    listed = {
        "root_uri": run_shapes.artifact_uri(candidate),
        "files": [run_shapes.entry(one, inner) for one in entries],
    }
    return json_answer(listed | ({"next_page_token": following} if following else {}))
