"""Threads, commit statuses and issues: where the gate shows, apart from the note.

https://docs.gitlab.com/api/discussions/#merge-requests, https://docs.gitlab.com/api/commits/#commit-status and
https://docs.gitlab.com/api/issues/
"""

from dataclasses import dataclass
from typing import Any

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.threads import Reply, Thread

from .client import GitLab
from .connections import NO_WAITING
from .errors import translating_errors

_MOST_DESCRIPTION = 255


@dataclass(frozen=True, slots=True)
class Issue:
    iid: int
    body: str
    author_id: int


class GateObjects:
    """Raises what `GitLab` raises."""

    def __init__(self, gitlab: GitLab) -> None:
        self._gitlab = gitlab

    def set_status(
        self, project_id: ProjectId, sha: str, *, pipeline_id: int, state: str, description: str, url: str
    ) -> None:
        """Add a status named `mltrail` to a pipeline. Without its id, GitLab would choose or create one."""
        data = {
            "state": state,
            "name": "mltrail",
            "description": description[:_MOST_DESCRIPTION],
            "target_url": url,
            "pipeline_id": pipeline_id,
        }
        try:
            self._send("post", project_id, f"/statuses/{sha}", "commit status", data)
        except MltrailError as error:
            # GitLab reports an error when the status is the same as before.
            if error.code is not Code.CONFLICT or "Cannot transition" not in error.message:
                raise

    def threads(self, project_id: ProjectId, iid: int) -> list[Thread]:
        """List a merge request's threads, oldest first."""
        path = f"/projects/{project_id}/merge_requests/{iid}/discussions"
        with translating_errors("merge request", bot=True):
            found = self._gitlab.bot(project_id).http_list(path, per_page=100, get_all=True, **NO_WAITING)
            return [_thread(got) for got in found]

    def thread(self, project_id: ProjectId, iid: int, thread_id: str) -> Thread | None:
        """Fetch a thread; None if it was deleted."""
        path = f"/projects/{project_id}/merge_requests/{iid}/discussions/{thread_id}"
        try:
            with translating_errors("thread", bot=True):
                return _thread(self._gitlab.bot(project_id).http_get(path, **NO_WAITING))
        except MltrailError as error:
            if error.code is Code.NOT_FOUND:
                return None
            raise

    def create_thread(self, project_id: ProjectId, iid: int, body: str) -> Thread:
        return _thread(
            self._send("post", project_id, f"/merge_requests/{iid}/discussions", "merge request", {"body": body})
        )

    def edit_thread(self, project_id: ProjectId, iid: int, thread: Thread, body: str) -> None:
        path = f"/merge_requests/{iid}/discussions/{thread.id}/notes/{thread.note_id}"
        self._send("put", project_id, path, "thread", {"body": body})

    def resolve_thread(self, project_id: ProjectId, iid: int, thread: Thread, *, resolved: bool) -> None:
        path = f"/merge_requests/{iid}/discussions/{thread.id}"
        self._send("put", project_id, path, "thread", {"resolved": resolved})

    def open_issues(self, project_id: ProjectId, author_id: int) -> list[Issue]:
        path = f"/projects/{project_id}/issues"
        query = {"author_id": str(author_id), "state": "opened", "scope": "all"}
        with translating_errors("issues", bot=True):
            found = self._gitlab.bot(project_id).http_list(
                path, query_data=query, per_page=100, get_all=True, **NO_WAITING
            )
            return [_issue(got) for got in found]

    def create_issue(self, project_id: ProjectId, *, title: str, body: str) -> Issue:
        return _issue(self._send("post", project_id, "/issues", "issue", {"title": title, "description": body}))

    def edit_issue(self, project_id: ProjectId, iid: int, body: str, *, close: bool = False) -> None:
        """Overwrite an issue. Raises NOT_FOUND if it was deleted."""
        data = {"description": body} | ({"state_event": "close"} if close else {})
        self._send("put", project_id, f"/issues/{iid}", "issue", data)

    def _send(self, method: str, project_id: ProjectId, path: str, what: str, data: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        session = self._gitlab.bot(project_id)
        call = session.http_post if method == "post" else session.http_put
        with translating_errors(what, bot=True):
            return call(f"/projects/{project_id}{path}", post_data=data, **NO_WAITING)


def _issue(got: dict[str, Any]) -> Issue:
    return Issue(got["iid"], got.get("description") or "", got["author"]["id"])


def _thread(got: Any) -> Thread:  # noqa: ANN401 - JSON
    first, *others = got["notes"]
    by = first.get("resolved_by") or {}
    replies = tuple(
        Reply(one["author"]["id"], one["author"]["username"], one["body"]) for one in others if not one["system"]
    )
    return Thread(
        got["id"],
        first["id"],
        first["body"],
        first["author"]["id"],
        bool(first.get("resolved")),
        by.get("id"),
        by.get("username"),
        replies,
    )
