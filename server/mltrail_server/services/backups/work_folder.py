"""A temporary folder for a backup. It is removed at the end, even after a kill (by the next backup).

It holds a copy of the database, so only its owner can read it.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "mltrail-work-"
_LOCK = "lock"


@contextmanager
def work_folder(place: Path) -> Iterator[Path]:
    """Make a folder below `place`, and remove those of processes that were killed."""
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in place.glob(f"{_PREFIX}*"):
        _remove_if_left(folder)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    held = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _remove_if_left(folder: Path) -> None:
    try:
        opened = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return  # it is being made, or removed
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass  # another process is using it
    finally:
        os.close(opened)
