"""Artifact paths: whatever a client sends, it stays in its owner's folder or is refused."""

from dataclasses import dataclass
from urllib.parse import unquote

from .errors import MltrailError, invalid
from .ids import is_eid

MAX_LENGTH = 1024
_MAX_ROUNDS = 10
_PROMOTIONS = "promotions"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose folder a path is in: a candidate's, a logged model's, or a promotion's, whose files never change."""

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


def clean(path: str) -> str:
    """Answer a relative path with plain segments; a slash at the end is taken off. "" is the folder itself.

    Escapes are undone until none is left, so that no spelling of `..` passes. Raises INVALID.
    """
    plain = path
    for _ in range(_MAX_ROUNDS):
        again = unquote(plain)
        if again == plain:
            break
        plain = again
    else:
        raise _bad(path, "it is escaped too often")
    if len(plain) > MAX_LENGTH:
        raise _bad(path, f"it is longer than {MAX_LENGTH} characters")
    if any(ord(character) < 32 or character in "\\#\x7f" for character in plain):
        raise _bad(path, "it holds a backslash, a '#' or a control character")
    if not plain.isprintable() and any(0xD800 <= ord(character) < 0xE000 for character in plain):
        raise _bad(path, "it is not valid Unicode")
    plain = plain.removesuffix("/")
    if not plain:
        return ""
    if any(part in ("", ".", "..") for part in plain.split("/")):
        raise _bad(path, "its parts must be names, not empty, '.' or '..'")
    return plain


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
    raise invalid(
        f"Invalid path: '{path[:80]}' is in no run's or logged model's folder. "
        "Use the artifact_uri that the server gave."
    )


def of_promotion(pipeline_id: int, candidate_iid: int) -> Owner:
    return Owner(promotion=f"{pipeline_id}-{candidate_iid}")


def join(folder: str, path: str) -> str:
    return f"{folder}/{path}" if path else folder


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _bad(path: str, why: str) -> MltrailError:
    return invalid(f"Invalid path: {path[:80]!r}: {why}.")
