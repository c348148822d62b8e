"""Secrets that are generated at the first start and kept in the data folder."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from mltrail_server.domain.errors import Code, MltrailError

SECRET_KEY = "secret-key"  # noqa: S105 - the name of its file
LOCAL_TOKEN = "local-token"  # noqa: S105 - the same


def existing(folder: Path) -> dict[str, str]:
    """Read the secrets that are kept in a data folder, by their file's name; none is generated."""
    return {name: _read(folder / name) for name in (SECRET_KEY, LOCAL_TOKEN) if (folder / name).is_file()}


def bring_back(folder: Path, name: str, secret: str) -> bool:
    """Keep a secret from elsewhere, unless there is one already. Returns whether it is kept now."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secret if secret.endswith("\n") else secret + "\n")
    except FileExistsError:
        return False
    return True


def kept_secret(path: Path) -> str:
    """Read a secret, or generate it. Processes that start at the same time all get the same one.

    Raises INVALID for a file without one: with an empty secret, anybody could sign what we sign.
    """
    try:
        return _read(path)
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(24) + "\n")
    with suppress(FileExistsError):  # another process that started at the same time was faster
        os.link(made, path)
    made.unlink()
    return _read(path)


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        text = ""
    if not text or not (text.isascii() and text.isprintable()):
        raise MltrailError(
            Code.INVALID, f"{path} contains no usable secret; remove the file to have a new one generated."
        )
    return text
