"""The calls that mltrail makes to GitLab with its bot's token.

https://docs.gitlab.com/api/rest/
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mltrail_server.domain import gitlab_ci
from mltrail_server.domain.errors import Code, MltrailError, forbidden
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.reviewed import TreeEntry

from . import decode, roles
from .connections import NO_WAITING, Connections
from .errors import translating_errors

if TYPE_CHECKING:
    import gitlab

_PIECE = 65_536
_MOST_ANCESTRIES = 500
_MOST_OF_COMMIT = 50
_MOST_CHANGES = 5000
"""GitLab keeps at most 3000 files of a diff, whatever limit an administrator sets."""

_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class GitLab:
    """GitLab's API for the bot. Raises `MltrailError`: NOT_FOUND, FORBIDDEN, UNAUTHENTICATED or UNAVAILABLE.

    Some namespaces may have their own bot; `path_of` returns a project's path, which decides which bot is used.
    """

    def __init__(
        self,
        sessions: Connections,
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
        self._projects: dict[ProjectId, tuple[int, gitlab_ci.GitLabProject]] = {}

    def observe(self, observer: Callable[[str, str, float], None]) -> None:
        """Report every call to GitLab, also with users' tokens: method, status or `error`, seconds."""
        self.sessions.observe = observer

    def project(self, project_id: ProjectId, *, max_age_ms: int = 0) -> gitlab_ci.GitLabProject:
        """Get a project, or what GitLab returned for it at most `max_age_ms` ago."""
        now = self.sessions.clock()
        known_ms, known = self._projects.get(project_id, (0, None))
        if known is None or now - known_ms >= max_age_ms:
            known = decode.project(self._get(project_id, "", "project"))
            self._projects[project_id] = now, known
        return known

    def project_named(self, project: str) -> gitlab_ci.GitLabProject:
        """Get a project by its number or path."""
        token = self._token_of(ProjectId(int(project))) if project.isdigit() else self.token_of_path(project)
        with translating_errors("project", bot=True):
            got = self._session(token).http_get(f"/projects/{quote(project, safe='')}", **NO_WAITING)
        return decode.project(decode.one(got, "project"))

    def pipeline(self, project_id: ProjectId, pipeline_id: int) -> gitlab_ci.GitLabPipeline:
        got = self._get(project_id, f"/pipelines/{pipeline_id}", "pipeline")
        return decode.pipeline(got, tag=bool(got.get("tag")))

    def pipelines_of(self, project_id: ProjectId, sha: str) -> list[gitlab_ci.GitLabPipeline]:
        """List the newest pipelines of a commit without child pipelines, newest first.

        https://docs.gitlab.com/api/pipelines/#list-project-pipelines
        """
        path = f"/projects/{project_id}/pipelines"
        query = {"sha": sha, "order_by": "id", "sort": "desc"}
        with translating_errors("pipelines", bot=True):
            got = self.bot(project_id).http_list(
                path, query_data=query, per_page=_MOST_OF_COMMIT, page=1, get_all=False, **NO_WAITING
            )
            return [decode.pipeline(one, tag=bool(one.get("tag"))) for one in got]

    def look(self, project_id: ProjectId, pipeline_id: int) -> tuple[gitlab_ci.GitLabPipeline, list[gitlab_ci.Job]]:
        """Get a pipeline and its jobs (see `pipeline_jobs`), in one call if that returns both."""
        found = self._jobs(project_id, pipeline_id)
        jobs = decode.newest_marked([decode.job(got) for got in found])
        if found and found[0]["pipeline"].keys() >= decode.PIPELINE_FIELDS and "tag" in found[0]:
            return decode.pipeline(found[0]["pipeline"], tag=bool(found[0]["tag"])), jobs
        return self.pipeline(project_id, pipeline_id), jobs

    def pipeline_jobs(self, project_id: ProjectId, pipeline_id: int) -> list[gitlab_ci.Job]:
        """List a pipeline's jobs, newest first, earlier attempts included and marked as retried."""
        return decode.newest_marked([decode.job(got) for got in self._jobs(project_id, pipeline_id)])

    def _jobs(self, project_id: ProjectId, pipeline_id: int) -> list[dict[str, Any]]:
        return self._list(project_id, f"/pipelines/{pipeline_id}/jobs", "pipeline", include_retried="true")

    def job(self, project_id: ProjectId, job_id: int, *, timeout: float | None = None) -> gitlab_ci.Job:
        return decode.job(self._get(project_id, f"/jobs/{job_id}", "job", timeout=timeout))

    def member_level(self, project_id: ProjectId, user_id: int) -> int | None:
        """Return the access level of a member, also an inherited one; None for a user who is not a member."""
        found = self._found(project_id, f"/members/all/{user_id}", "member")
        return None if found is None else int(found["access_level"])

    def is_protected(self, project_id: ProjectId, ref: str, *, tag: bool) -> bool:
        """Whether a branch or tag is protected; one that does not exist is not."""
        kind = "tags" if tag else "branches"
        found = self._found(project_id, f"/repository/{kind}/{quote(ref, safe='')}", "branch or tag")
        return found is not None and found.get("protected") is True

    def merge_request(self, project_id: ProjectId, iid: int) -> gitlab_ci.GitLabMergeRequest:
        return decode.merge_request(self._get(project_id, f"/merge_requests/{iid}", "merge request"))

    def open_merge_requests(self, project_id: ProjectId, source_branch: str) -> list[gitlab_ci.GitLabMergeRequest]:
        """List the open merge requests whose source is this branch of this project, not of a fork."""
        found = self._list(project_id, "/merge_requests", "merge requests", source_branch=source_branch, state="opened")
        return [decode.merge_request(got) for got in found if got["source_project_id"] == project_id]

    def commit_merge_requests(self, project_id: ProjectId, sha: str) -> list[gitlab_ci.GitLabMergeRequest]:
        path = f"/repository/commits/{sha}/merge_requests"
        return [decode.merge_request(got) for got in self._list(project_id, path, "commit")]

    def open_requests(self, project_id: ProjectId) -> list[gitlab_ci.GitLabMergeRequest]:
        """List all open merge requests of a project. The list has no merge bases."""
        return [
            decode.merge_request(got) for got in self._list(project_id, "/merge_requests", "project", state="opened")
        ]

    def ancestors(self, project_id: ProjectId, sha: str, *, limit: int = 100) -> list[str]:
        """List a commit and its ancestors, newest first. Ancestors never change, so the list is fetched once."""
        key = (project_id, sha, limit)
        if key in self._ancestors:
            return self._ancestors[key]
        path = f"/projects/{project_id}/repository/commits"
        with translating_errors("commit", bot=True):
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
        """List the root folder of a commit. Raises NOT_FOUND if the commit is gone."""
        path = "/repository/tree"
        found = self._list(project_id, path, "commit's files", ref=sha)
        return [TreeEntry(got["name"], got["type"], got["mode"], got["id"]) for got in found]

    def compared_paths(self, project_id: ProjectId, before: str, after: str) -> set[str] | None:
        """List the files that differ between two commits, under their old and new names; None if GitLab has truncated
        the comparison: it does so at limits of files, lines and bytes, and reports it as a time-out.

        https://docs.gitlab.com/api/repositories/#compare-branches-tags-or-commits
        """
        path = f"/projects/{project_id}/repository/compare"
        with translating_errors("commits", bot=True):
            got = self.bot(project_id).http_get(
                path, query_data={"from": before, "to": after, "straight": "true"}, **NO_WAITING
            )
        return decode.compared_paths(decode.one(got, "commits"))

    def branch_head(self, project_id: ProjectId, branch: str) -> str | None:
        """Return the newest commit of a branch; None if there is no such branch."""
        try:
            got = self._get(project_id, f"/repository/branches/{quote(branch, safe='')}", "branch")
        except MltrailError as error:
            if error.code is Code.NOT_FOUND:
                return None
            raise
        return str(got["commit"]["id"])

    def has_pipeline(self, project_id: ProjectId, branch: str, sha: str) -> bool:
        """Whether a pipeline of a branch has run on this commit, or will."""
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
        """List the users who have approved a merge request."""
        got = self._get(project_id, f"/merge_requests/{iid}/approvals", "merge request")
        return [str(one["user"]["username"]) for one in got.get("approved_by") or ()]

    def notes(self, project_id: ProjectId, iid: int) -> Iterator[gitlab_ci.Note]:
        """List a merge request's notes, oldest first."""
        path = f"/merge_requests/{iid}/notes"
        for got in self._list(project_id, path, "notes", sort="asc", order_by="created_at"):
            yield gitlab_ci.Note(got["id"], got["body"], got["author"]["id"])

    def create_note(self, project_id: ProjectId, iid: int, body: str) -> gitlab_ci.Note:
        path = f"/projects/{project_id}/merge_requests/{iid}/notes"
        with translating_errors("merge request", bot=True):
            got = self.bot(project_id).http_post(path, post_data={"body": body}, **NO_WAITING)
        # For a body that contains only quick actions, GitLab returns 202 and creates no note.
        if not isinstance(got, dict) or "id" not in got:
            raise MltrailError(Code.UNAVAILABLE, "GitLab accepted the note but did not return its id.")
        return gitlab_ci.Note(got["id"], got["body"], got["author"]["id"])

    def has_note(self, project_id: ProjectId, iid: int, note_id: int) -> bool:
        return self._found(project_id, f"/merge_requests/{iid}/notes/{note_id}", "note") is not None

    def update_note(self, project_id: ProjectId, iid: int, note_id: int, body: str) -> None:
        """Overwrite a note. Raises NOT_FOUND if somebody has deleted it."""
        path = f"/projects/{project_id}/merge_requests/{iid}/notes/{note_id}"
        with translating_errors("note", bot=True):
            self.bot(project_id).http_put(path, post_data={"body": body}, **NO_WAITING)

    def delete_note(self, project_id: ProjectId, iid: int, note_id: int) -> None:
        with translating_errors("note", bot=True):
            self.bot(project_id).http_delete(
                f"/projects/{project_id}/merge_requests/{iid}/notes/{note_id}", **NO_WAITING
            )

    def bot_level(self, project_id: ProjectId) -> int:
        """Return the bot's access level in a project, however it is a member. Two calls, up to five for a reader."""
        token = self._token_of(project_id)
        today = datetime.fromtimestamp(self.sessions.clock() / 1000, UTC).date()
        with translating_errors("project", bot=True):
            user = self._session(token).http_get("/user", **NO_WAITING)
            found = self._session(token).http_get(f"/projects/{project_id}", **NO_WAITING)
            who, where = decode.one(user, "user of the bot's token"), decode.one(found, "project")
            return roles.role_in(self._session(token), where, who, today=today).value

    def bot_id(self, project_id: ProjectId | None = None) -> int:
        """Return the user id of the bot that serves this project."""
        token = self._token_of(project_id)
        if token not in self._bot_ids:
            with translating_errors("user of the bot's token", bot=True):
                got = self._session(token).http_get("/user", **NO_WAITING)
            self._bot_ids[token] = int(decode.one(got, "user of the bot's token")["id"])
        return self._bot_ids[token]

    def changed_paths(
        self, project_id: ProjectId, iid: int, *, head: str | None, most: int = _MOST_CHANGES
    ) -> list[str] | None:
        """List the paths that a merge request changes up to the commit `head`, including old names of moved files.

        None if that is not known: GitLab keeps a diff only up to its limits of files, lines and bytes, and lists what
        it has kept. So the list must be as long as the merge request says its diff is, and the merge request must still
        be at this commit. https://docs.gitlab.com/api/merge_requests/#list-merge-request-diffs
        """
        path = f"/projects/{project_id}/merge_requests/{iid}/diffs"
        with translating_errors("merge request", bot=True):
            got_all = self.bot(project_id).http_list(path, per_page=100, iterator=True, **NO_WAITING)
            found = list(islice(got_all, most + 1))
        if len(found) > most:
            return None
        # Fetched last: after a push meanwhile, the list would belong to another commit.
        return decode.changed_paths(found, self._get(project_id, f"/merge_requests/{iid}", "merge request"), head)

    def commits_of_file(self, project_id: ProjectId, path: str, ref: str, *, limit: int) -> list[str]:
        """List the newest commits of a branch that changed a file."""
        url = f"/projects/{project_id}/repository/commits"
        query = {"ref_name": ref, "path": path}
        with translating_errors("commits", bot=True):
            got = self.bot(project_id).http_list(
                url, query_data=query, per_page=limit, page=1, get_all=False, **NO_WAITING
            )
            return [str(one["id"]) for one in got]

    def raw_file(self, project_id: ProjectId, path: str, ref: str, *, most: int = 1_000_000) -> bytes | None:
        """Read the first `most` bytes of a file in the repository; None if there is no such file."""
        url = f"/projects/{project_id}/repository/files/{quote(path, safe='')}/raw"
        try:
            with translating_errors("file", bot=True):
                got = self.bot(project_id).http_get(url, ref=ref, raw=True, streamed=True, **NO_WAITING)
                if isinstance(got, dict):
                    return None
                content = bytearray()
                with got:
                    # Anybody can commit a file of any size, and unpacked it can be even larger.
                    for piece in got.iter_content(min(most, _PIECE)):
                        content += piece
                        if len(content) >= most:
                            break
                return bytes(content[:most])
        except MltrailError as error:
            if error.code is Code.NOT_FOUND:
                return None
            raise

    def bot(self, project_id: ProjectId | None) -> "gitlab.Gitlab":
        """Return the connection of the bot that serves a project, for the other modules here."""
        return self._session(self._token_of(project_id))

    def _session(self, token: str) -> "gitlab.Gitlab":
        if not token:
            raise forbidden(
                "mltrail has no bot in this GitLab. The operator must set its token as MLTRAIL_GITLAB_TOKEN."
            )
        return self.sessions.bot(token)

    def _token_of(self, project_id: ProjectId | None) -> str:
        known = self._path_of(project_id) if self._tokens and project_id is not None else None
        return self.token_of_path(known)

    def token_of_path(self, path: str | None) -> str:
        """Return the token of the nearest namespace that has one."""
        namespace = (path or "").lower()
        while "/" in namespace:
            namespace = namespace.rpartition("/")[0]
            if namespace in self._tokens:
                return self._tokens[namespace]
        return self._token

    def _get(self, project_id: ProjectId, path: str, what: str, *, timeout: float | None = None) -> dict[str, Any]:
        with translating_errors(what, bot=True):
            got = self.bot(project_id).http_get(f"/projects/{project_id}{path}", timeout=timeout, **NO_WAITING)
        return decode.one(got, what)

    def _found(self, project_id: ProjectId, path: str, what: str) -> dict[str, Any] | None:
        """Get one object; None if GitLab does not have it."""
        try:
            return self._get(project_id, path, what)
        except MltrailError as error:
            if error.code is Code.NOT_FOUND:
                return None
            raise

    def _list(self, project_id: ProjectId, path: str, what: str, **query: str) -> list[dict[str, Any]]:
        with translating_errors(what, bot=True):
            found = self.bot(project_id).http_list(
                f"/projects/{project_id}{path}", query_data=query, per_page=100, get_all=True, **NO_WAITING
            )
            return list(found)
