"""What mltrail asks GitLab with its bot's token, and what it tells it.

https://docs.gitlab.com/api/rest/
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gitlab

from mltrail_server.domain import ci
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.ids import ProjectId

from .errors import telling
from .session import NO_WAITING, Sessions


class GitLab:
    """GitLab's API for one bot. Raises `MltrailError`: NOT_FOUND, FORBIDDEN, UNAUTHENTICATED or UNAVAILABLE."""

    def __init__(self, sessions: Sessions, token: str) -> None:
        self._sessions = sessions
        self._token = token
        self._bot_id: int | None = None

    def project(self, project_id: ProjectId) -> ci.Project:
        got = self._get(f"/projects/{project_id}", "project")
        return ci.Project(got["id"], got["path_with_namespace"], got.get("default_branch"), got["web_url"])

    def pipeline(self, project_id: ProjectId, pipeline_id: int) -> ci.Pipeline:
        got = self._get(f"/projects/{project_id}/pipelines/{pipeline_id}", "pipeline")
        return ci.Pipeline(
            got["id"],
            got.get("iid"),
            got["sha"],
            got["ref"],
            got["source"],
            got["status"],
            got["web_url"],
            bool(got.get("tag")),
        )

    def pipeline_jobs(self, project_id: ProjectId, pipeline_id: int) -> list[ci.Job]:
        """List a pipeline's jobs, newest first, earlier attempts included and marked as retried."""
        path = f"/projects/{project_id}/pipelines/{pipeline_id}/jobs"
        everything = [_job(got) for got in self._list(path, "pipeline", include_retried="true")]
        newest = {job.name: job.id for job in reversed(everything)}
        return [job if newest[job.name] == job.id else replace(job, retried=True) for job in everything]

    def job(self, project_id: ProjectId, job_id: int) -> ci.Job:
        return _job(self._get(f"/projects/{project_id}/jobs/{job_id}", "job"))

    def merge_request(self, project_id: ProjectId, iid: int) -> ci.MergeRequest:
        return _merge_request(self._get(f"/projects/{project_id}/merge_requests/{iid}", "merge request"))

    def open_merge_requests(self, project_id: ProjectId, source_branch: str) -> list[ci.MergeRequest]:
        """List the open merge requests whose source is this branch of this project, not of a fork."""
        path = f"/projects/{project_id}/merge_requests"
        found = self._list(path, "merge requests", source_branch=source_branch, state="opened")
        return [_merge_request(got) for got in found if got["source_project_id"] == project_id]

    def commit_merge_requests(self, project_id: ProjectId, sha: str) -> list[ci.MergeRequest]:
        path = f"/projects/{project_id}/repository/commits/{sha}/merge_requests"
        return [_merge_request(got) for got in self._list(path, "commit")]

    def ancestors(self, project_id: ProjectId, sha: str, *, limit: int = 100) -> list[str]:
        """List the commit itself and what it is built on, newest first."""
        path = f"/projects/{project_id}/repository/commits"
        with telling("commit", bot=True):
            got = self._bot.http_list(path, ref_name=sha, per_page=limit, page=1, get_all=False, **NO_WAITING)
            return [one["id"] for one in got]

    def notes(self, project_id: ProjectId, iid: int) -> Iterator[ci.Note]:
        """List a merge request's notes, oldest first."""
        path = f"/projects/{project_id}/merge_requests/{iid}/notes"
        for got in self._list(path, "notes", sort="asc", order_by="created_at"):
            yield ci.Note(got["id"], got["body"], got["author"]["id"])

    def create_note(self, project_id: ProjectId, iid: int, body: str) -> ci.Note:
        path = f"/projects/{project_id}/merge_requests/{iid}/notes"
        with telling("merge request", bot=True):
            got = self._bot.http_post(path, post_data={"body": body}, **NO_WAITING)
        # A body that holds quick actions only is answered with 202 and makes no note.
        if not isinstance(got, dict) or "id" not in got:
            raise MltrailError(Code.UNAVAILABLE, "GitLab took the note but did not tell its number.")
        return ci.Note(got["id"], got["body"], got["author"]["id"])

    def update_note(self, project_id: ProjectId, iid: int, note_id: int, body: str) -> None:
        """Overwrite a note. Raises NOT_FOUND when somebody has deleted it."""
        path = f"/projects/{project_id}/merge_requests/{iid}/notes/{note_id}"
        with telling("note", bot=True):
            self._bot.http_put(path, post_data={"body": body}, **NO_WAITING)

    def bot_id(self) -> int:
        """Tell the number of the bot's own user."""
        if self._bot_id is None:
            self._bot_id = int(self._get("/user", "user of the bot's token")["id"])
        return self._bot_id

    def raw_file(self, project_id: ProjectId, path: str, ref: str) -> bytes | None:
        """Read a file of the repository; None when there is none."""
        url = f"/projects/{project_id}/repository/files/{gitlab.utils.EncodedId(path)}/raw"
        try:
            with telling("file", bot=True):
                got = self._bot.http_get(url, ref=ref, raw=True, **NO_WAITING)
        except MltrailError as error:
            if error.code is Code.NOT_FOUND:
                return None
            raise
        return bytes(got.content) if not isinstance(got, dict) else None

    @property
    def _bot(self) -> gitlab.Gitlab:
        return self._sessions.bot(self._token)

    def _get(self, path: str, what: str) -> dict[str, Any]:
        with telling(what, bot=True):
            got = self._bot.http_get(path, **NO_WAITING)
        if not isinstance(got, dict):
            raise MltrailError(Code.UNAVAILABLE, f"GitLab's answer for the {what} can't be read.")
        return got

    def _list(self, path: str, what: str, **query: str) -> list[dict[str, Any]]:
        with telling(what, bot=True):
            return list(self._bot.http_list(path, query_data=query, per_page=100, get_all=True, **NO_WAITING))


def _job(got: dict[str, Any]) -> ci.Job:
    return ci.Job(
        got["id"],
        got["name"],
        got["stage"],
        got["status"],
        got["pipeline"]["id"],
        got["web_url"],
        bool(got.get("allow_failure")),
        got.get("failure_reason"),
    )


def _merge_request(got: dict[str, Any]) -> ci.MergeRequest:
    refs = got.get("diff_refs") or {}
    return ci.MergeRequest(
        got["iid"],
        got["title"],
        got["state"],
        got["source_branch"],
        got["target_branch"],
        got["source_project_id"],
        got.get("sha"),
        refs.get("base_sha"),
        got["web_url"],
        got.get("merge_commit_sha"),
        got.get("squash_commit_sha"),
    )
