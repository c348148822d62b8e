"""What mltrail asks GitLab with its bot's token, and what it tells it.

https://docs.gitlab.com/api/rest/
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import gitlab

from mltrail_server.domain import gitlab_ci
from mltrail_server.domain.errors import Code, MltrailError, forbidden
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.reviewed import TreeEntry

from . import readings, roles
from .errors import telling
from .session import NO_WAITING, Sessions

_PIECE = 65_536
_MOST_ANCESTRIES = 500
_MOST_OF_COMMIT = 50
_MOST_CHANGES = 5000
"""GitLab keeps 3000 files of a diff at most, wherever an administrator sets the limit."""

_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class GitLab:
    """GitLab's API for the bot. Raises `MltrailError`: NOT_FOUND, FORBIDDEN, UNAUTHENTICATED or UNAVAILABLE.

    Some namespaces may have a bot of their own; `path_of` tells a project's path, which decides whose.
    """

    def __init__(
        self,
        sessions: Sessions,
        token: str,
        *,
        tokens: Mapping[str, str] | None = None,
        path_of: Callable[[ProjectId], str | None] = lambda _: None,
    ) -> None:
        self.sessions = sessions
        self._token = token
        self._tokens = {namespace.lower(): own for namespace, own in (tokens or {}).items()}
        self._path_of = path_of
        self._bot_ids: dict[str, int] = {}
        self._ancestors: dict[tuple[ProjectId, str, int], list[str]] = {}
        self._projects: dict[ProjectId, tuple[int, gitlab_ci.Project]] = {}

    def observe(self, told: Callable[[str, str, float], None]) -> None:
        """Have every call to GitLab told, also those of users' tokens: method, status or `error`, seconds."""
        self.sessions.observe = told

    def project(self, project_id: ProjectId, *, max_age_ms: int = 0) -> gitlab_ci.Project:
        """Ask about a project, or answer what GitLab said of it at most `max_age_ms` ago."""
        now = self.sessions.clock()
        told_ms, known = self._projects.get(project_id, (0, None))
        if known is None or now - told_ms >= max_age_ms:
            known = readings.project(self._get(project_id, "", "project"))
            self._projects[project_id] = now, known
        return known

    def project_named(self, project: str) -> gitlab_ci.Project:
        """Find a project by its number or path."""
        token = self._token_of(ProjectId(int(project))) if project.isdigit() else self.token_of_path(project)
        with telling("project", bot=True):
            got = self._session(token).http_get(f"/projects/{gitlab.utils.EncodedId(project)}", **NO_WAITING)
        return readings.project(readings.one(got, "project"))

    def pipeline(self, project_id: ProjectId, pipeline_id: int) -> gitlab_ci.Pipeline:
        got = self._get(project_id, f"/pipelines/{pipeline_id}", "pipeline")
        return readings.pipeline(got, tag=bool(got.get("tag")))

    def pipelines_of(self, project_id: ProjectId, sha: str) -> list[gitlab_ci.Pipeline]:
        """List the newest pipelines of a commit, child pipelines left out, the newest first.

        https://docs.gitlab.com/api/pipelines/#list-project-pipelines
        """
        path = f"/projects/{project_id}/pipelines"
        query = {"sha": sha, "order_by": "id", "sort": "desc"}
        with telling("pipelines", bot=True):
            got = self.bot(project_id).http_list(
                path, query_data=query, per_page=_MOST_OF_COMMIT, page=1, get_all=False, **NO_WAITING
            )
            return [readings.pipeline(one, tag=bool(one.get("tag"))) for one in got]

    def look(self, project_id: ProjectId, pipeline_id: int) -> tuple[gitlab_ci.Pipeline, list[gitlab_ci.Job]]:
        """Ask for a pipeline and its jobs (see `pipeline_jobs`), in one call where that tells both."""
        found = self._jobs(project_id, pipeline_id)
        jobs = readings.newest_marked([readings.job(got) for got in found])
        if found and found[0]["pipeline"].keys() >= readings.PIPELINE_FIELDS and "tag" in found[0]:
            return readings.pipeline(found[0]["pipeline"], tag=bool(found[0]["tag"])), jobs
        return self.pipeline(project_id, pipeline_id), jobs

    def pipeline_jobs(self, project_id: ProjectId, pipeline_id: int) -> list[gitlab_ci.Job]:
        """List a pipeline's jobs, newest first, earlier attempts included and marked as retried."""
        return readings.newest_marked([readings.job(got) for got in self._jobs(project_id, pipeline_id)])

    def _jobs(self, project_id: ProjectId, pipeline_id: int) -> list[dict[str, Any]]:
        return self._list(project_id, f"/pipelines/{pipeline_id}/jobs", "pipeline", include_retried="true")

    def job(self, project_id: ProjectId, job_id: int, *, timeout: float | None = None) -> gitlab_ci.Job:
        return readings.job(self._get(project_id, f"/jobs/{job_id}", "job", timeout=timeout))

    def member_level(self, project_id: ProjectId, user_id: int) -> int | None:
        """Tell the access level of a member, an inherited one too; None for who is none."""
        found = self._found(project_id, f"/members/all/{user_id}", "member")
        return None if found is None else int(found["access_level"])

    def is_protected(self, project_id: ProjectId, ref: str, *, tag: bool) -> bool:
        """Tell whether a branch or tag is protected; one that does not exist is not."""
        kind = "tags" if tag else "branches"
        found = self._found(project_id, f"/repository/{kind}/{gitlab.utils.EncodedId(ref)}", "branch or tag")
        return found is not None and found.get("protected") is True

    def merge_request(self, project_id: ProjectId, iid: int) -> gitlab_ci.MergeRequest:
        return readings.merge_request(self._get(project_id, f"/merge_requests/{iid}", "merge request"))

    def open_merge_requests(self, project_id: ProjectId, source_branch: str) -> list[gitlab_ci.MergeRequest]:
        """List the open merge requests whose source is this branch of this project, not of a fork."""
        found = self._list(project_id, "/merge_requests", "merge requests", source_branch=source_branch, state="opened")
        return [readings.merge_request(got) for got in found if got["source_project_id"] == project_id]

    def commit_merge_requests(self, project_id: ProjectId, sha: str) -> list[gitlab_ci.MergeRequest]:
        path = f"/repository/commits/{sha}/merge_requests"
        return [readings.merge_request(got) for got in self._list(project_id, path, "commit")]

    def open_requests(self, project_id: ProjectId) -> list[gitlab_ci.MergeRequest]:
        """List all open merge requests of a project. The list tells no merge base."""
        return [
            readings.merge_request(got) for got in self._list(project_id, "/merge_requests", "project", state="opened")
        ]

    def ancestors(self, project_id: ProjectId, sha: str, *, limit: int = 100) -> list[str]:
        """List the commit itself and what it is built on, newest first. What a commit is built on never changes, so
        that it is asked for once.
        """
        key = (project_id, sha, limit)
        if key in self._ancestors:
            return self._ancestors[key]
        path = f"/projects/{project_id}/repository/commits"
        with telling("commit", bot=True):
            got = self.bot(project_id).http_list(
                path, ref_name=sha, per_page=limit, page=1, get_all=False, **NO_WAITING
            )
            found = [one["id"] for one in got]
        if _SHA.fullmatch(sha):
            while len(self._ancestors) >= _MOST_ANCESTRIES:
                self._ancestors.pop(next(iter(self._ancestors)), None)
            self._ancestors[key] = found
        return found

    def tree(self, project_id: ProjectId, sha: str) -> list[TreeEntry]:
        """List the root folder of a commit. Raises NOT_FOUND for a commit that is gone."""
        path = "/repository/tree"
        found = self._list(project_id, path, "commit's files", ref=sha)
        return [TreeEntry(got["name"], got["type"], got["mode"], got["id"]) for got in found]

    def compared_paths(self, project_id: ProjectId, before: str, after: str) -> set[str] | None:
        """List the files that differ between two commits, under their old and new names; None where GitLab has cut the
        comparison: it does so at limits of files, lines and bytes, and tells it as a time-out.

        https://docs.gitlab.com/api/repositories/#compare-branches-tags-or-commits
        """
        path = f"/projects/{project_id}/repository/compare"
        with telling("commits", bot=True):
            got = self.bot(project_id).http_get(
                path, query_data={"from": before, "to": after, "straight": "true"}, **NO_WAITING
            )
        return readings.compared_paths(readings.one(got, "commits"))

    def branch_head(self, project_id: ProjectId, branch: str) -> str | None:
        """Tell the newest commit of a branch; None when there is no such branch."""
        try:
            got = self._get(project_id, f"/repository/branches/{gitlab.utils.EncodedId(branch)}", "branch")
        except MltrailError as error:
            if error.code is Code.NOT_FOUND:
                return None
            raise
        return str(got["commit"]["id"])

    def has_pipeline(self, project_id: ProjectId, branch: str, sha: str) -> bool:
        """Tell whether any pipeline of a branch has run on this commit, or is about to."""
        return bool(self._list(project_id, "/pipelines", "pipelines", ref=branch, sha=sha))

    def commit_parents(self, project_id: ProjectId, sha: str) -> list[str]:
        return [
            str(one) for one in self._get(project_id, f"/repository/commits/{sha}", "commit").get("parent_ids") or ()
        ]

    def commit_message(self, project_id: ProjectId, sha: str) -> str:
        return str(self._get(project_id, f"/repository/commits/{sha}", "commit").get("message") or "")

    def merge_request_messages(self, project_id: ProjectId, iid: int) -> list[str]:
        """List the messages of a merge request's commits."""
        found = self._list(project_id, f"/merge_requests/{iid}/commits", "merge request")
        return [str(got.get("message") or "") for got in found]

    def approvers(self, project_id: ProjectId, iid: int) -> list[str]:
        """Name who has approved a merge request."""
        got = self._get(project_id, f"/merge_requests/{iid}/approvals", "merge request")
        return [str(one["user"]["username"]) for one in got.get("approved_by") or ()]

    def notes(self, project_id: ProjectId, iid: int) -> Iterator[gitlab_ci.Note]:
        """List a merge request's notes, oldest first."""
        path = f"/merge_requests/{iid}/notes"
        for got in self._list(project_id, path, "notes", sort="asc", order_by="created_at"):
            yield gitlab_ci.Note(got["id"], got["body"], got["author"]["id"])

    def create_note(self, project_id: ProjectId, iid: int, body: str) -> gitlab_ci.Note:
        path = f"/projects/{project_id}/merge_requests/{iid}/notes"
        with telling("merge request", bot=True):
            got = self.bot(project_id).http_post(path, post_data={"body": body}, **NO_WAITING)
        # A body that holds quick actions only is answered with 202 and makes no note.
        if not isinstance(got, dict) or "id" not in got:
            raise MltrailError(Code.UNAVAILABLE, "GitLab took the note but did not tell its number.")
        return gitlab_ci.Note(got["id"], got["body"], got["author"]["id"])

    def has_note(self, project_id: ProjectId, iid: int, note_id: int) -> bool:
        return self._found(project_id, f"/merge_requests/{iid}/notes/{note_id}", "note") is not None

    def update_note(self, project_id: ProjectId, iid: int, note_id: int, body: str) -> None:
        """Overwrite a note. Raises NOT_FOUND when somebody has deleted it."""
        path = f"/projects/{project_id}/merge_requests/{iid}/notes/{note_id}"
        with telling("note", bot=True):
            self.bot(project_id).http_put(path, post_data={"body": body}, **NO_WAITING)

    def delete_note(self, project_id: ProjectId, iid: int, note_id: int) -> None:
        with telling("note", bot=True):
            self.bot(project_id).http_delete(
                f"/projects/{project_id}/merge_requests/{iid}/notes/{note_id}", **NO_WAITING
            )

    def bot_level(self, project_id: ProjectId) -> int:
        """Tell the bot's access level in a project, by whatever way it is a member. Two calls, five for a reader."""
        token = self._token_of(project_id)
        today = datetime.fromtimestamp(self.sessions.clock() / 1000, UTC).date()
        with telling("project", bot=True):
            user = self._session(token).http_get("/user", **NO_WAITING)
            found = self._session(token).http_get(f"/projects/{project_id}", **NO_WAITING)
            who, where = readings.one(user, "user of the bot's token"), readings.one(found, "project")
            return roles.role_in(self._session(token), where, who, today=today).value

    def bot_id(self, project_id: ProjectId | None = None) -> int:
        """Tell the number of the bot's own user, the one that serves this project."""
        token = self._token_of(project_id)
        if token not in self._bot_ids:
            with telling("user of the bot's token", bot=True):
                got = self._session(token).http_get("/user", **NO_WAITING)
            self._bot_ids[token] = int(readings.one(got, "user of the bot's token")["id"])
        return self._bot_ids[token]

    def changed_paths(
        self, project_id: ProjectId, iid: int, *, head: str | None, most: int = _MOST_CHANGES
    ) -> list[str] | None:
        """List the paths that a merge request touches with the commit `head`, old names of moved files too.

        None where nobody can tell: GitLab keeps a diff only as far as its limits of files, lines and bytes reach, and
        lists what it has kept. So the list must be as long as the merge request says that its diff is, and the merge
        request must still be at this commit.
        https://docs.gitlab.com/api/merge_requests/#list-merge-request-diffs
        """
        path = f"/projects/{project_id}/merge_requests/{iid}/diffs"
        with telling("merge request", bot=True):
            got_all = self.bot(project_id).http_list(path, per_page=100, iterator=True, **NO_WAITING)
            found = list(islice(got_all, most + 1))
        if len(found) > most:
            return None
        # Asked for last: a push meanwhile would make the list that of another commit.
        return readings.changed_paths(found, self._get(project_id, f"/merge_requests/{iid}", "merge request"), head)

    def commits_of_file(self, project_id: ProjectId, path: str, ref: str, *, limit: int) -> list[str]:
        """List the newest commits of a branch that have changed a file."""
        url = f"/projects/{project_id}/repository/commits"
        query = {"ref_name": ref, "path": path}
        with telling("commits", bot=True):
            got = self.bot(project_id).http_list(
                url, query_data=query, per_page=limit, page=1, get_all=False, **NO_WAITING
            )
            return [str(one["id"]) for one in got]

    def raw_file(self, project_id: ProjectId, path: str, ref: str, *, most: int = 1_000_000) -> bytes | None:
        """Read the first `most` bytes of a file of the repository; None when there is none."""
        url = f"/projects/{project_id}/repository/files/{gitlab.utils.EncodedId(path)}/raw"
        try:
            with telling("file", bot=True):
                got = self.bot(project_id).http_get(url, ref=ref, raw=True, streamed=True, **NO_WAITING)
                if isinstance(got, dict):
                    return None
                content = bytearray()
                with got:
                    # Anybody may commit a file of any size; unpacked it may be larger still.
                    for piece in got.iter_content(min(most, _PIECE)):
                        content += piece
                        if len(content) >= most:
                            break
                return bytes(content[:most])
        except MltrailError as error:
            if error.code is Code.NOT_FOUND:
                return None
            raise

    def bot(self, project_id: ProjectId | None) -> gitlab.Gitlab:
        """Answer the connection of the bot that serves a project, for the modules beside this one."""
        return self._session(self._token_of(project_id))

    def _session(self, token: str) -> gitlab.Gitlab:
        if not token:
            raise forbidden("mltrail has no bot in this GitLab. The operator sets its token as MLTRAIL_GITLAB_TOKEN.")
        return self.sessions.bot(token)

    def _token_of(self, project_id: ProjectId | None) -> str:
        known = self._path_of(project_id) if self._tokens and project_id is not None else None
        return self.token_of_path(known)

    def token_of_path(self, path: str | None) -> str:
        """Choose the token of the nearest namespace that has one."""
        namespace = (path or "").lower()
        while "/" in namespace:
            namespace = namespace.rpartition("/")[0]
            if namespace in self._tokens:
                return self._tokens[namespace]
        return self._token

    def _get(self, project_id: ProjectId, path: str, what: str, *, timeout: float | None = None) -> dict[str, Any]:
        with telling(what, bot=True):
            got = self.bot(project_id).http_get(f"/projects/{project_id}{path}", timeout=timeout, **NO_WAITING)
        return readings.one(got, what)

    def _found(self, project_id: ProjectId, path: str, what: str) -> dict[str, Any] | None:
        """Ask for one thing; None when GitLab does not have it."""
        try:
            return self._get(project_id, path, what)
        except MltrailError as error:
            if error.code is Code.NOT_FOUND:
                return None
            raise

    def _list(self, project_id: ProjectId, path: str, what: str, **query: str) -> list[dict[str, Any]]:
        with telling(what, bot=True):
            found = self.bot(project_id).http_list(
                f"/projects/{project_id}{path}", query_data=query, per_page=100, get_all=True, **NO_WAITING
            )
            return list(found)
