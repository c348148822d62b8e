"""The declared source of a model version's files: in the project, or in a place that only clients read."""

import re
from dataclasses import dataclass
from urllib.parse import unquote, unquote_plus, urlsplit

from . import paths, semver
from .errors import MltrailError, invalid
from .ids import is_eid

_OURS = frozenset({"runs", "models", "mlflow-artifacts"})
_SCHEME = re.compile(r"\s*(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):")
_NEVER = frozenset({"javascript", "vbscript", "data", "blob", "about", "view-source"})
_TOKEN_GOES_THERE = frozenset({"http", "https"})
_NO_TEXT = re.compile("[\x00-\x1f\x7f\ufffd\ud800-\udfff]")
_MOST_ROUNDS = 10
_LOGIN = re.compile(r"//[^/@]*:[^/]*@")
_SECRET = re.compile(
    r"[?&;](?:[\w.-]*(?:signature|token|secret|password|credential|api_?key|access_?key)[\w.-]*|sig)=", re.IGNORECASE
)
"""A shared access signature of Azure, a presigned URL of S3, and the like."""
_RELATIVE = (
    "If supplying a source as an http, https, local file path, ftp, objectstore, or mlflow-artifacts uri, an absolute "
    "path must be provided without relative path references present. Please provide an absolute path."
)
"""Exactly MLflow's words: its tests, and others', look for them."""

_VERSION = re.compile(r"(?P<name>[^/]+)/(?P<version>[^/]+)")
_ALIASED = re.compile(r"(?P<name>[^/]+)@(?P<alias>[^/@]+)")
_LOGGED_MODEL = re.compile(r"m-[\w-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Nowhere:
    """No files are named."""


@dataclass(frozen=True, slots=True)
class OfRun:
    """A folder in a candidate's files. The experiment is None if the source does not name one."""

    eid: str
    path: str
    experiment_iid: int | None = None


@dataclass(frozen=True, slots=True)
class OfLoggedModel:
    model_id: str
    path: str = ""
    experiment_iid: int | None = None


@dataclass(frozen=True, slots=True)
class OfVersion:
    """Another version, named by number or semver, or by an alias."""

    model_name: str
    version: str | None
    alias: str | None


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A place such as `s3://bucket/model`, which clients read with their own credentials. This server
    never reads it.
    """

    uri: str


Source = Nowhere | OfRun | OfLoggedModel | OfVersion | Elsewhere


def parse(source: str) -> Source:
    """Read a version's source. Raises INVALID for what MLflow refuses, above all paths on the server's own machine.

    An empty source and a semantic version, which GitLab's documented calls send there, name no files.
    """
    if not source or semver.read(source) is not None:
        return Nowhere()
    _check_no_secret(source)
    scheme, colon, rest = source.partition(":")
    scheme = scheme.strip().lower()  # clients treat `RUNS:/…` as `runs:/…`
    if colon and scheme not in _OURS:
        return Elsewhere(checked_place(source))
    if not colon or not rest.startswith("/") or rest.startswith("//"):
        raise _refused(source)
    try:
        path = paths.clean(unquote(rest.removeprefix("/")))
        if scheme == "mlflow-artifacts":
            return _of_files(path)
    except MltrailError as error:
        raise _refused(source) from error
    found: Source | None = None
    if scheme == "runs":
        eid, _, inner = path.partition("/")
        found = OfRun(eid, inner) if is_eid(eid) else None
    elif scheme == "models":
        found = _of_model(path)
    if found is None:
        raise _refused(source)
    return found


def is_elsewhere(location: str) -> bool:
    """Whether a location is a place that only clients read, and not a folder of the project's own files."""
    return ":" in location.split("/", 1)[0]


def checked_place(uri: str) -> str:
    """Check, as MLflow does, a place that is only stored as text for clients. Raises INVALID."""
    _check_no_secret(uri)
    parts = _SCHEME.match(uri)
    scheme = parts["scheme"].lower() if parts else ""
    if not scheme or scheme == "file":
        raise _refused(uri)
    if scheme in _NEVER:
        raise _bad_place(uri, f"No files can be stored at '{scheme}:'.")
    if scheme in _TOKEN_GOES_THERE:
        raise _bad_place(uri, f"With '{scheme}:' MLflow's client would send its token to that host.")
    if _NO_TEXT.search(uri):
        raise _bad_place(uri, "It contains control characters, or is not valid Unicode.")
    spelt = _plain(uri)
    try:
        place = urlsplit(spelt)
    except ValueError as error:
        raise _bad_place(uri, "It is not a URI.") from error
    inner = re.sub("/+", "/", place.path.rstrip("/"))
    if not inner.startswith("/") or ".." in spelt.split("/") or {".", ".."} & set(inner.split("/")):
        raise _bad_place(uri, _RELATIVE)
    return uri


def _check_no_secret(uri: str) -> None:
    """Refuse a place that contains a password or a signature. This check comes first, since later errors show the
    place.

    Escaped ones are found too. Raises INVALID.
    """
    spelt = uri
    for _ in range(_MOST_ROUNDS):
        if _LOGIN.search(spelt) or _SECRET.search(spelt):
            raise _bad_place("…", "It contains a password or a key, which everybody who can see the version would see.")
        again = unquote(spelt)
        if again == spelt:
            break
        spelt = again


def _plain(uri: str) -> str:
    for _ in range(_MOST_ROUNDS):
        again = unquote_plus(uri)
        if again == uri:
            break
        uri = again
    if _NO_TEXT.search(uri):
        raise _bad_place(uri, _RELATIVE)
    return uri


def _bad_place(uri: str, why: str) -> MltrailError:
    return invalid(f"Invalid model version source: '{uri[:200]}'. {why}")


def _of_files(path: str) -> Source:
    owner, inner = paths.owner_of(path)
    if owner.logged_model_id is not None:
        return OfLoggedModel(owner.logged_model_id, inner, owner.experiment_iid)
    return OfRun(owner.eid or "", inner, owner.experiment_iid)


def _of_model(path: str) -> Source | None:
    if match := _VERSION.fullmatch(path):
        return OfVersion(match["name"], match["version"], None)
    if match := _ALIASED.fullmatch(path):
        return OfVersion(match["name"], None, match["alias"])
    return OfLoggedModel(path) if _LOGGED_MODEL.fullmatch(path) else None


def _refused(source: str) -> MltrailError:
    scheme, colon, _ = source.partition(":")
    # The beginning is MLflow's: its tests, and others', look for these words.
    if not colon or scheme == "file":
        why = "To use a local path as a model version source, log its files to a run first."
    else:
        why = (
            "If supplying a source as an http, https, ftp, object store or mlflow-artifacts uri, it must be in "
            "the folder of a run or logged model of this project, without '..'; log other files to a run first."
        )
    return invalid(
        f"Invalid model version source: '{source[:200]}'. {why} Use runs:/<run id>/<path>, models:/<name>/<version>, "
        "models:/m-<id> or the run's artifact URI."
    )
