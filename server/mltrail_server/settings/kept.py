"""Secrets that are made at the first start and kept in the data folder."""

import os
import secrets
from contextlib import suppress
from pathlib import Path


def kept(path: Path) -> str:
    """Read a secret, or make it. Of several processes that ask at once, all get the same."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(24) + "\n")
    with suppress(FileExistsError):  # of several processes that start at once, one is first
        os.link(made, path)
    made.unlink()
    return path.read_text().strip()
