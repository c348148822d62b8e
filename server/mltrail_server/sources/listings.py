"""Folders as servers list them. A file's path has plain names only, whatever a server says."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from mltrail_server.domain.transfer import Entity, Findings, Loss

from .http import LostError
from .reading import Json, whole

_DEEPEST = 100

Listing = Callable[[str], Iterable[list[Json]]]
"""Lists a folder, page by page. Takes its path below the top folder: "" or one that ends in a slash."""


class Entry(NamedTuple):
    """A file or folder in a list. `path` is the server's own; `size` is in bytes, None if the server leaves it out."""

    path: str
    is_folder: bool
    size: int | None


def has_plain_names(path: str) -> bool:
    """Whether each part of a path is a name: none is empty, `.` or `..`."""
    return not {"", ".", ".."} & set(path.split("/"))


def refuse(path: str, owner: str, findings: Findings) -> None:
    """Report a file or folder of `owner` whose path does not have plain names, so that it is not read."""
    text = f"file {path!r}: a part of its path is empty, '.' or '..': rename it and import again"
    findings.add(Loss.REFUSED, Entity.FILE, owner, text)


def entries(page: Iterable[Json]) -> list[Entry]:
    """Read what MLflow calls `FileInfo`, and sort it by path. Raises LostError if it is something else.

    https://mlflow.org/docs/latest/rest-api.html#fileinfo
    """
    try:
        found = [Entry(str(one["path"]), bool(one.get("is_dir")), whole(one.get("file_size"))) for one in page]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LostError("The server returned a list of files that can't be read.") from error
    return sorted(found, key=lambda one: one.path)


def files_below(listing: Listing, owner: str, findings: Findings, folder: str = "") -> Iterator[tuple[str, int | None]]:
    """Return the path of each file below a folder, and its size in bytes if the server knows it.

    Of the paths that the server returns only the last part counts; one without plain names becomes a finding of
    `owner`. Raises LostError if folders lie too deep, as they do if one contains itself.
    """
    if folder.count("/") > _DEEPEST:
        raise LostError(f"the folders in {folder[:80]}… have no end")
    for page in listing(folder):
        for one in entries(page):
            said = one.path.rstrip("/")
            path = f"{folder}{said.rpartition('/')[2]}"
            if not has_plain_names(said):
                refuse(f"{folder}{one.path}", owner, findings)
            elif one.is_folder:
                yield from files_below(listing, owner, findings, f"{path}/")
            else:
                yield path, one.size
