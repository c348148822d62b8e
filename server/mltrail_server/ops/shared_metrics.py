"""The folder in which the processes of one server share their metrics."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


@contextmanager
def shared_metrics_folder() -> Iterator[None]:
    """Give this process, and all that it starts, one folder for their metrics.

    Enter this before prometheus_client is imported, which looks for the folder only then.
    """
    if os.environ.get(FOLDER_VARIABLE):
        yield
        return
    folder = os.environ[FOLDER_VARIABLE] = tempfile.mkdtemp(prefix="mltrail-metrics-")
    try:
        yield
    finally:
        del os.environ[FOLDER_VARIABLE]
        shutil.rmtree(folder, ignore_errors=True)
