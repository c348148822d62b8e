"""What the server says about itself. MLflow 3 asks this before it transfers files, so it promises only what exists."""

from flask import Response

from mltrail_server.http.answers import json_answer
from mltrail_server.http.call import Call

MLFLOW_VERSION = "3.18.0"
"""The newest MLflow whose REST API this server was tested against."""


def server_info(call: Call) -> Response:
    settings = call.scope.deps.settings
    direct = settings.s3_place is not None and settings.s3_direct == "announced"
    return json_answer(
        {
            "store_type": "mltrail",
            "multipart_uploads_enabled": direct,
            "multipart_downloads_enabled": direct,
            "artifacts_presigned_only": False,
            "workspaces_enabled": False,
        }
    )


def version(call: Call) -> Response:
    del call
    return Response(MLFLOW_VERSION, content_type="text/plain")


def health(call: Call) -> Response:
    del call
    return Response("OK", content_type="text/plain")
