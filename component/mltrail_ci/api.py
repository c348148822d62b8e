"""The server's API, as much as a job needs. Errors name the URL and what to try."""

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .errors import CommandError, server
from .settings import Settings

if TYPE_CHECKING:
    import urllib3

_CONNECT_SECONDS = 10
_READ_SECONDS = 60
_PROMOTION_SECONDS = 900  # the server reads a model whole, to see that its bytes are the ones that were logged
_TRIES = 4
_BACKOFF_SECONDS = 0.5

_HINTS = {
    401: "Check with `mltrail doctor` that the token is this job's and that its audience is the server's URL.",
    403: "`mltrail doctor` tells whom the server takes this job for, and what that may do.",
    404: "Check the server's URL and the project. An older server may lack this call.",
    429: "Too many calls; try again later.",
}


class Api:
    def __init__(self, settings: Settings, *, for_doctor: bool = False) -> None:
        self.settings = settings
        self._for_doctor = for_doctor
        self._pool: urllib3.PoolManager | None = None

    def candidates(self) -> dict[str, Any]:
        """The candidates of the pipeline."""
        return self._call("GET", f"{self.settings.pipeline_url}/candidates")

    def ask_for_report(self) -> dict[str, Any]:
        """Have the server compare the pipeline's candidates now, and answer the report as far as it is."""
        return self._call("POST", f"{self.settings.pipeline_url}/report", {})

    def try_contract(self, content: str) -> dict[str, Any]:
        """Have the server tell what its gate would say of the pipeline with this contract. It keeps nothing."""
        return self._call("POST", f"{self.settings.pipeline_url}/contract", {"contract": content})

    def report(self) -> dict[str, Any]:
        return self._call("GET", f"{self.settings.pipeline_url}/report")

    def promote(self, wishes: dict[str, Any]) -> dict[str, Any]:
        """Promote the pipeline's best candidates. Asking again changes nothing, so that a retry is safe."""
        if "candidate" not in wishes:
            wishes = {"pipeline_id": int(self.settings.pipeline), **wishes}
        return self._call("POST", f"{self.settings.base}/promotions", wishes, seconds=_PROMOTION_SECONDS)

    def move_alias(self, model: str, alias: str, wishes: dict[str, Any]) -> dict[str, Any]:
        """Point an alias at a version. It is told which one is expected there, so that a retry is safe."""
        return self._call("PUT", self._alias_url(model, alias), wishes)

    def roll_back(self, model: str, alias: str, wishes: dict[str, Any]) -> dict[str, Any]:
        """Point an alias at the version before. Each call goes one further back, so this is not sent twice."""
        return self._call("POST", f"{self._alias_url(model, alias)}/rollback", wishes, once=True)

    def _alias_url(self, model: str, alias: str) -> str:
        return f"{self.settings.base}/models/{quote(model, safe='')}/aliases/{quote(alias, safe='')}"

    def detach(self, wishes: dict[str, Any]) -> dict[str, Any]:
        """Detach a run from this job. Asking again for a new run begins another one, so this is not sent twice."""
        return self._call("POST", f"{self.settings.base}/detachments", wishes, once=True)

    def setup(self) -> dict[str, Any]:
        """What the server knows of the job's set-up."""
        return self._call("GET", f"{self.settings.base}/setup")

    def run(self, run_id: str) -> dict[str, Any]:
        """A run, as MLflow's API tells it."""
        from urllib.parse import quote  # noqa: PLC0415

        return self._call("GET", f"{self.settings.base}/mlflow/api/2.0/mlflow/runs/get?run_id={quote(run_id, safe='')}")

    def provenance(self, model: str, version: str) -> dict[str, Any]:
        """What vouches for a version (by number, semver or alias), and the names of its files."""
        return self._call("GET", f"{self._version_url(model, version)}/provenance")

    def card(self, model: str, version: str) -> dict[str, Any]:
        return self._call("GET", f"{self._version_url(model, version)}/card")

    def file_digest(self, path: str) -> str | None:
        """The SHA-256 of a file's bytes as the server gives them out; None when there is no such file."""
        import hashlib  # noqa: PLC0415

        url = f"{self.settings.base}/mlflow/api/2.0/mlflow-artifacts/artifacts/{quote(path)}"
        response = self._send("GET", url, None, {"Authorization": f"Bearer {self.settings.token}"}, stream=True)
        try:
            if response.status == 404:
                return None
            if response.status >= 400:
                raise _refused("GET", url, response.status, None)
            digest = hashlib.sha256()
            for piece in response.stream(1 << 20):
                digest.update(piece)
            return digest.hexdigest()
        finally:
            response.release_conn()

    def release(self, url: str, job_token: str, body: dict[str, Any]) -> bool:
        """Make a Release in GitLab; False when it is there already."""
        response = self._send("POST", url, body, {"JOB-TOKEN": job_token})
        if response.status == 409:
            return False
        if response.status >= 400:
            raise _refused("POST", url, response.status, _json(response))
        return True

    def gitlab(self, method: str, url: str, job_token: str, body: dict[str, Any] | None = None) -> object:
        """Ask GitLab itself, by the job's token."""
        response = self._send(method, url, body, {"JOB-TOKEN": job_token}, once=method == "POST")
        answer = _json(response)
        if response.status >= 400:
            raise _refused(method, url, response.status, answer)
        return answer

    def _version_url(self, model: str, version: str) -> str:
        return f"{self.settings.base}/models/{quote(model, safe='')}/versions/{quote(version, safe='')}"

    def health(self) -> "urllib3.BaseHTTPResponse":
        """The server's answer to `/healthz`, which needs no token."""
        return self._send("GET", f"{self.settings.server}/healthz", None, {})

    def _call(
        self,
        method: str,
        url: str,
        body: dict[str, Any] | None = None,
        *,
        once: bool = False,
        seconds: float = _READ_SECONDS,
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.settings.token}"}
        response = self._send(method, url, body, headers, once=once, seconds=seconds)
        answer = _json(response)
        if response.status >= 400:
            raise _refused(method, url, response.status, answer, is_doctor=self._for_doctor)
        if not isinstance(answer, dict):
            raise server(
                f"{method} {url} answered {response.status} without JSON. "
                "Is this an mltrail server, or a proxy or login page in front of it?"
            )
        return answer

    def _send(
        self,
        method: str,
        url: str,
        body: dict[str, Any] | None,
        headers: dict[str, str],
        *,
        once: bool = False,
        stream: bool = False,
        seconds: float = _READ_SECONDS,
    ) -> "urllib3.BaseHTTPResponse":
        import urllib3  # noqa: PLC0415 - it takes longer to load than the rest of the command

        if self._pool is None:
            # All but those that are sent once may be repeated: the server answers a second one as it did the first.
            retries = urllib3.Retry(
                _TRIES,
                redirect=False,
                allowed_methods=None,
                status_forcelist=(502, 503, 504),
                raise_on_status=False,
                backoff_factor=_BACKOFF_SECONDS,
            )
            timeout = urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS)
            proxy = _proxy(url)
            self._pool = (
                urllib3.ProxyManager(proxy, retries=retries, timeout=timeout)
                if proxy
                else urllib3.PoolManager(retries=retries, timeout=timeout)
            )
        try:
            return self._pool.request(
                method,
                url,
                body=None if body is None else json.dumps(body),
                headers=headers | {"Accept": "application/json", "Content-Type": "application/json"},
                retries=False if once else None,
                preload_content=not stream,
                timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=seconds),
            )
        except urllib3.exceptions.HTTPError as error:
            raise _unreachable(method, url, error) from error


def _json(response: "urllib3.BaseHTTPResponse") -> object:
    try:
        return response.json()
    except ValueError:
        return None


def _proxy(url: str) -> str | None:
    """The proxy for a URL, as HTTPS_PROXY and NO_PROXY name it; MLflow's client goes by them, too."""
    from urllib import parse, request  # noqa: PLC0415

    address = parse.urlsplit(url)
    return None if request.proxy_bypass(address.netloc) else request.getproxies().get(address.scheme)


def _refused(method: str, url: str, status: int, answer: object, *, is_doctor: bool = False) -> CommandError:
    message = answer.get("message") if isinstance(answer, dict) else None
    hint = _HINTS.get(status, "The server's log tells more." if status >= 500 else "")
    if message:
        told = str(message) if str(message).endswith((".", "!", "?")) else f"{message}."
        # What was not found, and what the server itself could not do, its own words tell best.
        hint = "" if is_doctor or status == 404 or status >= 500 else hint
    else:
        told = "no reason given."
    return server(f"{method} {url} answered {status}: {told} {hint}".rstrip())


def _unreachable(method: str, url: str, error: Exception) -> CommandError:
    import urllib3  # noqa: PLC0415

    reason = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason else error
    if "WRONG_VERSION_NUMBER" in str(reason):
        hint = "What answers there does not speak TLS: is the server's URL one that begins with http://?"
    elif isinstance(reason, urllib3.exceptions.SSLError):
        hint = (
            "The certificate can't be verified. If your organisation has an authority of its own, point the variable "
            "SSL_CERT_FILE to its certificate."
        )
    elif isinstance(reason, urllib3.exceptions.NameResolutionError):
        hint = "The name can't be resolved here; check the `server` input for a typing error."
    else:
        hint = "Check that this runner can reach the server, and that the server is up."
    return server(f"{method} {url} failed: {reason}. {hint}")
