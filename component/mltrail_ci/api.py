"""The part of the server's API that a job needs. Errors name the URL and what to try."""

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from .errors import CommandError, server
from .redaction import without_credentials
from .settings import Settings
from .transport import READ_SECONDS, Transport, bearer, job_token, unreachable

if TYPE_CHECKING:
    import urllib3

_PROMOTION_SECONDS = 900  # the server reads the whole model, to check that its files are the ones that were logged

_HINTS = {
    401: "Check with `mltrail doctor` that the token is this job's and that its audience is the server's URL.",
    403: "`mltrail doctor` shows whom the server takes this job for, and what they can do.",
    407: "A proxy between this runner and the server requires a user name and password: see HTTPS_PROXY and NO_PROXY.",
    404: "Check the server's URL and the project. An older server may not have this call.",
    429: "Too many calls; try again later.",
}

_REQUEST_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)


class Api:
    def __init__(self, settings: Settings, *, for_doctor: bool = False) -> None:
        self.settings = settings
        self._for_doctor = for_doctor
        self._transport = Transport()

    def candidates(self) -> dict[str, Any]:
        """The candidates of the pipeline."""
        return self._call("GET", f"{self.settings.pipeline_url}/candidates")

    def request_report(self) -> dict[str, Any]:
        """Have the server compare the pipeline's candidates now, and return the report so far."""
        return self._call("POST", f"{self.settings.pipeline_url}/report", {})

    def try_contract(self, content: str) -> dict[str, Any]:
        """Ask the server how its gate would judge the pipeline with this contract. It stores nothing."""
        return self._call("POST", f"{self.settings.pipeline_url}/contract", {"contract": content})

    def report(self) -> dict[str, Any]:
        return self._call("GET", f"{self.settings.pipeline_url}/report")

    def promote(self, options: dict[str, Any]) -> dict[str, Any]:
        """Promote the pipeline's best candidates. Asking again changes nothing, so a retry is safe."""
        if "candidate" not in options:
            options = {"pipeline_id": int(self.settings.pipeline), **options}
        return self._call("POST", f"{self.settings.base}/promotions", options, seconds=_PROMOTION_SECONDS)

    def move_alias(self, model: str, alias: str, options: dict[str, Any]) -> dict[str, Any]:
        """Point an alias at a version. The call says which version is expected there, so a retry is safe."""
        return self._call("PUT", self._alias_url(model, alias), options)

    def roll_back(self, model: str, alias: str, options: dict[str, Any]) -> dict[str, Any]:
        """Point an alias at the version before. Each call goes back one more version, so it is never retried."""
        return self._call("POST", f"{self._alias_url(model, alias)}/rollback", options, once=True)

    def _alias_url(self, model: str, alias: str) -> str:
        return f"{self.settings.base}/models/{quote(model, safe='')}/aliases/{quote(alias, safe='')}"

    def detach(self, options: dict[str, Any]) -> dict[str, Any]:
        """Detach a run from this job. Asking again for a new run starts another one, so this is never retried."""
        return self._call("POST", f"{self.settings.base}/detachments", options, once=True)

    def setup(self) -> dict[str, Any]:
        """What the server knows about the job's set-up."""
        return self._call("GET", f"{self.settings.base}/setup")

    def run(self, run_id: str) -> dict[str, Any]:
        """A run, as MLflow's API shows it."""
        return self._call("GET", f"{self.settings.base}/mlflow/api/2.0/mlflow/runs/get?run_id={quote(run_id, safe='')}")

    def experiment(self, experiment_id: str) -> dict[str, Any]:
        """An experiment, as MLflow's API shows it."""
        path = f"mlflow/api/2.0/mlflow/experiments/get?experiment_id={quote(experiment_id, safe='')}"
        return self._call("GET", f"{self.settings.base}/{path}")

    def provenance(self, model: str, version: str) -> dict[str, Any]:
        """The attestation of a version (by number, semver or alias), and the names of its files."""
        return self._call("GET", f"{self._version_url(model, version)}/provenance")

    def card(self, model: str, version: str) -> dict[str, Any]:
        return self._call("GET", f"{self._version_url(model, version)}/card")

    def file_digest(self, path: str) -> str | None:
        """The SHA-256 of a file's bytes as the server gives them out; None when there is no such file."""
        import hashlib  # noqa: PLC0415

        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        url = f"{self.settings.base}/mlflow/api/2.0/mlflow-artifacts/artifacts/{quote(path)}"
        response = self._transport.send("GET", url, None, bearer(self.settings.token), stream=True)
        try:
            if response.status == 404:
                return None
            if response.status >= 400:
                raise _refused("GET", url, response, None)
            digest = hashlib.sha256()
            for piece in response.stream(1 << 20):
                digest.update(piece)
            return digest.hexdigest()
        except (HTTPError, OSError) as error:
            raise unreachable("GET", url, error) from error
        finally:
            response.release_conn()

    def release(self, url: str, token: str, body: dict[str, Any]) -> bool:
        """Create a Release in GitLab; False if it exists already."""
        response = self._transport.send("POST", url, body, job_token(token))
        if response.status == 409:
            return False
        if response.status >= 300:
            raise _refused("POST", url, response, _json(response))
        return True

    def gitlab(self, method: str, url: str, token: str, body: dict[str, Any] | None = None) -> object:
        """Call GitLab itself, with the job's token."""
        response = self._transport.send(method, url, body, job_token(token), once=method == "POST")
        content = _json(response)
        if response.status >= 300:
            raise _refused(method, url, response, content)
        return content

    def _version_url(self, model: str, version: str) -> str:
        return f"{self.settings.base}/models/{quote(model, safe='')}/versions/{quote(version, safe='')}"

    def health(self) -> "urllib3.BaseHTTPResponse":
        """The server's response to `/healthz`, which needs no token."""
        return self._transport.send("GET", f"{self.settings.server}/healthz", None, {})

    def _call(
        self,
        method: str,
        url: str,
        body: dict[str, Any] | None = None,
        *,
        once: bool = False,
        seconds: float = READ_SECONDS,
    ) -> dict[str, Any]:
        headers = bearer(self.settings.token)
        response = self._transport.send(method, url, body, headers, once=once, seconds=seconds)
        content = _json(response)
        if response.status >= 400:
            raise _refused(method, url, response, content, is_doctor=self._for_doctor)
        if not isinstance(content, dict):
            raise _not_json(method, url, response)
        return content


def _json(response: "urllib3.BaseHTTPResponse") -> object:
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def _not_json(method: str, url: str, response: "urllib3.BaseHTTPResponse") -> CommandError:
    problem = f"{method} {url} returned {response.status} without JSON"
    target = response.headers.get("Location")
    if 300 <= response.status < 400 and target:
        # A login page's address may contain a state or a code.
        where = without_credentials(target).partition("?")[0].partition("#")[0]
        if where.partition("://")[2].partition("/")[0] == urlsplit(url).netloc and where.startswith("https:"):
            return server(f"{problem}, a redirect to https://: use the server's URL with https://.")
        return server(
            f"{problem}, a redirect to {where}. Is that a login page in front of the server? Jobs need a way around "
            "it, or the server's own URL."
        )
    return server(f"{problem}. Is this an mltrail server, or a proxy or login page in front of it?")


def _refused(
    method: str, url: str, response: "urllib3.BaseHTTPResponse", content: object, *, is_doctor: bool = False
) -> CommandError:
    status = response.status
    message = (content.get("message") or content.get("error")) if isinstance(content, dict) else None
    other = "The server's log says more." if status >= 500 else ""
    hint = _HINTS.get(status, "Is there a login page in front?" if status < 400 else other)
    if message:
        reason = str(message) if str(message).endswith((".", "!", "?")) else f"{message}."
        # If something was not found, or the server itself failed, its own message is best.
        hint = "" if is_doctor or status == 404 or status >= 500 else hint
        if "GitLab has no such project" in reason and not is_doctor:
            hint = "The server asks GitLab through its bot, which has to be a member of the project (`mltrail doctor`)."
    else:
        reason = "no reason given."
    # Whoever runs the server finds the call in its log by this ID. mltrail's own messages have it already.
    request = response.headers.get("X-Request-Id", "")
    if status >= 500 and _REQUEST_ID.fullmatch(request) and request not in reason:
        hint = f"{hint} Request ID: {request}".lstrip()
    return server(f"{method} {url} returned {status}: {reason} {hint}".rstrip())
