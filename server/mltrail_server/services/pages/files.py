"""A tree of files as a page shows it: the folders above one path are open, each listed up to a limit."""

from collections.abc import Sequence
from dataclasses import dataclass

from mltrail_server.domain import paths
from mltrail_server.domain.errors import not_found
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files import files as store
from mltrail_server.store.files.files import File, FolderEntry
from mltrail_server.store.pages import files as pages_store

MOST_ENTRIES = 300
"""Of one folder on one page."""
_MOST_OPEN = 12
"""Folders in each other that are shown open: each costs a statement."""
_MOST_FOUND = 200
MOST_PICTURES = 20_000


@dataclass(frozen=True, slots=True)
class TreeLine:
    """A line of the tree. `size` is None for a folder. `more` is set on the line that stands for the rest of its
    folder, and leads to the next page of it.
    """

    depth: int
    name: str
    path: str
    size: int | None
    open: bool = False
    more: str = ""


@dataclass(frozen=True, slots=True)
class FileTree:
    """`is_file`: whether the path names a file. `found` is what was searched for instead of a tree."""

    path: str
    is_file: bool
    lines: Sequence[TreeLine]


def tree(scope: Scope, roots: Sequence[str], path: str, after: str | None = None) -> FileTree:
    """Open the folders down to a path, inside one or several root folders that count as one. `after` is the token of a
    page of the innermost folder. Raises NOT_FOUND for a path that there is not.
    """
    parts = path.split("/") if path else []
    lines: list[TreeLine] = []
    with scope.project.read() as tx:
        is_file = bool(path) and _get(tx, roots, path) is not None
        if path and not is_file and not any(store.is_folder(tx, f"{root}/{path}") for root in roots):
            raise not_found(f"There is no file '{path}' here.")
        folders = parts[:-1] if is_file else parts
        top = max(0, len(folders) - _MOST_OPEN)
        above = "/".join(folders[:top])
        if above:
            lines.append(TreeLine(0, "..", "/".join(folders[: top - 1]), None))
        innermost = len(folders) - top
        _open(tx, roots, lines, above, folders[top:], depth=0, last=innermost, after=after)
    if is_file and all(line.path != path for line in lines):
        lines.append(TreeLine(innermost, parts[-1], path, _size(scope, roots, path)))
    return FileTree(path, is_file, lines)


def find(scope: Scope, roots: Sequence[str], text: str) -> tuple[list[TreeLine], bool]:
    """List files whose path contains a text, and whether there are more."""
    with scope.project.read() as tx:
        found = pages_store.find(tx, roots, text, limit=_MOST_FOUND + 1)
    return [TreeLine(0, path, path, size) for path, size in found[:_MOST_FOUND]], len(found) > _MOST_FOUND


def pictures(scope: Scope, roots: Sequence[str]) -> list[str]:
    """List the paths of pictures, up to `MOST_PICTURES`."""
    with scope.project.read() as tx:
        found = pages_store.of_kinds(tx, roots, pages_store.PICTURES, limit=MOST_PICTURES)
    return [path for path, _ in found]


def get(scope: Scope, roots: Sequence[str], path: str) -> File:
    """Return a file by its path inside the roots; the first of them that has it counts. Raises NOT_FOUND."""
    cleaned = paths.clean(path)
    with scope.project.read() as tx:
        file = _get(tx, roots, cleaned)
    if file is None:
        raise not_found(f"There is no file '{path}' here.")
    return file


def _get(tx: Transaction, roots: Sequence[str], path: str) -> File | None:
    return next((file for root in roots if (file := store.get(tx, f"{root}/{path}")) is not None), None)


def _size(scope: Scope, roots: Sequence[str], path: str) -> int:
    return get(scope, roots, path).size


def _open(  # noqa: PLR0913 - a step of a walk, with all of its state
    tx: Transaction,
    roots: Sequence[str],
    lines: list[TreeLine],
    folder: str,
    inside: Sequence[str],
    *,
    depth: int,
    last: int,
    after: str | None,
) -> None:
    """Add the lines of a folder, and below the one that is on the way those of the next."""
    entries, token = _entries(tx, roots, folder, after if depth == last else None)
    opened = inside[0] if inside else None
    if opened is not None and all(one.name != opened for one in entries):
        entries.append(FolderEntry(opened, None))
    for one in entries:
        path = f"{folder}/{one.name}" if folder else one.name
        is_open = one.size is None and one.name == opened
        lines.append(TreeLine(depth, one.name, path, one.size, open=is_open))
        if is_open:
            _open(tx, roots, lines, path, inside[1:], depth=depth + 1, last=last, after=after)
    if token is not None:
        lines.append(TreeLine(depth, "", folder, None, more=token))


def _entries(
    tx: Transaction, roots: Sequence[str], folder: str, after: str | None
) -> tuple[list[FolderEntry], str | None]:
    """List a page of a folder: folders first. What others have logged to a run is few, and on the first page."""
    own, token = store.folder_page(tx, paths.join(roots[0], folder), token=after, size=MOST_ENTRIES)
    known = {one.name for one in own}
    for root in roots[1:] if after is None else ():
        added, _ = store.folder_page(tx, paths.join(root, folder), token=None, size=MOST_ENTRIES)
        own += [one for one in added if one.name not in known]
    return sorted(own, key=lambda one: (one.size is not None, _natural(one.name))), token


def _natural(name: str) -> tuple[object, ...]:
    """Order names so that step_9 comes before step_10."""
    parts: list[object] = []
    digits = ""
    for letter in name:
        if letter.isascii() and letter.isdigit():
            digits += letter
        else:
            if digits:
                parts += [(0, int(digits[:18]), "")]
                digits = ""
            parts += [(1, 0, letter)]
    if digits:
        parts += [(0, int(digits[:18]), "")]
    return tuple(parts)
