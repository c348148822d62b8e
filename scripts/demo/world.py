"""A small world: the stand-in for GitLab, an mltrail server, and the people and projects that use them."""

import secrets
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.fakes.gitlab import FakeGitLab
from tests.processes import free_port

from .project import SCRIPTS, DemoError, DemoProject, plain_environment

START_SECONDS = 120
PROJECT_IDS = {"churn": 42, "answers": 43}


class World:
    """Everything that runs, as a context manager. `folder` is emptied first. With `sign_in`, people sign in to the
    pages through GitLab.
    """

    def __init__(
        self,
        folder: Path,
        *,
        train_python: Path,
        port: int = 0,
        gitlab: FakeGitLab | None = None,
        sign_in: bool = False,
    ) -> None:
        self.folder = folder
        self.train_python = train_python
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.gitlab = gitlab or FakeGitLab()
        self.sign_in = sign_in
        self.server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        _check_free(self.port)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.gitlab.start()
        try:
            self._populate()
            self._serve()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self.server is not None:
            self.server.terminate()
            self.server.wait(timeout=START_SECONDS)
            self.server = None
        self.gitlab.stop()

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text()

    def open(self, example: str, *, copy: bool = True) -> DemoProject:
        """Make an example a project of the team, with a checkout in the folder, unless somebody else makes that."""
        project = self.gitlab.add_project(f"team/{example}", id=PROJECT_IDS[example])
        self.gitlab.add_member(project, self.developer, 30)
        self.gitlab.add_member(project, self.bot, 20)
        opened = DemoProject(
            self.gitlab,
            project,
            self.folder / example,
            self.url,
            self.developer,
            self.developer_token,
            self.train_python,
        )
        if copy:
            opened.copy(example)
        return opened

    def _populate(self) -> None:
        gitlab = self.gitlab
        self.developer = gitlab.add_user("dana")
        self.bot = gitlab.add_user("mltrail-bot")
        self.developer_token = gitlab.add_token(self.developer, ["api"])
        self.bot_token = gitlab.add_token(self.bot, ["api"])

    def _serve(self) -> None:
        environment = plain_environment() | {
            "MLTRAIL_DATA_DIR": str(self.folder / "data"),
            "MLTRAIL_EXTERNAL_URL": self.url,
            "MLTRAIL_GITLAB_URL": self.gitlab.url,
            "MLTRAIL_GITLAB_TOKEN": self.bot_token,
            **(self._application() if self.sign_in else {}),
        }
        with (self.folder / "server.log").open("wb") as log:
            self.server = subprocess.Popen(
                [SCRIPTS / "mltrail-server", "serve", "--port", str(self.port)],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        _wait_for(f"{self.url}/readyz", self.server, self.folder / "server.log")

    def _application(self) -> dict[str, str]:
        """Let the developer sign in through GitLab, who is asked for no password there."""
        made = self.gitlab.add_application(
            f"{self.url}/-/sign-in/callback", scopes=["openid", "read_api"], secret=secrets.token_urlsafe(16)
        )
        self.gitlab.visitor = self.developer
        return {"MLTRAIL_OAUTH_CLIENT_ID": made.client_id, "MLTRAIL_OAUTH_CLIENT_SECRET": made.secret}


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise DemoError(f"Port {port} is in use, perhaps by another demo; choose another one: PORT=5050") from error


def _wait_for(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(START_SECONDS * 20):
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise DemoError(f"The server did not start; its log says:\n{log.read_text()}")
