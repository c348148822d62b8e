"""Write what was asked for; folders are made."""

import os
from pathlib import Path

from mltrail_ci.errors import usage


def write(path: str | None, text: str, *, secret: bool = False) -> None:
    """Do nothing where no path was given. What is secret can be read by its owner only."""
    if not path:
        return
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if secret:
            target.unlink(missing_ok=True)  # an older one may be open to others
            with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
        else:
            target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise usage(f"Can't write {path}: {error.strerror}.") from error
