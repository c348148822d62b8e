"""A PostgreSQL of the tests' own: in a temporary folder, on a free port, gone when the tests are."""

import ctypes
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.processes import PATIENCE_SECONDS, free_port, lives, wait_until

_USER = "postgres"
# Nothing outlives the tests, so nothing has to reach the disk.
_FORGETFUL = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
_PR_SET_PDEATHSIG = 1


@dataclass
class Cluster:
    folder: Path
    port: int
    password: str
    options: tuple[str, ...]
    process: "subprocess.Popen[bytes] | None" = None

    @classmethod
    @contextmanager
    def started(cls, *options: str, durable: bool = False) -> Iterator["Cluster"]:
        """Start a cluster with further options such as `max_connections=10`, and remove it afterwards."""
        with cls._folder() as folder:
            cluster = cls(folder, free_port(), secrets.token_hex(8), options if durable else (*_FORGETFUL, *options))
            cluster._initialize()
            with cluster._running():
                yield cluster

    @contextmanager
    def follower(self) -> Iterator["Cluster"]:
        """Start a read replica, and remove it afterwards."""
        with self._folder() as folder:
            copy = Cluster(folder, free_port(), self.password, self.options)
            copy._run("pg_basebackup", "-D", folder / "data", "-R", "-d", self.url(), "--checkpoint=fast", "--no-sync")
            with copy._running():
                yield copy

    @contextmanager
    def _running(self) -> Iterator[None]:
        self.start()
        try:
            yield
        finally:
            self.stop()

    @staticmethod
    @contextmanager
    def _folder() -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp(prefix="mltrail-postgresql-"))
        if (owner := _unix_user()) is not None:
            shutil.chown(folder, owner)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    def url(self, database: str = "postgres", *, driver: str = "postgresql") -> str:
        return f"{driver}://{_USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server, also after `kill`, and wait until it answers."""
        options = [
            f"port={self.port}",
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={self.folder}",
            *self.options,
        ]
        command = [
            programs() / "postgres",
            "-D",
            self.folder / "data",
            *(part for one in options for part in ("-c", one)),
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                user=_unix_user(),
                start_new_session=True,
                preexec_fn=_end_with_the_tests,  # noqa: PLW1509 - it takes no lock
            )
        ready = [programs() / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode:
            assert self.process.poll() is None, (self.folder / "log").read_text()

    def stop(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGINT)  # ends sessions, too
            self.process.wait(timeout=PATIENCE_SECONDS)
            self.process = None

    def kill(self) -> None:
        """End all its processes at once; none gets to tidy up."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)  # it starts no session while we look who is there
        children = _children(self.process.pid)
        for pid in (*children, self.process.pid):
            with suppress(ProcessLookupError):  # a session that has ended meanwhile
                os.kill(pid, signal.SIGKILL)
        self.process.wait(timeout=PATIENCE_SECONDS)
        # It does not start beside one that is left.
        wait_until(lambda: not any(map(lives, children)), "all sessions have ended", every=0.01)
        self.process = None

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Stop all its processes while the block runs."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)  # it starts no session, nor forgets one, while we look who is there
        stopped = [self.process.pid]
        try:
            # If a process ends while the list is read, others may be missing from it: look until there are no new ones.
            while new := set(_children(self.process.pid)).difference(stopped):
                for pid in new:
                    os.kill(pid, signal.SIGSTOP)
                stopped += new
            yield
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)

    def run(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _initialize(self) -> None:
        password = self.folder / "password"
        password.write_text(self.password)
        if (owner := _unix_user()) is not None:
            shutil.chown(password, owner)
        # Sorts words as people do, as most installations: who relies on the order of bytes has to say so.
        locale = ("--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US")
        access = ("--auth=password", f"--username={_USER}", f"--pwfile={password}")
        self._run("initdb", "-D", self.folder / "data", "--no-sync", *access, *locale)

    def _run(self, program: str, *arguments: str | Path) -> None:
        command = [programs() / program, *arguments]
        done = subprocess.run(command, user=_unix_user(), cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def programs() -> Path:
    """The folder of PostgreSQL's programs: that of the newest version here. Debian keeps them off the PATH."""
    if found := sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4])):
        return found[-1].parent
    on_path = shutil.which("initdb")
    assert on_path, "PostgreSQL is missing: scripts/postgresql installs it (Debian: apt-get install postgresql)"
    return Path(on_path).resolve().parent


def _unix_user() -> int | None:
    """PostgreSQL refuses to run as root."""
    return pwd.getpwnam(_USER).pw_uid if os.getuid() == 0 else None


def _end_with_the_tests() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


def _children(parent: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
