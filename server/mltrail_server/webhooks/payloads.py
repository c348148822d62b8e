"""GitLab's events, reduced to what to look at. https://docs.gitlab.com/user/project/integrations/webhook_events/

A webhook can have a custom payload template, so any field may be missing.
"""

import msgspec

from mltrail_server.domain.gitlab_ci import ENDED
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.ci.events import Hint

_MOST = 2**53
_LONGEST_BRANCH = 1024


class _Project(msgspec.Struct):
    id: int = 0


class _Request(msgspec.Struct):
    iid: int | None = None
    target_project_id: int | None = None


class _Attributes(msgspec.Struct):
    id: int | None = None
    iid: int | None = None
    target_project_id: int | None = None
    source_branch: str | None = None
    status: str | None = None


class Payload(msgspec.Struct):
    object_kind: str = ""
    project: _Project | None = None
    project_id: int | None = None  # of a job
    pipeline_id: int | None = None  # of a job
    build_id: int | None = None
    build_status: str | None = None
    object_attributes: _Attributes | None = None
    merge_request: _Request | None = None


def event_of(body: bytes) -> Hint | None:
    """Read an event. None for other kinds of events and for what can't be decoded: if that were an error, GitLab would
    disable the webhook.
    """
    try:
        event = msgspec.json.decode(body, type=Payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    attributes = event.object_attributes or _Attributes()
    # A pipeline of fifty jobs sends some two hundred events; those about starting or waiting don't matter here.
    if (event.build_status or attributes.status or "success") not in ENDED:
        return None
    found = _hint(event, attributes)
    if found is None:
        return None
    numbers = (found.project_id, found.pipeline_id, found.job_id, found.merge_request_iid)
    return found if all(number is None or 0 < number < _MOST for number in numbers) else None


def _hint(event: Payload, attributes: _Attributes) -> Hint | None:
    project = event.project_id or (event.project.id if event.project else 0)
    if event.object_kind == "pipeline":
        return Hint("pipeline", ProjectId(project), pipeline_id=attributes.id)
    if event.object_kind == "build":
        return Hint("job", ProjectId(project), pipeline_id=event.pipeline_id, job_id=event.build_id or 0)
    if event.object_kind == "merge_request":
        return Hint(
            "merge_request",
            ProjectId(attributes.target_project_id or project),
            merge_request_iid=attributes.iid,
            source_branch=(attributes.source_branch or "").replace("\0", "")[:_LONGEST_BRANCH] or None,
        )
    return None
