"""The folder in which the processes of one server count together."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


@contextmanager
def shared_metrics_folder() -> Iterator[None]:
    """Give this process and all that it starts one folder for their numbers.

    To be entered before prometheus_client is loaded: it looks for the folder once.
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
