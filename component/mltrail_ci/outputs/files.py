"""Write the files that were asked for; missing folders are created."""

import os
from collections.abc import Iterable
from pathlib import Path

from mltrail_ci.errors import CommandError, usage
from mltrail_ci.redaction import hidden


def check(*paths: str | None) -> None:
    """Raise `CommandError` if a file can't be written, before anything is done that the file should report."""
    for path in filter(None, paths):
        try:
            target = Path(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            existed = target.exists()
            with target.open("a", encoding="utf-8"):
                pass
            if not existed:  # GitLab would take an empty file for a broken report
                target.unlink()
        except (OSError, ValueError) as error:
            raise _unwritable(path, error) from error


def write_all(texts: Iterable[tuple[str | None, str]]) -> list[CommandError]:
    """Write each file, and return what went wrong: if one can't be written, the others still are."""
    failures = []
    for path, text in texts:
        try:
            write(path, text)
        except CommandError as error:
            failures.append(error)
    return failures


def write(path: str | None, text: str, *, secret: bool = False) -> None:
    """Do nothing if no path is given. Secret files are readable by their owner only; others contain no credentials.

    Always UTF-8, whatever the locale; a lone surrogate, which UTF-8 can't encode, is written as an escape.
    """
    if not path:
        return
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if secret:
            target.unlink(missing_ok=True)  # an older file may be readable by others
            with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
        else:
            target.write_text(hidden(text), encoding="utf-8", errors="backslashreplace")
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from error


def _unwritable(path: str, error: OSError | ValueError) -> CommandError:
    reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
    return usage(f"Can't write {path}: {reason}.")
