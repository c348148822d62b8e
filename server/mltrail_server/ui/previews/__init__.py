"""Show users' files without trusting them: text, tables and trees are escaped, no script in a picture runs, and HTML is
shown in a frame that has an origin of its own (docs/decisions/0051-previews.md).

Whatever a file is, a preview reads and writes no more than it is allowed to.
"""

from collections.abc import Callable
from pathlib import PurePosixPath

from mltrail_server.services.context.deps import Scope
from mltrail_server.store.files.files import File

from . import json_tree, notebook, parquet, pictures, tables, texts
from .pictures import picture
from .preview import FilePreview, Pictures
from .served import around, framed

__all__ = ["FilePreview", "Pictures", "around", "framed", "of", "picture"]

_FRAMES = {".html": "html", ".htm": "html", ".pdf": "pdf"}
_SOUNDS = (".wav", ".mp3", ".ogg", ".flac", ".m4a")
_WHOLE: dict[str, Callable[[str], FilePreview | None]] = {".json": json_tree.shown, ".ipynb": notebook.shown}
_MOST_WHOLE = {".json": json_tree.MOST_BYTES, ".ipynb": notebook.MOST_BYTES}
"""Larger files are shown as text, from their beginning."""
_BEGUN: dict[str, Callable[[str], FilePreview | None]] = {
    ".csv": tables.comma_separated,
    ".tsv": tables.tab_separated,
    ".jsonl": tables.json_lines,
    ".md": texts.markdown,
    ".markdown": texts.markdown,
}


def of(scope: Scope, file: File, *, plain: bool = False) -> FilePreview:
    """Decide how to show a file, and read what that takes. `plain` asks for its text instead of what it means."""
    suffix = PurePosixPath(file.path.lower()).suffix
    special = None if plain else _special(scope, file, suffix)
    if special is not None:
        return special
    text = texts.beginning(scope, file)
    if text is None:
        return FilePreview("none", size=file.size)
    return texts.lined(text, source=suffix in _FRAMES or suffix in _WHOLE or suffix in _BEGUN or suffix == ".svg")


def _special(scope: Scope, file: File, suffix: str) -> FilePreview | None:
    if pictures.kind(scope, file) is not None:
        return FilePreview("picture", size=file.size, source=suffix == ".svg")
    if suffix in _FRAMES:
        return _framed(scope, file, suffix)
    if suffix in _SOUNDS:
        return FilePreview("sound", size=file.size)
    if suffix == ".parquet":
        return parquet.shown(scope, file)
    return _read(scope, file, suffix)


def _read(scope: Scope, file: File, suffix: str) -> FilePreview | None:
    """Show what a text means; None if it can't be read as that."""
    if suffix in _WHOLE and file.size <= _MOST_WHOLE[suffix]:
        begun, reader = texts.beginning(scope, file, most=file.size), _WHOLE[suffix]
    elif suffix in _BEGUN:
        begun, reader = texts.beginning(scope, file), _BEGUN[suffix]
    else:
        return None
    shown = None if begun is None else reader(begun.text)
    return shown.with_cut(cut=begun.cut) if shown is not None and begun is not None else None


def _framed(scope: Scope, file: File, suffix: str) -> FilePreview | None:
    if suffix == ".pdf":
        return FilePreview("pdf", size=file.size) if texts.begins_with(scope, file, b"%PDF-") else None
    begun = texts.beginning(scope, file)
    if begun is None:
        return None
    return FilePreview("html", scripts=begun.cut or "<script" in begun.text.lower(), source=True, size=file.size)
