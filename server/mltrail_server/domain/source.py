"""Where a model version's files are said to be. Places outside of the project are refused unread."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from . import paths, semver
from .errors import MltrailError, invalid
from .ids import is_eid

_VERSION = re.compile(r"(?P<name>[^/]+)/(?P<version>[^/]+)")
_ALIASED = re.compile(r"(?P<name>[^/]+)@(?P<alias>[^/@]+)")
_LOGGED_MODEL = re.compile(r"m-[\w-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Nowhere:
    """No files are named."""


@dataclass(frozen=True, slots=True)
class OfRun:
    """A folder in a candidate's files. The experiment is None where the source does not name one."""

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


Source = Nowhere | OfRun | OfLoggedModel | OfVersion


def parse(source: str) -> Source:
    """Read a version's source. Raises INVALID for every place that is not in the project itself.

    An empty source and a semantic version, which GitLab's documented calls send there, name no files.
    """
    if not source or semver.read(source) is not None:
        return Nowhere()
    scheme, colon, rest = source.partition(":")
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
    # Begun as MLflow begins them: its tests, and others', look for these words.
    if not colon or scheme == "file":
        why = "To use a local path as a model version source, log its files to a run first."
    else:
        why = (
            "If supplying a source as an http, https, ftp, object store or mlflow-artifacts uri, it must lie in a "
            "run's or logged model's folder of this project, without '..'; log files that lie elsewhere to a run first."
        )
    return invalid(
        f"Invalid model version source: '{source[:200]}'. {why} Use runs:/<run id>/<path>, models:/<name>/<version>, "
        "models:/m-<id> or the run's artifact URI."
    )
