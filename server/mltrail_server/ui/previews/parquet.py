"""The head of a Parquet file, read by a program of its own: what unpacks hostile bytes may take too much, or die."""

import json
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from mltrail_server.services.context.deps import Scope
from mltrail_server.store.files.files import File

from . import tables
from .preview import FilePreview

_READER = Path(__file__).with_name("parquet_reader.py")
_MOST_BYTES = 100_000_000
_MOST_SECONDS = 10
_MISSING = "Parquet can't be shown: pyarrow is not installed on this server. Its operator can add the extra `parquet`."


def shown(scope: Scope, file: File) -> FilePreview:
    if find_spec("pyarrow") is None:
        return FilePreview("none", remark=_MISSING, size=file.size)
    if file.size > _MOST_BYTES:
        return FilePreview("none", remark="This Parquet file is too large to show.", size=file.size)
    with tempfile.TemporaryFile() as copy:
        for chunk in scope.deps.files.get(scope.project_id, file.blob_id, length=file.size):
            copy.write(chunk)
        copy.flush()
        return of_answer(read(copy.fileno(), sys.executable), file.size)


def read(descriptor: int, python: str) -> bytes:
    """Run the reader on an open file, and return what it printed; empty if it failed or took too long."""
    command = [python, "-I", str(_READER), str(tables.MOST_ROWS), str(tables.MOST_COLUMNS)]
    try:
        done = subprocess.run(  # noqa: S603 - our own program, which gets the file and no more
            command, stdin=descriptor, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=_MOST_SECONDS,
            env={"ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1"}, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return b""
    return done.stdout if done.returncode == 0 else b""


def of_answer(answer: bytes, size: int) -> FilePreview:
    try:
        found = json.loads(answer)
    except ValueError:
        return FilePreview("none", remark="This Parquet file can't be read here.", size=size)
    rows = [found["columns"], *([tables.cell(one) for one in row] for row in found["rows"])]
    return tables.of_rows(rows, total=found["total"], source=False)
