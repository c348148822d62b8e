"""What a version says about itself: its provenance and its model card."""

from flask import Response

from mltrail_server.http.answers import json_answer
from mltrail_server.http.call import Call
from mltrail_server.services.promotion import provenance as provenance_service
from mltrail_server.services.registry import cards


def provenance(call: Call, model: str, version: str) -> Response:
    """Return the DSSE envelope, and where to find the files that it is about."""
    found = provenance_service.of_version(call.scope, model, version)
    return json_answer(
        {
            "model": model,
            "version": found.version.semver,
            "number": found.version.number,
            "folder": found.version.location,
            "files": found.files,
            "envelope": found.envelope,
        }
    )


def card(call: Call, model: str, version: str) -> Response:
    found, markdown = cards.of(call.scope, model, version)
    return json_answer({"model": model, "version": found.semver, "number": found.number, "markdown": markdown})
