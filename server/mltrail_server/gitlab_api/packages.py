"""GitLab's package API for models: upload and download of single files.

https://docs.gitlab.com/user/project/ml/model_registry/#upload-files-to-a-model-version
"""

from flask import Response

from mltrail_server.http.answers import json_answer
from mltrail_server.http.call import Call
from mltrail_server.http.downloads import attachment
from mltrail_server.http.uploads import FileStream, announced
from mltrail_server.services.files import files, packages


def upload(call: Call, owner: str, path: str) -> Response:
    target = packages.path_of(call.scope, owner, path)
    files.upload(call.scope, target, FileStream(call.request), announced(call.request))  # type: ignore[arg-type]
    return json_answer({"message": "201 Created"}, 201)


def download(call: Call, owner: str, path: str) -> Response:
    file = files.find(call.scope, packages.path_of(call.scope, owner, path))
    return attachment(call.scope, file, call.request)
