"""A whole server as a team runs it: web processes and worker beside a GitLab, on either database."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any, Self

import urllib3

from tests.environment import without_settings
from tests.fakes.gitlab import FakeGitLab
from tests.processes import PATIENCE_SECONDS, free_port, status, wait_until

_LOOP_SECONDS = 6.0
"""granian takes a web process that dies sooner again for one that always will, and ends the server."""

COMMAND = Path(sys.executable).parent / "mltrail-server"


class TeamServer:
    """Made with an address that it keeps when it is started again. `variables` are further settings."""

    def __init__(
        self,
        folder: Path,
        *,
        database_url: str = "",
        project_id: int = 42,
        workers: int = 2,
        command: list[str] | None = None,
        **variables: str,
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.gitlab = FakeGitLab()
        self.project_id = project_id
        self.log = folder / "server.log"
        self.process: subprocess.Popen[bytes] | None = None
        command = command or [str(COMMAND), "serve", "--port", "{port}", "--workers", str(workers)]
        self._command = [part.format(port=self.port) for part in command]
        self.variables = variables | ({"MLTRAIL_DATABASE_URL": database_url} if database_url else {})

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.gitlab.start()
        project = self.gitlab.add_project("team/churn", id=self.project_id)
        bot = self.gitlab.add_user("bot")
        self.developer = self.gitlab.add_user("developer")
        for user in (self.developer, bot):
            self.gitlab.add_member(project, user, 30)
        sha = self.gitlab.add_commit(project, "a1" * 20, branch="main")
        pipeline = self.gitlab.add_pipeline(project, sha, "main", "push")
        self.job = self.gitlab.add_job(pipeline, "train", "train", self.developer, "running")
        self.bot_token = self.gitlab.add_token(bot, ["api"])
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process:
            self.stop()
        self.gitlab.stop()

    @property
    def tracking_uri(self) -> str:
        return f"{self.url}/api/v4/projects/{self.project_id}/ml/mlflow"

    def token(self) -> str:
        """The ID token of a job that is running."""
        return self.gitlab.mint(self.job, self.url)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._command, env=self.environment(), stdout=log, stderr=log)
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        wait_until(
            lambda: status(f"{self.url}/readyz") == 200, "the server is ready", process=self.process, log=self.log
        )

    def environment(self) -> dict[str, str]:
        settings = {
            "MLTRAIL_DATA_DIR": str(self.folder / "data"),
            "MLTRAIL_EXTERNAL_URL": self.url,
            "MLTRAIL_GITLAB_URL": self.gitlab.url,
            "MLTRAIL_GITLAB_TOKEN": self.bot_token,
        }
        return without_settings() | settings | self.variables

    def settle_elsewhere(self, folder: Path, database_url: str = "") -> None:
        """Have another data folder and database from the next start on, at the same address."""
        self.folder = folder
        self.variables.pop("MLTRAIL_DATABASE_URL", None)
        if database_url:
            self.variables["MLTRAIL_DATABASE_URL"] = database_url

    def stop(self, *, seconds: float = PATIENCE_SECONDS) -> None:
        """Ask it to leave, as systemd and Kubernetes do, and wait until it has."""
        assert self.process
        self.process.terminate()
        self.process.wait(timeout=seconds)
        self.process = None

    def processes(self, kind: str) -> list[int]:
        """The web processes (`web`), or the one that reconciles (`worker`)."""
        assert self.process
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")  # a thread starts the worker again
        children = [int(pid) for task in tasks for pid in _read(task).split()]
        return [pid for pid in children if _read(Path(f"/proc/{pid}/comm")).strip() == f"mltrail-{kind}"]

    def all_processes(self) -> list[int]:
        assert self.process
        return [self.process.pid, *self.processes("web"), *self.processes("worker")]

    def kill(self, kind: str) -> None:
        """End one process at once: the one that has lived longest, and not before its time, see `_LOOP_SECONDS`."""
        for pid in sorted(self.processes(kind), key=_age)[-1:]:
            wait_until(partial(_may_be_killed, kind, pid), f"{kind} has run long enough", every=0.1)
            os.kill(pid, signal.SIGKILL)

    def run(self, *arguments: str) -> str:
        """Run a command with the server's settings, and answer what it says. It must succeed."""
        command = [str(COMMAND), *arguments]
        done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def get(self, path: str, **options: Any) -> urllib3.BaseHTTPResponse:
        return urllib3.request("GET", self.url + path, **options)


def _read(path: Path) -> str:
    """Read a file below /proc; nothing if its process or thread has ended meanwhile."""
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _may_be_killed(kind: str, pid: int) -> bool:
    return kind != "web" or _age(pid) >= _LOOP_SECONDS


def _age(pid: int) -> float:
    """Seconds since a process was started."""
    started = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return float(Path("/proc/uptime").read_text().split()[0]) - started / os.sysconf("SC_CLK_TCK")
