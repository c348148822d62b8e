"""What static/live.js asks for every few seconds while a run is running, see docs/decisions/0054-live.md."""

import hashlib
import json
from collections.abc import Mapping

from flask import Response, get_template_attribute
from flask.typing import ResponseReturnValue

from mltrail_server.domain import numbers
from mltrail_server.domain.candidate import Status
from mltrail_server.http.call import Call
from mltrail_server.services.pages import live
from mltrail_server.services.pages.live import LiveRun

from .charts import numbers_of
from .render import duration

_UNDER_WAY = (Status.RUNNING, Status.SCHEDULED)


def latest(call: Call) -> ResponseReturnValue:
    """Return the status and latest metrics of runs: only the metrics that the page names as `key`, if it names any. 304
    if nothing has changed since the client last asked.
    """
    arguments = call.request.args
    keys = arguments.getlist("key") if "key" in arguments else None
    runs = live.latest(call.scope, numbers_of(arguments.getlist("run")), keys)
    return answered(call, {"runs": [_shown(run) for run in runs]})


def answered(call: Call, content: Mapping[str, object], mark: str = "") -> ResponseReturnValue:
    """Answer with JSON, or with 304 if the client has it already. `mark` stands for what the page shows, where that is
    more than the content.
    """
    body = json.dumps(content, separators=(",", ":"))
    answer = Response(body, content_type="application/json", headers={"Cache-Control": "private, no-cache"})
    answer.set_etag(mark or hashlib.sha256(body.encode()).hexdigest()[:20], weak=True)
    return answer.make_conditional(call.request)


def _shown(run: LiveRun) -> dict[str, object]:
    """Write a run as pages do: texts are those of the templates, so scripts need not know how numbers are written."""
    one = run.candidate
    shown: dict[str, object] = {
        "run": one.iid,
        "running": one.status in _UNDER_WAY,
        "name": one.name,
        "status": one.status.name.capitalize(),
        "metrics": {point.key: [numbers.at_a_glance(point.value), point.step] for point in run.metrics},
    }
    if one.status not in _UNDER_WAY:
        shown["badge"] = str(get_template_attribute("parts.html", "status")(one))
        shown["duration"] = duration((one.ended_ms or one.started_ms) - one.started_ms)
    return shown
