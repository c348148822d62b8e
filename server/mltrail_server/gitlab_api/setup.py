"""What the server knows of a job's set-up: asked by `mltrail doctor`."""

from flask import Response

from mltrail_server.http.answers import json_answer
from mltrail_server.http.call import Call
from mltrail_server.services.admin import setup


def show(call: Call) -> Response:
    told = setup.look(call.scope)
    return json_answer(
        {
            "version": told.version,
            "user": told.user_name,
            "access": "write" if told.may_write else "read",
            "limit": told.limit,
            "job_id": told.job_id,
            "bot": None if told.bot_problem is None else {"ok": not told.bot_problem, "problem": told.bot_problem},
        }
    )
