"""The stand-in itself: what a test sets up and inspects. Its routes are in `routes.py`."""

import itertools
import re
import secrets
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from . import detectors, keys, merging
from .diffs import Limits
from .faults import Fault, How
from .merging import Method
from .routes import make_app
from .serving import Serving, one_at_a_time
from .state import (
    FIRST_NUMBERS,
    Application,
    Commit,
    Grant,
    Group,
    Job,
    MergeRequest,
    Note,
    Pipeline,
    Project,
    Through,
    Token,
    User,
    numbers_of,
    pipeline_status,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_MR_REF = re.compile(r"refs/merge-requests/(\d+)/")


class FakeGitLab:
    """A small GitLab. Methods can be called from any thread while it serves."""

    def __init__(
        self,
        port: int = 0,
        clock: Callable[[], float] = time.time,
        *,
        host: str = "127.0.0.1",
        prefix: str = "",
        tls: ssl.SSLContext | None = None,
        front: "Callable[[WSGIApplication], WSGIApplication] | None" = None,
    ) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self.users: dict[int, User] = {}
        self.tokens: dict[str, Token] = {}
        self.projects: dict[int, Project] = {}
        self.pipelines: dict[int, Pipeline] = {}
        self.jobs: dict[int, Job] = {}
        self.bodies: list[str] = []  # every text that was written, including overwritten ones
        self.titles: list[str] = []
        self.requests: list[tuple[str, str]] = []
        self.faults: list[Fault] = []
        self.version = "18.6.0"
        self.lists_invited_groups = True  # among a project's members; an older GitLab does not
        self.diff_limits = Limits()
        # GitLab hides the code of a private project from Guests. Tests of what a Guest can't post make it visible.
        self.guests_see_code = True
        self.limited: int | None = None  # return 429 for everything: retry after so many seconds
        self.limited_bare = False  # the kind of 429 that has no headers
        # How a webhook changes on its way; None if it gets lost.
        self.spoil_hook: Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes] | None] = lambda *sent: sent
        self.applications: dict[str, Application] = {}
        self.groups: dict[int, Group] = {}
        self.premium = False  # which has webhooks of groups
        self.grants: dict[str, Grant] = {}
        self.visitor: User | None = None  # who uses the browser, and gives consent
        self._numbers = {name: itertools.count(start) for name, start in FIRST_NUMBERS.items()}
        # GitLab publishes its sign-in key as well as the key that signs CI tokens, so choosing by `kid` matters.
        self.login_key = keys.SigningKey("login")
        self.ci_key = keys.SigningKey("ci")
        self.more_keys: list[dict[str, str]] = []  # other published keys
        self.released = threading.Event()  # ends hanging calls
        # Calls never see a half-finished set-up of a test.
        app = one_at_a_time(make_app(self), self.lock)
        if prefix:
            app = DispatcherMiddleware(NotFound(), {prefix: app})
        if front is not None:
            app = front(app)  # answers what no test asks for, such as pages
        self._serving = Serving(app, host=host, port=port, tls=tls)
        self.url = self._serving.url + prefix

    @property
    def quick_actions(self) -> list[str]:
        return [one for body in self.bodies for one in detectors.quick_actions(body)]

    @property
    def mentions(self) -> list[str]:
        return [one for body in self.bodies for one in detectors.mentions(body)]

    @property
    def references(self) -> list[str]:
        return [one for body in self.bodies for one in detectors.references(body)]

    @property
    def live(self) -> list[str]:
        """Everything that GitLab would do or render on reading what was written, except links."""
        read = [one for body in self.bodies for one in detectors.read(body).live]
        return read + [one for title in self.titles for one in detectors.titled(title)]

    def start(self) -> None:
        self._serving.start()

    def stop(self) -> None:
        self.released.set()
        self._serving.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def add_user(self, name: str) -> User:
        user = User(self.number("user"), name)
        with self.lock:
            self.users[user.id] = user
        return user

    def add_token(self, user: User, scopes: list[str], *, revoked: bool = False, kind: str = "personal") -> str:
        """Create a token: "personal" (as project and group access tokens are, too) or "oauth"."""
        text = f"glpat-{secrets.token_urlsafe(15)}" if kind == "personal" else secrets.token_hex(32)
        token = Token(text, user, scopes, revoked, kind, expires=self.clock() + 7200 if kind == "oauth" else None)
        with self.lock:
            self.tokens[token.text] = token
        return token.text

    def since(self, version: str) -> bool:
        """Whether this GitLab has at least this version."""
        return numbers_of(self.version) >= numbers_of(version)

    def is_expired(self, token: Token) -> bool:
        return token.expires is not None and self.clock() >= token.expires

    def add_application(self, redirect_uri: str, *, scopes: list[str], secret: str = "") -> Application:
        made = Application(secrets.token_hex(32), secret, redirect_uri, scopes, number=self.number("application"))
        with self.lock:
            self.applications[made.client_id] = made
        return made

    def add_group(self, path: str, *owners: User) -> Group:
        group = Group(self.number("group"), path, {one.id for one in owners})
        with self.lock:
            self.groups[group.id] = group
        return group

    def move_project(self, project: Project, path: str) -> None:
        """Give a project another path; GitLab redirects from the old one."""
        with self.lock:
            project.former_paths.add(project.path.lower())
            project.path = path

    def add_project(
        self,
        path: str,
        *,
        id: int | None = None,
        default_branch: str = "main",
        visibility: str = "private",
    ) -> Project:
        project = Project(id or self.number("project"), path, default_branch, visibility, protected={default_branch})
        with self.lock:
            self.projects[project.id] = project
        return project

    def add_member(self, project: Project, user: User, level: int, *, through: Through = "project") -> None:
        with self.lock:
            project.members[user.id], project.through[user.id] = level, through

    def add_commit(
        self,
        project: Project,
        sha: str,
        *,
        parents: tuple[str, ...] = (),
        branch: str | None = None,
        files: Mapping[str, str | bytes | None] | None = None,
        message: str = "a change",
    ) -> str:
        with self.lock:
            inherited = project.commits[parents[0]].files if parents else {}
            kept = {**inherited, **(files or {})}
            # None removes a file.
            present = {name: content for name, content in kept.items() if content is not None}
            project.commits[sha] = Commit(sha, parents, present, message)
            if branch:
                project.branches[branch] = sha
        return sha

    def add_merge_request(
        self,
        project: Project,
        source_branch: str,
        target_branch: str,
        title: str,
        *,
        source_project: Project | None = None,
    ) -> MergeRequest:
        author = next(iter(self.users.values()))
        source = source_project or project
        request = MergeRequest(
            self.number("merge_request"),
            len(project.merge_requests) + 1,
            title,
            source_branch,
            target_branch,
            source.id,
            author,
        )
        with self.lock:
            head, target = source.branches.get(source_branch), project.branches.get(target_branch)
            # GitLab fetches a fork's commits into the target project.
            project.commits |= {sha: source.commits[sha] for sha in source.ancestors(head or "")}
            request.base_sha = project.merge_base(head, target) if head and target else None
            project.merge_requests[request.iid] = request
        return request

    def add_child(self, parent: Pipeline) -> Pipeline:
        """Make a pipeline start another one on the same commit."""
        child = self.add_pipeline(self.projects[parent.project_id], parent.sha, parent.ref, "parent_pipeline")
        child.parent = parent
        return child

    def add_pipeline(self, project: Project, sha: str, ref: str, source: str, *, tag: bool = False) -> Pipeline:
        match = _MR_REF.match(ref)
        request = project.merge_requests[int(match[1])] if match else None
        number = self.number("pipeline")
        pipeline = Pipeline(number, number - 900, project.id, sha, ref, source, tag, request)
        with self.lock:
            self.pipelines[number] = pipeline
        return pipeline

    def add_job(self, pipeline: Pipeline, name: str, stage: str, user: User, status: str = "created") -> Job:
        job = Job(
            self.number("job"), name, stage, pipeline, user, status, token=f"glcbt-64_{secrets.token_urlsafe(15)}"
        )
        with self.lock:
            self.jobs[job.id] = job
        return job

    def set_job(self, job: Job, status: str, failure_reason: str | None = None) -> None:
        with self.lock:
            job.status, job.failure_reason = status, failure_reason
            job.finished = self.clock() if status in ("success", "failed", "canceled") else None

    def delete_job(self, job: Job) -> None:
        with self.lock:
            del self.jobs[job.id]

    def delete_pipeline(self, pipeline: Pipeline) -> None:
        with self.lock:
            self.jobs = {number: job for number, job in self.jobs.items() if job.pipeline is not pipeline}
            del self.pipelines[pipeline.id]

    def retry_job(self, job: Job) -> Job:
        with self.lock:
            job.retried = True
            return self.add_job(job.pipeline, job.name, job.stage, job.user)

    def merge(self, project: Project, iid: int, how: Method = "merge") -> str:
        """Merge as one of GitLab's merge methods does, and return the target branch's new commit."""
        with self.lock:
            return merging.merge(self, project, iid, how)

    def merged_result(self, project: Project, iid: int) -> str:
        """Create the commit that a merged results or merge train pipeline runs on; it is on no branch."""
        with self.lock:
            return merging.merged_result(project, iid)

    def mint(self, job: Job, aud: str | list[str], *, key: keys.SigningKey | None = None, **overrides: Any) -> str:
        """Sign an ID token as GitLab would for this job; a claim overridden by None is left out."""
        target = self.projects[job.pipeline.project_id]
        request = job.pipeline.merge_request
        source = self.projects[request.source_project_id] if request else target
        claims = keys.claims_of(job, source=source, target=target, issuer=self.url, aud=aud, now=int(self.clock()))
        claims = keys.as_of(self.version, claims, target=target) | overrides
        return keys.sign({name: value for name, value in claims.items() if value is not None}, key or self.ci_key)

    def rotate_key(self) -> None:
        self.ci_key = keys.SigningKey(f"ci-{secrets.token_hex(4)}")

    def notes(self, project: Project, iid: int) -> list[Note]:
        with self.lock:
            # Copies, since a test compares the content at different times.
            return [Note(**vars(note)) for note in project.merge_requests[iid].notes]

    def delete_note(self, project: Project, iid: int, note_id: int) -> None:
        with self.lock:
            request = project.merge_requests[iid]
            request.notes = [note for note in request.notes if note.id != note_id]

    def fail_next(
        self,
        method: str,
        path: str,
        status: int = 200,
        *,
        after: bool = False,
        headers: dict[str, str] | None = None,
        how: How = "status",
        act: Callable[[], None] | None = None,
    ) -> None:
        """Make the next call whose path matches the pattern return `status`; `after`: after it took effect. `act` runs
        meanwhile; with status 200 the call itself succeeds.
        """
        with self.lock:
            self.faults.append(Fault(method, path, status, after, headers or {}, how, act))

    def jobs_of(self, pipeline: Pipeline) -> list[Job]:
        with self.lock:
            return [job for job in self.jobs.values() if job.pipeline is pipeline]

    def head_of(self, request: MergeRequest) -> str | None:
        return self.projects[request.source_project_id].branches.get(request.source_branch)

    def status_of(self, pipeline: Pipeline) -> str:
        return pipeline_status(self.jobs_of(pipeline))

    def number(self, kind: str) -> int:
        return next(self._numbers[kind])
