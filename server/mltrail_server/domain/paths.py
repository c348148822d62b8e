"""Artifact paths: whatever a client sends stays in its owner's folder, or is refused."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from .errors import MltrailError, invalid
from .ids import is_eid
from .reasons import Reason

MAX_BYTES = 2000
"""In UTF-8. PostgreSQL indexes no more than 2,700."""

_MAX_ROUNDS = 10
_REFUSED = re.compile(r"[\x00-\x1f\\#\x7f]")
_NO_TEXT = re.compile("[\ufffd\ud800-\udfff]")
_PROMOTIONS = "promotions"
_BESIDE = "beside"
_TRACES = "traces"


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of a folder: a candidate, a logged model, or a promotion, whose files never change."""

    experiment_iid: int = 0
    eid: str | None = None
    logged_model_id: str | None = None
    promotion: str | None = None

    @property
    def folder(self) -> str:
        if self.promotion is not None:
            return f"{_PROMOTIONS}/{self.promotion}/artifacts"
        if self.logged_model_id is not None:
            return f"{self.experiment_iid}/models/{self.logged_model_id}/artifacts"
        return f"{self.experiment_iid}/{self.eid}/artifacts"

    def folder_in(self, snapshot_iid: int | None) -> str:
        """Return the folder with the files as they were when a candidate's snapshot was taken; None is no snapshot."""
        if snapshot_iid is None:
            return self.folder
        return f"{beside(snapshot_iid)}/" + (f"models/{self.logged_model_id}" if self.logged_model_id else "artifacts")


def clean(path: str) -> str:
    """Return a relative path with plain segments; "" is the folder itself. Removes a trailing slash and each `.`.

    The path stays as HTTP delivered it, but it must also be valid however often it is unescaped, so that no spelling of
    `..` passes. (Older clients name images `step%0%timestamp%17…`, which must not be unescaped.) Raises INVALID.
    """
    if _REFUSED.search(path):
        raise _bad(path, "it contains a backslash, a '#' or a control character")
    if _NO_TEXT.search(path):
        raise _bad(path, "it is not valid Unicode")
    if len(path.encode()) > MAX_BYTES:
        raise _bad(path, f"it is longer than {MAX_BYTES} bytes")
    plain = "/".join(part for part in path.removesuffix("/").split("/") if part != ".")
    if not plain:
        return ""
    spelt = plain
    for _ in range(_MAX_ROUNDS):
        parts = spelt.replace("\\", "/").split("/")
        if ".." in parts:
            raise invalid("Invalid path")  # exactly MLflow's words: programs compare them
        if any(_is_not_a_name(part) for part in parts):
            raise _bad(path, "its parts must be names, not empty, '..' or a drive")
        again = unquote(spelt)
        if again == spelt:
            return plain
        spelt = again
    raise _bad(path, "it is escaped too often")


def _is_not_a_name(part: str) -> bool:
    """Also what is not a name on Windows, where the file may be downloaded: spaces are cut off, and `C:` is a drive."""
    return part.strip(" ") in ("", ".", "..") or (len(part) == 2 and part[0].isalpha() and part[1] == ":")


def owner_of(path: str) -> tuple[Owner, str]:
    """Split a clean path into its owner and the path inside the owner's folder.

    `<experiment>/<run>/artifacts/…`, `<experiment>/models/<logged model>/artifacts/…` or
    `promotions/<pipeline>-<candidate>/artifacts/…`; raises INVALID for others.
    """
    match path.split("/"):
        case ["promotions", promotion, "artifacts", *rest] if is_eid(promotion):
            return Owner(promotion=promotion), "/".join(rest)
        case [experiment, "models", model_id, "artifacts", *rest] if _is_number(experiment) and is_eid(model_id):
            return Owner(int(experiment), logged_model_id=model_id), "/".join(rest)
        case [experiment, eid, "artifacts", *rest] if _is_number(experiment) and is_eid(eid) and eid != "models":
            return Owner(int(experiment), eid=eid), "/".join(rest)
    raise invalid(Reason.PATH_IN_NO_FOLDER, path=path)


@dataclass(frozen=True, slots=True)
class TraceFile:
    """A file in the folder of a trace: MLflow's file with its spans, or an attachment of one."""

    experiment_iid: int
    trace_id: str
    name: str  # in the folder

    @property
    def folder(self) -> str:
        return f"{self.experiment_iid}/{_TRACES}/{self.trace_id}/artifacts"

    @property
    def path(self) -> str:
        return join(self.folder, self.name)


def trace_file_of(path: str) -> TraceFile | None:
    """Read a path `<experiment>/traces/<trace>/artifacts/…` as it came; None for any other. Raises INVALID."""
    if f"/{_TRACES}/" not in path:
        return None  # as nearly all, which need not be cleaned for this
    match clean(path).split("/"):
        case [experiment, "traces", trace_id, "artifacts", *rest] if _is_number(experiment):
            return TraceFile(int(experiment), trace_id, "/".join(rest))
    return None


def of_promotion(pipeline_id: int, candidate_iid: int) -> Owner:
    return Owner(promotion=f"{pipeline_id}-{candidate_iid}")


def beside(number: int) -> str:
    """Return the folder for files that are kept apart from a candidate's own; no client can name it."""
    return f"{_BESIDE}/{number}"


def join(folder: str, path: str) -> str:
    return f"{folder}/{path}" if path else folder


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _bad(path: str, why: str) -> MltrailError:
    return invalid(f"Invalid path: {path[:80]!r}: {why}.")
