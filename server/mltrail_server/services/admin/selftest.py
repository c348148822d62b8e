"""Try the whole story against a real GitLab: tokens, roles, claims, merge request, note. Each line names one promise of
GitLab's that mltrail counts on, so that a report tells where a GitLab differs. It holds versions and no secrets.

Catch one webhook, for the self-test: an HTTP server that lives for some seconds.

Have GitLab send a real webhook, and see what comes: the self-test's last line.
"""

import base64
import json
import queue
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import TYPE_CHECKING, Self

from mltrail_server.domain import bot, webhook_secrets
from mltrail_server.domain.clock import Clock
from mltrail_server.domain.errors import Code, MltrailError, conflict, invalid
from mltrail_server.domain.gitlab_ci import MergeRequest, Project
from mltrail_server.domain.identity import title_of
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

_MOST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Caught:
    headers: Mapping[str, str]
    body: bytes


class HookCatcher:
    """Listens on `address`, `host:port`, while the block runs. Raises INVALID when that can't be."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        caught: queue.Queue[Caught] = queue.Queue()
        self._caught = caught

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = min(int(self.headers.get("Content-Length") or 0), _MOST_BYTES)
                caught.put(Caught(dict(self.headers.items()), self.rfile.read(length)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        try:
            self._server = ThreadingHTTPServer((host or "0.0.0.0", int(port)), Handler)  # noqa: S104 - GitLab must reach it
        except (OSError, ValueError, OverflowError) as error:
            raise invalid(f"Can't listen on {address!r} for a webhook: {error}. Give host:port.") from error
        self.port = self._server.server_port

    def wait(self, seconds: float) -> Caught | None:
        """Answer the next webhook; None when none came in time."""
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


_WAIT_SECONDS = 20.0


def deliver_hook(
    probe: Probe, project_id: ProjectId, *, listen: str, url: str, clock: Clock, wait_seconds: float = _WAIT_SECONDS
) -> str:
    """Make a hook in the project, have it tried, and remove it. Answers what came, in words.

    `url` is where GitLab reaches what listens on `listen` (`host:port`). Raises what GitLab's refusal means, CONFLICT
    when what comes is not as it should be.
    """
    token, signing = (
        secrets.token_urlsafe(16),
        webhook_secrets.SIGNING_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode(),
    )
    with HookCatcher(listen) as catcher:
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
            caught = catcher.wait(wait_seconds)
        finally:
            probe.delete_hook(project_id, hook)
    if caught is None:
        raise conflict(f"GitLab says it has sent one, and nothing came to {address} within {wait_seconds:g} s")
    return _judged(caught, project_id, token, signing, now_ms=clock())


def _judged(caught: Caught, project_id: ProjectId, token: str, signing: str, *, now_ms: int) -> str:
    if not webhook_secrets.is_genuine([token], caught.headers, caught.body, now_ms=now_ms):
        raise conflict("it came without the secret token in X-Gitlab-Token")
    told = json.loads(caught.body)
    if told["object_kind"] != "pipeline" or told["project"]["id"] != project_id:
        raise conflict("it came with another kind or project than the one that was asked for")
    if not isinstance(told["object_attributes"]["id"], int):
        raise conflict("the event does not tell its pipeline's number")
    names = {name.lower() for name in caught.headers}
    if "webhook-signature" not in names:
        return "a pipeline event came, with the secret token; this GitLab does not sign (it does from 19.0 on)"
    if not webhook_secrets.is_genuine([signing], caught.headers, caught.body, now_ms=now_ms):
        raise conflict("its signature is wrong, or its time is more than five minutes off ours")
    return "a pipeline event came, with the secret token and a good signature"


if TYPE_CHECKING:
    from mltrail_server.domain.identity import VerifiedClaims

OK, FAILED, SKIPPED = "ok", "FAILED", "skipped"


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    outcome: str
    told: str


class _Skip(Exception):  # noqa: N818 - no error: there is nothing to try
    pass


@dataclass(frozen=True, slots=True)
class Given:
    """What the test may use: a job's tokens where it runs in a job, and a merge request to write a note on."""

    project: str
    merge_request_iid: int | None = None
    id_token: str = ""
    job_token: str = ""
    webhook_listen: str = ""  # host:port where GitLab's webhook may come
    webhook_url: str = ""  # how GitLab reaches that, where it is not the same
    webhook_wait_seconds: float = 20.0


@dataclass
class SelfTest:
    settings: Settings
    given: Given
    clock: Clock
    lines: list[Line] = field(default_factory=list)

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
        self.project: Project | None = None
        self.request: MergeRequest | None = None
        self.claims: VerifiedClaims | None = None

    def run(self) -> Sequence[Line]:
        """Try everything, in an order in which one failure does not hide the next. Never raises."""
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
            self._try(name, step)
        return self.lines

    @property
    def passed(self) -> bool:
        return all(line.outcome != FAILED for line in self.lines)

    def _try(self, name: str, step: Callable[[], str]) -> None:
        try:
            self.lines.append(Line(name, OK, step()))
        except _Skip as reason:
            self.lines.append(Line(name, SKIPPED, str(reason)))
        except MltrailError as error:
            self.lines.append(Line(name, FAILED, error.message + self._unreached(error)))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            # An answer in another shape: the field's name is what we need to know, its value is nobody's business.
            told = f" {error}" if isinstance(error, KeyError) else ""
            self.lines.append(Line(name, FAILED, f"GitLab's answer has another shape: {type(error).__name__}{told}"))

    def _unreached(self, error: MltrailError) -> str:
        """Say where and why nobody answered: most often the URL is wrong, or the certificate is of an own authority."""
        if error.code is not Code.UNAVAILABLE or error.__cause__ is None:
            return ""
        return f" ({type(error.__cause__).__name__}, asking {self.settings.gitlab_url})"

    def _version(self) -> str:
        version = self.probe.version()
        numbers = tuple(int(part) for part in version.split("-")[0].split(".")[:2])
        if numbers < probe.OLDEST:
            raise _wrong(f"GitLab is {version}, and mltrail needs {probe.OLDEST[0]}.{probe.OLDEST[1]} or newer")
        return version

    def _token(self) -> str:
        token = self.probe.token()
        if "api" not in token.scopes:
            raise _wrong(f"its scopes are {', '.join(token.scopes)}; it needs `api` to write notes")
        return f"{self.probe.user_name()}, scopes {', '.join(token.scopes)}, ends {token.expires_at or 'never'}"

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
        project = self._known()
        level = self.gitlab.bot_level(ProjectId(project.id))
        if told := bot.problem(level, project.path):
            raise _wrong(told)
        return f"level {level}: it can {bot.can(level)}"

    def _issuer(self) -> str:
        page = probe.issuer_page(self.settings.issuer)
        if str(page["issuer"]).rstrip("/") != self.settings.issuer:
            raise _wrong(f"the issuer calls itself {page['issuer']}; set MLTRAIL_OIDC_ISSUER to that")
        usable = [key["kid"] for key in page["keys"] if key["kty"] == "RSA"]
        if not usable:
            raise _wrong("there is no RSA key, and ID tokens are signed with RS256")
        return f"{page['issuer']} has {len(usable)} RSA keys"

    def _id_token(self) -> str:
        if not self.given.id_token:
            raise _Skip("run it in a CI job that has `id_tokens: {MLFLOW_TRACKING_TOKEN: …}`")
        token = bare(self.given.id_token)
        if not is_jwt(token):
            raise _Skip("what the variable holds is no ID token; run it in a CI job that has one")
        claims = self.id_tokens.verify(token, self.given.project)
        self.claims = claims
        new = ", ".join(self.id_tokens.unknown_claims(token)) or "none"
        role = claims.user_role.name.lower()
        return f"job {claims.job_id} of {claims.job_project_path}, role {role}; claims new to mltrail: {new}"

    def _job_token(self) -> str:
        if not self.given.job_token:
            raise _Skip("run it in a CI job")
        proved = self.job_tokens.verify(self.given.job_token)
        by_id_token = self.claims
        if by_id_token is not None:
            for name in ("job_id", "pipeline_id", "job_project_id", "source_project_id", "ref", "sha", "user_login"):
                if getattr(proved, name) != getattr(by_id_token, name):
                    raise _wrong(f"it tells another {name} than the ID token")
        return f"job {proved.job_id}, role {proved.user_role.name.lower()}"

    def _job(self) -> str:
        if self.claims is None:
            raise _Skip("needs an ID token")
        told = self.gitlab.job(self.claims.job_project_id, self.claims.job_id)
        pipeline = self.gitlab.pipeline(self.claims.job_project_id, self.claims.pipeline_id)
        if told.status != "running" or told.pipeline_id != pipeline.id:
            raise _wrong(f"the job that asks is {told.status!r} in pipeline {told.pipeline_id}")
        if told.id not in {job.id for job in self.gitlab.pipeline_jobs(self.claims.job_project_id, pipeline.id)}:
            raise _wrong("the pipeline's list of jobs lacks the job that asks")
        return f"{told.name} is {told.status}, ref {told.ref}"

    def _protected(self) -> str:
        project = self._known()
        branch = project.default_branch or ""
        protected = self.gitlab.is_protected(ProjectId(project.id), branch, tag=False)
        return f"{branch} is {'protected' if protected else 'not protected, so that nothing can be promoted'}"

    def _commits(self) -> str:
        project = self._known()
        if not project.default_branch:
            raise _Skip("the repository is empty")
        found = self.gitlab.ancestors(ProjectId(project.id), project.default_branch or "", limit=5)
        requests = self.gitlab.commit_merge_requests(ProjectId(project.id), found[0])
        return f"{len(found)} read, the newest belongs to {len(requests)} merge requests"

    def _merge_request(self) -> str:
        if self.given.merge_request_iid is None:
            raise _Skip("name an open one with --merge-request")
        number = ProjectId(self._known().id)
        request = self.gitlab.merge_request(number, self.given.merge_request_iid)
        self.request = request
        same = self.gitlab.open_merge_requests(number, request.source_branch)
        if request.source_project_id == number and request.iid not in {one.iid for one in same}:
            raise _wrong(f"!{request.iid} is not found by its branch {request.source_branch}; is it open?")
        if request.base_sha is None:
            raise _wrong("GitLab tells no merge base (diff_refs)")
        return f"!{request.iid} from {request.source_branch} into {request.target_branch}"

    def _note(self) -> str:
        if self.request is None:
            raise _Skip("needs a merge request")
        number, iid, mark = ProjectId(self._known().id), self.request.iid, secrets.token_hex(8)
        made = self.gitlab.create_note(number, iid, f"mltrail selftest {mark}: this note deletes itself.")
        try:
            if made.author_id != self.gitlab.bot_id(number):
                raise _wrong("the note's author is not the bot")
            self.gitlab.update_note(number, iid, made.id, f"mltrail selftest {mark}: edited.\n\n<!-- {mark} -->")
            bodies = {one.id: one.body for one in self.gitlab.notes(number, iid)}
            if f"<!-- {mark} -->" not in bodies.get(made.id, ""):
                raise _wrong("the edited note is not found again, or its hidden mark is gone")
        finally:
            self.gitlab.delete_note(number, iid, made.id)
        try:
            self.gitlab.update_note(number, iid, made.id, "still there")
        except MltrailError as error:
            if error.code is Code.NOT_FOUND:
                return f"on !{iid}"
            raise
        raise _wrong("a deleted note can still be edited")

    def _webhook(self) -> str:
        if not self.given.webhook_listen:
            raise _Skip("none is needed; to try one, name a host:port that GitLab can reach with --webhook-listen")
        return deliver_hook(
            self.probe,
            ProjectId(self._known().id),
            listen=self.given.webhook_listen,
            url=self.given.webhook_url,
            clock=self.clock,
            wait_seconds=self.given.webhook_wait_seconds,
        )

    def _known(self) -> Project:
        if self.project is None:
            raise _Skip("needs the project")
        return self.project


def _wrong(what: str) -> MltrailError:
    return MltrailError(Code.CONFLICT, what)
