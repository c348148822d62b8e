"""The servers that are compared, each in the best configuration that we found for it.

`mlflow server` and FastTrackML come from PyPI into environments of their own, see `environments.py`.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from tests.fakes.gitlab import FakeGitLab

PROJECT = "team/churn"
MLTRAIL = Path(sys.executable).parent / "mltrail-server"
_PROCESSOR_CLOCK = 2
"""Together with a process ID, this identifies the clock of its processor time on Linux: see clock_getcpuclockid(3)."""
_LOCAL_TOKEN = "token-of-the-benchmarks"  # noqa: S105 - opens nothing else


class Base(ABC):
    """A server on a database: started, called, measured, stopped."""

    kind: ClassVar[str]
    prefix = "/api/2.0/mlflow/"
    files: ClassVar[str] = ""
    probe: ClassVar[str] = "experiments/get?experiment_id=0"

    def __init__(self, folder: Path, *, database_url: str = "", workers: int = 2) -> None:
        """`workers` are web processes, for servers that have several."""
        self.folder = folder
        self.database_url = database_url
        self.workers = workers
        self.port = free_port()
        self.headers: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.start_seconds = 0.0

    @property
    def name(self) -> str:
        return f"{self.kind}-{'pg' if self.database_url else 'sq'}"

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    @abstractmethod
    def sqlite_file(self) -> Path: ...

    @abstractmethod
    def command(self) -> list[str]: ...

    def environment(self) -> dict[str, str]:
        return {}

    def whole_environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHONPATH") if name in os.environ}
        return kept | self.environment()

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        environment = self.whole_environment()
        begun = time.perf_counter()
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command(), env=environment, cwd=self.folder, stdout=log, stderr=log)
        while not self._answers():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.005)
        self.start_seconds = time.perf_counter() - begun

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=60)
            self.process = None

    def restart(self) -> None:
        """Stop and start, also after it has ended by itself."""
        self.stop()
        self.start()

    @property
    def lives(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def processes(self) -> list[int]:
        return processes_below(self.process.pid) if self.process else []

    def memory(self) -> float:
        """Measure the memory of the server's processes: their own, and their share of what is shared (PSS), in MB."""
        return sum(_pss(pid) for pid in self.processes) / 1024

    def processor_seconds(self) -> float:
        """Measure the processor time of the server's processes so far, by the kernel's count of nanoseconds."""
        return sum(processor_seconds(pid) for pid in self.processes)

    def _answers(self) -> bool:
        url = f"http://127.0.0.1:{self.port}{self.prefix}{self.probe}"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=self.headers), timeout=5):
                return True
        except urllib.error.HTTPError as error:
            return error.code == 404
        except OSError:
            return False


class Mltrail(Base):
    """Web processes and the worker, with a GitLab's ID tokens and the project in the URL."""

    kind = "mltrail"
    prefix = "/api/v4/projects/team%2Fchurn/ml/mlflow/api/2.0/mlflow/"
    files = "/api/v4/projects/team%2Fchurn/ml/mlflow/api/2.0/mlflow-artifacts/artifacts/"
    gitlab: FakeGitLab | None = None

    def start(self) -> None:
        if self.gitlab is None:
            self.found_gitlab()
        super().start()

    def stop(self) -> None:
        super().stop()
        if self.gitlab is not None:
            self.gitlab.stop()
            self.gitlab = None

    def restart(self) -> None:
        super().stop()
        super().start()

    def found_gitlab(self) -> None:
        """Start a GitLab with the project, a user, a bot and a job that has a token."""
        self.gitlab = FakeGitLab()
        self.gitlab.start()
        user, bot = self.gitlab.add_user("dana"), self.gitlab.add_user("mltrail-bot")
        project = self.gitlab.add_project(PROJECT, id=1)
        self.gitlab.add_member(project, user, 30)
        self.gitlab.add_member(project, bot, 20)
        self.bot_token = self.gitlab.add_token(bot, ["api"])
        pipeline = self.gitlab.add_pipeline(project, "a1" * 20, "main", "push")
        job = self.gitlab.add_job(pipeline, "train", "train", user, "running")
        token = self.gitlab.mint(job, f"http://127.0.0.1:{self.port}", exp=int(time.time()) + 86_400)
        self.headers = {"Authorization": f"Bearer {token}"}

    @property
    def sqlite_file(self) -> Path:
        return self.folder / "data" / "mltrail.db"

    def command(self) -> list[str]:
        return [str(MLTRAIL), "serve", "--port", str(self.port), "--workers", str(self.workers)]

    def environment(self) -> dict[str, str]:
        given = {
            "MLTRAIL_GITLAB_URL": self.gitlab.url if self.gitlab else "",
            "MLTRAIL_DATA_DIR": str(self.folder / "data"),
            "MLTRAIL_EXTERNAL_URL": f"http://127.0.0.1:{self.port}",
            "MLTRAIL_GITLAB_TOKEN": self.bot_token,
        }
        return given | ({"MLTRAIL_DATABASE_URL": self.database_url} if self.database_url else {})


class LocalMltrail(Mltrail):
    """Local mode: one user, one token, no GitLab and no worker; only on SQLite."""

    prefix = "/api/v4/projects/1/ml/mlflow/api/2.0/mlflow/"
    files = "/api/v4/projects/1/ml/mlflow/api/2.0/mlflow-artifacts/artifacts/"

    def found_gitlab(self) -> None:
        self.headers = {"Authorization": f"Bearer {_LOCAL_TOKEN}"}

    def environment(self) -> dict[str, str]:
        return {"MLTRAIL_DATA_DIR": str(self.folder / "data"), "MLTRAIL_LOCAL_TOKEN": _LOCAL_TOKEN}


class Mlflow(Base):
    """gunicorn with two processes of eight threads was the best that we found; the job runner only costs."""

    kind = "mlflow"
    files = "/api/2.0/mlflow-artifacts/artifacts/"
    python: ClassVar[Path]
    path: ClassVar[str] = ""
    """Where further packages are."""

    @property
    def sqlite_file(self) -> Path:
        return self.folder / "ml.db"

    def command(self) -> list[str]:
        store = self.database_url.replace("postgresql:", "postgresql+psycopg:") or f"sqlite:///{self.folder}/ml.db"
        return [
            str(self.python.parent / "mlflow"),
            *("server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", str(self.workers)),
            *("--gunicorn-opts", "--threads 8 --log-level warning"),
            *("--backend-store-uri", store),
            *("--serve-artifacts", "--artifacts-destination", str(self.folder / "files")),
        ]

    def environment(self) -> dict[str, str]:
        path = f"{self.python.parent}:{os.environ['PATH']}"
        given = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true"}
        return given | ({"PYTHONPATH": self.path} if self.path else {})


class TracedMlflow(Mlflow):
    """Spans come to MLflow's FastAPI application, which gunicorn's options would turn off."""

    def command(self) -> list[str]:
        given = super().command()
        place = given.index("--gunicorn-opts")
        return given[:place] + given[place + 2 :]


class FastTrackML(Base):
    kind = "fasttrackml"
    binary: ClassVar[Path]

    @property
    def sqlite_file(self) -> Path:
        return self.folder / "fml.db"

    def command(self) -> list[str]:
        store = self.database_url.replace("postgresql:", "postgres:") or "sqlite://fml.db"
        address = f"127.0.0.1:{self.port}"
        root = str(self.folder / "files")
        return [str(self.binary), "server", "-a", address, "-l", "error", "-d", store, "--default-artifact-root", root]


class Bare(Base):
    """Answers without doing anything, see `bare.py`."""

    kind = "bare"
    prefix = "/"
    probe = "1"

    @property
    def sqlite_file(self) -> Path:
        raise NotImplementedError

    def command(self) -> list[str]:
        return [sys.executable, "-m", "benchmarks.peers.bare", str(self.port), str(self.workers)]

    def environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(Path(__file__).parents[2])}

    @staticmethod
    def like(call: bytes, length: int) -> bytes:
        """Return a call with the headers and the body of another server's, which is answered with `length` bytes."""
        method, _path, rest = call.split(b" ", 2)
        return b"%s /%d %s" % (method, length, rest)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def processes_below(pid: int) -> list[int]:
    """List a process and those that it and they have started."""
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in _read(children).split():
            found += processes_below(int(child))
    return found


def processor_seconds(pid: int) -> float:
    """Measure the processor time of a process, including threads that have ended; 0 if the process itself has ended."""
    try:
        return time.clock_gettime(~pid << 3 | _PROCESSOR_CLOCK)
    except OSError:
        return 0.0


def _pss(pid: int) -> int:
    lines = _read(Path(f"/proc/{pid}/smaps_rollup")).splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def _read(path: Path) -> str:
    """Read what the kernel says of a process or thread, which may have ended meanwhile."""
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
