"""An MLflow server: where its API is, which version it has, and how its lists are read."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import parse_qs, urldefrag, urlsplit, urlunsplit

from mltrail_server.domain.errors import MltrailError, invalid
from mltrail_server.domain.transfer import Entity, Findings, GoneError, Loss
from mltrail_server.sources.http import LostError, Rest
from mltrail_server.sources.paging import pages
from mltrail_server.sources.workers import Workers

from .records import Json

API, API_3, AJAX = "api/2.0/mlflow", "api/3.0/mlflow", "ajax-api/2.0/mlflow"
EXPERIMENTS = f"{API}/experiments/search"

_API_PART = re.compile(r"/(?:ajax-)?api/[23]\.0(?:/(?:preview/)?mlflow(?:/.*)?)?$")
_VERSION = re.compile(r"\d+\.\d+[\w.+-]*")
_ABSENT = frozenset({404, 405, 501})
_ABSENT_CODES = frozenset({"ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED", "FEATURE_DISABLED"})

Record = TypeVar("Record")
Fetched = tuple[list[Json], str]


def base_url(url: str) -> tuple[str, str]:
    """Return the base URL of what somebody may have copied from a browser or from an example of a call, and the
    workspace that it names.
    """
    parts = urlsplit(urldefrag(url.strip())[0])
    base = urlunsplit((parts.scheme, parts.netloc, _API_PART.sub("", parts.path.rstrip("/")), "", ""))
    return base, parse_qs(parts.query).get("workspace", [""])[0]


def page(got: Json, key: str) -> Fetched:
    """Take a page and the next token out of a response."""
    found = got.get(key) or []
    if not isinstance(found, list):
        raise LostError(f"The server returned {key} that are no list.")
    return found, str(got.get("next_page_token") or "")


def said(body: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is empty: an empty page token is not the same as none to every server."""
    return {key: value for key, value in body.items() if value not in ("", None)}


def is_absent(error: LostError) -> bool:
    """Whether a server does not know a call. Not found in MLflow's own words means that something else is missing."""
    return error.error_code in _ABSENT_CODES or (error.status in _ABSENT and not error.error_code)


class Server:
    """What the parts of the reader share. `version` is () if the server does not tell it: before 2.0."""

    def __init__(self, rest: Rest, findings: Findings, workers: Workers) -> None:
        self.rest, self.findings, self.workers = rest, findings, workers
        self.version: tuple[int, ...] = ()
        self._noted: set[str] = set()
        rest.probe = lambda: rest.ask_once("POST", EXPERIMENTS, body={"max_results": 1})

    def describe(self) -> str:
        """Find out what answers, such as `MLflow 2.22.1`. Raises INVALID if it is no MLflow server."""
        try:
            self.rest.post(EXPERIMENTS, {"max_results": 1})
        except GoneError:
            raise
        except LostError as error:
            if is_absent(error):
                raise invalid(self._elsewhere()) from error
            raise
        text = self._version_text()
        self.version = tuple(int(part) for part in re.findall(r"\d+", text)[:2])
        if not text and "/ml/mlflow" in self.rest.url:
            raise invalid(
                "These are GitLab's own experiments. Read them with --from-gitlab URL --gitlab-project PATH instead."
            )
        info = self._info()
        if info.get("workspaces_enabled"):
            self.note(Entity.EXPERIMENT, "server", "only one workspace is read; name another by ?workspace= in the URL")
        if info.get("store_type") == "mltrail":
            return f"mltrail (speaks MLflow {text})"
        return f"MLflow {text}" if text else "MLflow, from before 2.0"

    def listed(
        self,
        ask: Callable[[str, int], Fetched],
        decode: Callable[[Json], Record],
        entity: Entity,
        owner: str,
        sizes: Sequence[int] = (100, 10, 1),
        announced: int | None = None,
    ) -> Iterator[Record]:
        """Read a list to its end. `ask` takes a page token and how many items a page may have at most: fewer are asked
        for where a page can't be read. What can't be read at all is a finding of `owner`. Raises LostError only if the
        server does not know the call.
        """
        left = list(sizes)

        def fetch(token: str) -> Fetched:
            while True:
                try:
                    return ask(token, left[0])
                except LostError as error:
                    if not error.passing or len(left) == 1:
                        raise
                    left.pop(0)

        try:
            for found in pages(fetch, entity.value, announced=announced):
                yield from self.decoded(found, decode, entity, owner)
        except LostError as error:
            if is_absent(error):
                raise
            self.lost(entity, owner, f"its list of {entity.value} is not complete", error)

    def decoded(
        self, found: Iterable[Json], decode: Callable[[Json], Record], entity: Entity, owner: str
    ) -> Iterator[Record]:
        for one in found:
            try:
                record = decode(one)
            except (KeyError, TypeError, ValueError, AttributeError, StopIteration):
                text = f"one of its {entity.value} has fields that mltrail can't read: {_named(one)}"
                self.findings.add(Loss.MISSING, entity, owner, text)
            else:
                yield record

    @contextmanager
    def losing(self, entity: Entity, owner: str, text: str) -> Iterator[None]:
        """Turn a loss into a finding: what could not be read, and why."""
        try:
            yield
        except LostError as error:
            self.lost(entity, owner, text, error)

    def lost(self, entity: Entity, owner: str, text: str, error: MltrailError) -> None:
        self.findings.add(Loss.MISSING, entity, owner, f"{text}: {error.message}")

    def lacks(self, entity: Entity) -> None:
        """Note, once, that the server does not know what these are."""
        self.note(entity, "server", f"this server has no {entity.value}, or does not show them")

    def note(self, entity: Entity, owner: str, text: str) -> None:
        if text not in self._noted:
            self._noted.add(text)
            self.findings.add(Loss.NOTE, entity, owner, text)

    def _version_text(self) -> str:
        """Ask for the version, which servers since 2.0 return as plain text."""
        try:
            text = self.rest.text("version")
        except LostError as error:
            if error.passing:
                raise
            return ""
        return text if _VERSION.fullmatch(text) else ""

    def _info(self) -> dict[str, Any]:
        """Ask for what servers since 3.10 say about themselves."""
        if self.version < (3,):
            return {}
        try:
            return self.rest.get(f"{API_3}/server-info")
        except LostError:
            return {}

    def _elsewhere(self) -> str:
        return (
            f"There is no MLflow API at {self.rest.url}. Give the URL that MLFLOW_TRACKING_URI has: for a server below "
            "a path with that path, for a project in another mltrail up to …/api/v4/projects/ID/ml/mlflow."
        )


def _named(one: Json) -> str:
    """Say which it is, as far as that can be told."""
    inner = one.get("info", one)
    names = ("run_id", "model_id", "trace_id", "request_id", "dataset_id", "experiment_id", "name")
    found = next((inner[name] for name in names if inner.get(name)), "it has no ID")
    return str(found)[:200]
