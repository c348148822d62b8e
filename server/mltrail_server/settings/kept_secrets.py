"""Secrets that are made at the first start and kept in the data folder."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from mltrail_server.domain.errors import Code, MltrailError


def kept_secret(path: Path) -> str:
    """Read a secret, or make it. Of several processes that ask at once, all get the same.

    Raises INVALID for a file that holds none: with an empty secret anybody could sign what we sign.
    """
    try:
        return _read(path)
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(24) + "\n")
    with suppress(FileExistsError):  # of several processes that start at once, one is first
        os.link(made, path)
    made.unlink()
    return _read(path)


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        text = ""
    if not text or not (text.isascii() and text.isprintable()):
        raise MltrailError(Code.INVALID, f"{path} holds no usable secret; remove the file, and a new one is made.")
    return text
