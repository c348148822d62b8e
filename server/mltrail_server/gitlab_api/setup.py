"""What the server knows about a job's set-up, for `mltrail doctor`."""

from flask import Response

from mltrail_server.http.answers import json_answer
from mltrail_server.http.call import Call
from mltrail_server.services.admin import setup


def show(call: Call) -> Response:
    found = setup.look(call.scope)
    return json_answer(
        {
            "version": found.version,
            "user": found.user_name,
            "access": "write" if found.may_write else "read",
            "limit": found.limit,
            "job_id": found.job_id,
            "bot": None if found.bot_problem is None else {"ok": not found.bot_problem, "problem": found.bot_problem},
        }
    )
