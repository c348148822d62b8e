"""A MariaDB of the tests' own: in a temporary folder, on a free port, gone when the tests are."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from tests.processes import PATIENCE_SECONDS, free_port

_DATABASE = "mlflow"
_FORGETFUL = ("--skip-log-bin", "--innodb-flush-log-at-trx-commit=0", "--skip-innodb-doublewrite")


@contextmanager
def running() -> Iterator[sa.URL]:
    """Start a server with an empty database, and answer the URL of that."""
    folder = Path(tempfile.mkdtemp(prefix="mltrail-mariadb-"))
    user = ["--user=root"] if os.getuid() == 0 else []
    data = f"--datadir={folder / 'data'}"
    install = [_program("mariadb-install-db"), "--no-defaults", data, "--auth-root-authentication-method=normal", *user]
    server = None
    try:
        done = subprocess.run([*install, "--skip-test-db"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        port = free_port()
        where = [f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder / 'socket'}"]
        with (folder / "log").open("wb") as log:
            command = [_program("mariadbd"), "--no-defaults", data, *where, *user, *_FORGETFUL]
            server = subprocess.Popen(command, stdout=log, stderr=log)
        url = sa.URL.create("mysql+pymysql", "root", host="127.0.0.1", port=port)
        _create_database(url, server, folder / "log")
        yield url.set(database=_DATABASE)
    finally:
        if server:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=PATIENCE_SECONDS)
        shutil.rmtree(folder)


def _create_database(url: sa.URL, server: "subprocess.Popen[bytes]", log: Path) -> None:
    """Create the database as soon as the server answers."""
    engine = sa.create_engine(url)
    while True:
        try:
            with engine.begin() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE {_DATABASE} CHARACTER SET utf8mb4")
        except sa.exc.OperationalError:
            assert server.poll() is None, log.read_text()
            time.sleep(0.05)
        else:
            break
    engine.dispose()


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    assert found, "MariaDB is missing: scripts/mariadb installs it (Debian: apt-get install mariadb-server-core)"
    return found
