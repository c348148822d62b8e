"""The self-test against a real GitLab: tokens, roles, claims, merge request, note, webhook.

Each check is about one promise of GitLab's that mltrail relies on, so that a report shows where a GitLab differs. The
report contains versions and no secrets. For the webhook, a small HTTP server listens for some seconds.
"""

import base64
import json
import queue
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from mltrail_server.domain import bot, webhook_secrets
from mltrail_server.domain.clock import Clock
from mltrail_server.domain.errors import Code, MltrailError, conflict, invalid
from mltrail_server.domain.gitlab_ci import GitLabMergeRequest, GitLabProject
from mltrail_server.domain.identity import VerifiedClaims, title_of
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.tokens import bare, is_jwt
from mltrail_server.gitlab import probe
from mltrail_server.gitlab.client import GitLab
from mltrail_server.gitlab.connections import Connections
from mltrail_server.gitlab.id_tokens import IdTokens
from mltrail_server.gitlab.job_tokens import JobTokens
from mltrail_server.gitlab.older_gitlab import OlderGitLab
from mltrail_server.gitlab.probe import Probe
from mltrail_server.settings import Settings

from . import checks
from .checks import FAILED, CheckResult, Skip, attempt

_MOST_WEBHOOK_BYTES = 1_000_000
_WEBHOOK_WAIT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class SelfTestInput:
    """What the test may use: a job's tokens if it runs in a job, and a merge request to write a note on."""

    project: str
    merge_request_iid: int | None = None
    id_token: str = ""
    job_token: str = ""
    webhook_listen: str = ""  # host:port to listen on for GitLab's webhook
    webhook_url: str = ""  # where GitLab reaches that, if the address differs
    webhook_wait_seconds: float = 20.0


@dataclass
class SelfTest:
    settings: Settings
    given: SelfTestInput
    clock: Clock
    lines: list[CheckResult] = field(default_factory=list)

    def __post_init__(self) -> None:
        sessions = Connections(self.settings.gitlab_url, self.clock)
        path = None if self.given.project.isdigit() else self.given.project
        self.gitlab = GitLab(
            sessions, self.settings.gitlab_token, tokens=self.settings.bot_tokens, path_of=lambda _: path
        )
        self.probe = probe.Probe(sessions, self.gitlab.token_of_path(path))
        self.id_tokens = IdTokens(
            issuer=self.settings.issuer,
            audience=self.settings.external_url,
            clock=self.clock,
            older=OlderGitLab(self.gitlab),
        )
        self.job_tokens = JobTokens(sessions, self.gitlab)
        self.project: GitLabProject | None = None
        self.request: GitLabMergeRequest | None = None
        self.claims: VerifiedClaims | None = None

    def run(self) -> Sequence[CheckResult]:
        """Run all checks, in an order in which one failure does not hide the next. Never raises."""
        for name, step in (
            ("GitLab's version", self._version),
            ("bot's token", self._token),
            ("project by path and number", self._project),
            ("bot's role", self._role),
            ("issuer and keys", self._issuer),
            ("ID token", self._id_token),
            ("CI_JOB_TOKEN", self._job_token),
            ("job looked up", self._job),
            ("protected branches", self._protected),
            ("commits", self._commits),
            ("merge request found", self._merge_request),
            ("note written, edited, found, deleted", self._note),
            ("webhook", self._webhook),
        ):
            self.lines.append(attempt(name, step, self.settings.gitlab_url))
        return self.lines

    @property
    def passed(self) -> bool:
        return all(line.outcome != FAILED for line in self.lines)

    def _version(self) -> str:
        return checks.gitlab_version(self.probe)

    def _token(self) -> str:
        return checks.bot_token(self.probe)[1]

    def _project(self) -> str:
        try:
            by_name = self.gitlab.project_named(self.given.project)
        except MltrailError as error:
            if error.code is not Code.NOT_FOUND:
                raise
            raise _wrong(
                f"GitLab shows mltrail's bot no project {self.given.project}: give --project its full path, and make "
                "the bot a member of it (Manage > Members)"
            ) from error
        by_number = self.gitlab.project(ProjectId(by_name.id))
        if by_number != by_name:
            raise _wrong("path and number lead to different answers")
        self.project = by_name
        return f"{by_name.path} is {by_name.id}, default branch {by_name.default_branch}"

    def _role(self) -> str:
        project = self._known_project()
        level = self.gitlab.bot_level(ProjectId(project.id))
        if problem := bot.problem(level, project.path):
            raise _wrong(problem)
        return f"level {level}: it can {bot.can(level)}"

    def _issuer(self) -> str:
        return checks.issuer(self.settings.issuer)

    def _id_token(self) -> str:
        if not self.given.id_token:
            raise Skip("run it in a CI job that has `id_tokens: {MLFLOW_TRACKING_TOKEN: …}`")
        token = bare(self.given.id_token)
        if not is_jwt(token):
            raise Skip("what the variable holds is no ID token; run it in a CI job that has one")
        claims = self.id_tokens.verify(token, self.given.project)
        self.claims = claims
        new = ", ".join(self.id_tokens.unknown_claims(token)) or "none"
        role = claims.user_role.name.lower()
        return f"job {claims.job_id} of {claims.job_project_path}, role {role}; claims new to mltrail: {new}"

    def _job_token(self) -> str:
        if not self.given.job_token:
            raise Skip("run it in a CI job")
        proved = self.job_tokens.verify(self.given.job_token)
        by_id_token = self.claims
        if by_id_token is not None:
            for name in ("job_id", "pipeline_id", "job_project_id", "source_project_id", "ref", "sha", "user_login"):
                if getattr(proved, name) != getattr(by_id_token, name):
                    raise _wrong(f"it tells another {name} than the ID token")
        return f"job {proved.job_id}, role {proved.user_role.name.lower()}"

    def _job(self) -> str:
        if self.claims is None:
            raise Skip("needs an ID token")
        job = self.gitlab.job(self.claims.job_project_id, self.claims.job_id)
        pipeline = self.gitlab.pipeline(self.claims.job_project_id, self.claims.pipeline_id)
        if job.status != "running" or job.pipeline_id != pipeline.id:
            raise _wrong(f"the job that asks is {job.status!r} in pipeline {job.pipeline_id}")
        if job.id not in {other.id for other in self.gitlab.pipeline_jobs(self.claims.job_project_id, pipeline.id)}:
            raise _wrong("the pipeline's list of jobs lacks the job that asks")
        return f"{job.name} is {job.status}, ref {job.ref}"

    def _protected(self) -> str:
        project = self._known_project()
        branch = project.default_branch or ""
        protected = self.gitlab.is_protected(ProjectId(project.id), branch, tag=False)
        return f"{branch} is {'protected' if protected else 'not protected, so that nothing can be promoted'}"

    def _commits(self) -> str:
        project = self._known_project()
        if not project.default_branch:
            raise Skip("the repository is empty")
        commits = self.gitlab.ancestors(ProjectId(project.id), project.default_branch or "", limit=5)
        requests = self.gitlab.commit_merge_requests(ProjectId(project.id), commits[0])
        return f"{len(commits)} read, the newest belongs to {len(requests)} merge requests"

    def _merge_request(self) -> str:
        if self.given.merge_request_iid is None:
            raise Skip("name an open one with --merge-request")
        number = ProjectId(self._known_project().id)
        request = self.gitlab.merge_request(number, self.given.merge_request_iid)
        self.request = request
        same = self.gitlab.open_merge_requests(number, request.source_branch)
        if request.source_project_id == number and request.iid not in {open_request.iid for open_request in same}:
            raise _wrong(f"!{request.iid} is not found by its branch {request.source_branch}; is it open?")
        if request.base_sha is None:
            raise _wrong("GitLab tells no merge base (diff_refs)")
        return f"!{request.iid} from {request.source_branch} into {request.target_branch}"

    def _note(self) -> str:
        if self.request is None:
            raise Skip("needs a merge request")
        number, iid, mark = ProjectId(self._known_project().id), self.request.iid, secrets.token_hex(8)
        created = self.gitlab.create_note(number, iid, f"mltrail selftest {mark}: this note deletes itself.")
        try:
            if created.author_id != self.gitlab.bot_id(number):
                raise _wrong("the note's author is not the bot")
            self.gitlab.update_note(number, iid, created.id, f"mltrail selftest {mark}: edited.\n\n<!-- {mark} -->")
            bodies = {note.id: note.body for note in self.gitlab.notes(number, iid)}
            if f"<!-- {mark} -->" not in bodies.get(created.id, ""):
                raise _wrong("the edited note is not found again, or its hidden mark is gone")
        finally:
            self.gitlab.delete_note(number, iid, created.id)
        try:
            self.gitlab.update_note(number, iid, created.id, "still there")
        except MltrailError as error:
            if error.code is Code.NOT_FOUND:
                return f"on !{iid}"
            raise
        raise _wrong("a deleted note can still be edited")

    def _webhook(self) -> str:
        if not self.given.webhook_listen:
            raise Skip("none is needed; to try one, name a host:port that GitLab can reach with --webhook-listen")
        return _try_webhook(
            self.probe,
            ProjectId(self._known_project().id),
            listen=self.given.webhook_listen,
            url=self.given.webhook_url,
            clock=self.clock,
            wait_seconds=self.given.webhook_wait_seconds,
        )

    def _known_project(self) -> GitLabProject:
        if self.project is None:
            raise Skip("needs the project")
        return self.project


@dataclass(frozen=True, slots=True)
class _ReceivedWebhook:
    headers: Mapping[str, str]
    body: bytes


class _WebhookCatcher:
    """Listens on `address`, `host:port`, while the block runs. Raises INVALID if it can't listen there."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        caught: queue.Queue[_ReceivedWebhook] = queue.Queue()
        self._caught = caught

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = min(int(self.headers.get("Content-Length") or 0), _MOST_WEBHOOK_BYTES)
                caught.put(_ReceivedWebhook(dict(self.headers.items()), self.rfile.read(length)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        try:
            self._server = ThreadingHTTPServer((host or "0.0.0.0", int(port)), Handler)  # noqa: S104 - GitLab must reach it
        except (OSError, ValueError, OverflowError) as error:
            raise invalid(f"Can't listen on {address!r} for a webhook: {error}. Give host:port.") from error
        self.port = self._server.server_port

    def wait(self, seconds: float) -> _ReceivedWebhook | None:
        """Return the next webhook; None if none came in time."""
        try:
            return self._caught.get(timeout=seconds)
        except queue.Empty:
            return None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _try_webhook(
    probe: Probe,
    project_id: ProjectId,
    *,
    listen: str,
    url: str,
    clock: Clock,
    wait_seconds: float = _WEBHOOK_WAIT_SECONDS,
) -> str:
    """Create a webhook in the project, have GitLab try it, and delete it. Returns in words what was received.

    `url` is where GitLab reaches the address `listen` (`host:port`). Raises what GitLab's refusal means, and CONFLICT
    if what is received is not as it should be.
    """
    token, signing = (
        secrets.token_urlsafe(16),
        webhook_secrets.SIGNING_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode(),
    )
    with _WebhookCatcher(listen) as catcher:
        address = url or f"http://{listen.rpartition(':')[0] or '127.0.0.1'}:{catcher.port}/"
        try:
            hook = probe.create_hook(project_id, url=address, token=token, signing_token=signing)
        except MltrailError as error:
            if error.code is Code.FORBIDDEN:
                need = bot.Task.WEBHOOK.value
                raise conflict(f"the bot needs the {title_of(need.role)} role to {need.does}") from error
            raise
        try:
            probe.try_hook(project_id, hook)
            received = catcher.wait(wait_seconds)
        finally:
            probe.delete_hook(project_id, hook)
    if received is None:
        raise conflict(f"GitLab says it has sent one, and nothing came to {address} within {wait_seconds:g} s")
    return _check_delivery(received, project_id, token, signing, now_ms=clock())


def _check_delivery(received: _ReceivedWebhook, project_id: ProjectId, token: str, signing: str, *, now_ms: int) -> str:
    if not webhook_secrets.is_genuine([token], received.headers, received.body, now_ms=now_ms):
        raise conflict("it came without the secret token in X-Gitlab-Token")
    event = json.loads(received.body)
    if event["object_kind"] != "pipeline" or event["project"]["id"] != project_id:
        raise conflict("it came with another kind or project than the one that was asked for")
    if not isinstance(event["object_attributes"]["id"], int):
        raise conflict("the event does not tell its pipeline's number")
    names = {name.lower() for name in received.headers}
    if "webhook-signature" not in names:
        return "a pipeline event came, with the secret token; this GitLab does not sign (it does from 19.0 on)"
    if not webhook_secrets.is_genuine([signing], received.headers, received.body, now_ms=now_ms):
        raise conflict("its signature is wrong, or its time is more than five minutes off ours")
    return "a pipeline event came, with the secret token and a good signature"


def _wrong(what: str) -> MltrailError:
    return MltrailError(Code.CONFLICT, what)
