"""Both servers with the same data: ours beside the stand-in for GitLab, and `mlflow server`, each with its pages."""

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.browser.server import Site, site
from tests.browser.world import Past
from tests.clock import DAY, FrozenClock

ROOT = Path(__file__).parents[2]
CLIENTS = ROOT / ".venv-clients/mlflow-3/bin"
DATA = Path(__file__).with_name("data.py")
_START_SECONDS = 180


@contextmanager
def both(folder: Path, now: int) -> Iterator[tuple[Site, str]]:
    """Serve both, filled with the same data up to `now`: our site, and the address of MLflow's."""
    theirs = folder / "mlflow"
    theirs.mkdir(parents=True)
    # In process, which takes a fraction of the time that its server takes.
    store = f"sqlite:///{theirs}/mlflow.db"
    given = [store, "--now", str(now), "--files", f"file://{theirs}/files"]
    filling = _start(given)
    with _ours(folder / "mltrail", now) as served:
        churn = folder / "churn.json"
        _log([_uri(served), "--read", str(churn)], served.team.tokens["developer"])
        if filling.wait():
            raise RuntimeError("filling MLflow's database failed")
        _log([*given, "--churn", str(churn)])
        with _mlflow(theirs, store) as url:
            yield served, url


@contextmanager
def _ours(folder: Path, now: int) -> Iterator[Site]:
    """A project with jobs, a model of three versions, a merge request that was merged, and the data of the tasks."""
    with site(folder, FrozenClock(now - 22 * DAY)) as served:
        past = Past(served)
        request = past.make()
        merged = past.gitlab.merge(past.project, request.iid)
        past.promote(past.gitlab.add_pipeline(past.project, merged, "main", "push"))
        served.clock.now = now
        _log([_uri(served), "--now", str(now)], served.team.tokens["developer"])
        yield served


@contextmanager
def _mlflow(folder: Path, store: str) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(CLIENTS / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", store, "--workers", "1"]
    environment = _environment() | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(process, f"{url}/health")
        yield url
    finally:
        process.terminate()
        process.wait(timeout=60)


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    ends = time.monotonic() + _START_SECONDS
    while time.monotonic() < ends and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own address
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("mlflow server did not start")


def _uri(served: Site) -> str:
    return f"{served.url}/api/v4/projects/42/ml/mlflow"


def _environment(token: str = "") -> dict[str, str]:
    return os.environ | {"MLFLOW_TRACKING_TOKEN": token, "MLFLOW_DISABLE_TELEMETRY": "true"}


def _start(given: Sequence[str], token: str = "") -> subprocess.Popen[bytes]:
    return subprocess.Popen([str(CLIENTS / "python"), str(DATA), *given], env=_environment(token))


def _log(given: Sequence[str], token: str = "") -> None:
    if _start(given, token).wait():
        raise RuntimeError(f"{DATA.name} failed")
