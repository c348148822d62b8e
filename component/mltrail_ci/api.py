"""The server's API, as much as a job needs. Errors name the URL and what to try."""

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from .errors import CommandError, server
from .redaction import without_credentials
from .settings import Settings
from .transport import READ_SECONDS, Transport, bearer, job_token, unreachable

if TYPE_CHECKING:
    import urllib3

_PROMOTION_SECONDS = 900  # the server reads a model whole, to see that its bytes are the ones that were logged

_HINTS = {
    401: "Check with `mltrail doctor` that the token is this job's and that its audience is the server's URL.",
    403: "`mltrail doctor` shows who the server thinks is asking, and what they may do.",
    407: "A proxy between this runner and the server wants a user name and password: see HTTPS_PROXY and NO_PROXY.",
    404: "Check the server's URL and the project. An older server may lack this call.",
    429: "Too many calls; try again later.",
}


class Api:
    def __init__(self, settings: Settings, *, for_doctor: bool = False) -> None:
        self.settings = settings
        self._for_doctor = for_doctor
        self._transport = Transport()

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
        return self._call("GET", f"{self.settings.base}/mlflow/api/2.0/mlflow/runs/get?run_id={quote(run_id, safe='')}")

    def experiment(self, experiment_id: str) -> dict[str, Any]:
        """An experiment, as MLflow's API shows it."""
        path = f"mlflow/api/2.0/mlflow/experiments/get?experiment_id={quote(experiment_id, safe='')}"
        return self._call("GET", f"{self.settings.base}/{path}")

    def provenance(self, model: str, version: str) -> dict[str, Any]:
        """What vouches for a version (by number, semver or alias), and the names of its files."""
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
                raise _refused("GET", url, response.status, None)
            digest = hashlib.sha256()
            for piece in response.stream(1 << 20):
                digest.update(piece)
            return digest.hexdigest()
        except (HTTPError, OSError) as error:
            raise unreachable("GET", url, error) from error
        finally:
            response.release_conn()

    def release(self, url: str, token: str, body: dict[str, Any]) -> bool:
        """Make a Release in GitLab; False when it is there already."""
        response = self._transport.send("POST", url, body, job_token(token))
        if response.status == 409:
            return False
        if response.status >= 300:
            raise _refused("POST", url, response.status, _json(response))
        return True

    def gitlab(self, method: str, url: str, token: str, body: dict[str, Any] | None = None) -> object:
        """Ask GitLab itself, by the job's token."""
        response = self._transport.send(method, url, body, job_token(token), once=method == "POST")
        answer = _json(response)
        if response.status >= 300:
            raise _refused(method, url, response.status, answer)
        return answer

    def _version_url(self, model: str, version: str) -> str:
        return f"{self.settings.base}/models/{quote(model, safe='')}/versions/{quote(version, safe='')}"

    def health(self) -> "urllib3.BaseHTTPResponse":
        """The server's answer to `/healthz`, which needs no token."""
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
        answer = _json(response)
        if response.status >= 400:
            raise _refused(method, url, response.status, answer, is_doctor=self._for_doctor)
        if not isinstance(answer, dict):
            raise _no_answer(method, url, response)
        return answer


def _json(response: "urllib3.BaseHTTPResponse") -> object:
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def _no_answer(method: str, url: str, response: "urllib3.BaseHTTPResponse") -> CommandError:
    told = f"{method} {url} answered {response.status} without JSON"
    target = response.headers.get("Location")
    if 300 <= response.status < 400 and target:
        # A login page's address may carry a state or a code.
        where = without_credentials(target).partition("?")[0].partition("#")[0]
        if where.partition("://")[2].partition("/")[0] == urlsplit(url).netloc and where.startswith("https:"):
            return server(f"{told}, a redirect to https://: give the server's URL with https://.")
        return server(
            f"{told}, a redirect to {where}. Is that a login page in front of the server? Jobs need a way past it, or "
            "the server's own URL."
        )
    return server(f"{told}. Is this an mltrail server, or a proxy or login page in front of it?")


def _refused(method: str, url: str, status: int, answer: object, *, is_doctor: bool = False) -> CommandError:
    message = (answer.get("message") or answer.get("error")) if isinstance(answer, dict) else None
    other = "The server's log says more." if status >= 500 else ""
    hint = _HINTS.get(status, "Is there a login page in front?" if status < 400 else other)
    if message:
        told = str(message) if str(message).endswith((".", "!", "?")) else f"{message}."
        # What was not found, and what the server itself could not do, its own words tell best.
        hint = "" if is_doctor or status == 404 or status >= 500 else hint
        if "GitLab has no such project" in told and not is_doctor:
            hint = "The server asks GitLab through its bot, which has to be a member of the project (`mltrail doctor`)."
    else:
        told = "no reason given."
    return server(f"{method} {url} answered {status}: {told} {hint}".rstrip())
