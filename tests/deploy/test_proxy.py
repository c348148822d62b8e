"""Caddy with our Caddyfile: what it buffers, what it passes on at once, and a whole server behind it.

In front of a listener that records what arrives and when, it shows what the server sees.
"""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import pytest
import urllib3

from mltrail_server import cli
from mltrail_server.settings.env_file import EnvFile
from tests.deploy.proxy import CADDY, CADDYFILE, Proxy
from tests.environment import without_settings
from tests.fakes.gitlab import FakeGitLab
from tests.length import length
from tests.postgresql import Cluster
from tests.processes import PATIENCE_SECONDS, free_port, status, wait_until
from tests.s3 import VARIABLES, Bucket

COMMAND = Path(sys.executable).parent / "mltrail-server"
PIECE = b"x" * 65_536


class Listener:
    """Notes each request as it begins, and how many bytes of its body have arrived."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.received = 0
        self.grown = threading.Condition()
        self.headers: dict[str, str] = {}
        noted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                noted.headers = {name.lower(): value for name, value in self.headers.items()}
                noted.begun.set()
                left = int(self.headers["Content-Length"])
                while left:
                    piece = self.rfile.read1(min(left, 65_536))
                    left -= len(piece)
                    with noted.grown:
                        noted.received += len(piece)
                        noted.grown.notify_all()
                self.send_response(204)
                self.end_headers()

            def do_PUT(self) -> None:
                self.do_POST()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"

    def wait_for(self, count: int) -> bool:
        with self.grown:
            return self.grown.wait_for(lambda: self.received >= count, PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as running:
        yield running


@pytest.fixture
def proxy(tmp_path: Path, listener: Listener) -> Iterator[Proxy]:
    with Proxy(tmp_path, listener.address) as running:
        yield running


def begun(proxy: Proxy, method: str, path: str, size: int) -> socket.socket:
    """Send the head of a request whose body has `size` bytes."""
    connection = proxy.connect()
    connection.sendall(
        f"{method} {path} HTTP/1.1\r\nHost: localhost:{proxy.port}\r\nContent-Length: {size}\r\n\r\n".encode()
    )
    return connection


@pytest.mark.parametrize("tls", ["automatic", "internal", "own", "off"])
def test_it_is_valid_for_each_kind_of_certificate(tmp_path: Path, tls: str) -> None:
    text = CADDYFILE.read_text()
    if tls == "own":  # Caddy reads the files
        key, certificate = tmp_path / "tls.key", tmp_path / "tls.crt"
        subject = ["-subj", "/CN=mltrail.example.com", "-days", "2", "-nodes", "-newkey", "ec"]
        curve = ["-pkeyopt", "ec_paramgen_curve:prime256v1"]
        command = ["openssl", "req", "-x509", *subject, *curve, "-keyout", str(key), "-out", str(certificate)]
        subprocess.run(command, check=True, capture_output=True)
        text = text.replace("/certificates", str(tmp_path))
    file = tmp_path / "Caddyfile"
    file.write_text(text)
    site = {"PROXY_SITE": ":80" if tls == "off" else "https://mltrail.example.com", "PROXY_TLS": tls}
    own = site | {"XDG_DATA_HOME": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(
        [str(CADDY), "validate", "--config", str(file)],
        env=os.environ | own,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert "Valid configuration" in done.stdout + done.stderr


def test_it_is_formatted() -> None:
    done = subprocess.run([str(CADDY), "fmt", str(CADDYFILE)], capture_output=True, text=True, check=False)
    assert done.stdout == CADDYFILE.read_text()


def test_a_slow_body_reaches_the_server_as_a_whole(proxy: Proxy, listener: Listener) -> None:
    size = 1_048_576  # the largest batch of MLflow's clients
    with begun(proxy, "POST", "/api/v4/projects/42/ml/mlflow/api/2.0/mlflow/runs/log-batch", size) as connection:
        for _ in range(size // len(PIECE) - 1):
            connection.sendall(PIECE)
        # Another request overtakes it: the proxy had time to pass the first one on, and did not.
        _post(proxy)
        assert listener.received == 1
        connection.sendall(PIECE)
        assert connection.recv(64).startswith(b"HTTP/1.1 204")
    assert listener.received == size + 1


def test_a_gitlab_with_a_private_authority_is_told_apart(
    proxy: Proxy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--gitlab-url", proxy.url, "--external-url", "https://mltrail.example.com", "--group", "team"]
    command = ["init", "--for", "systemd", "--file", str(tmp_path / "env"), *given, "--without-token"]
    assert cli.main(command) == 2
    assert "set REQUESTS_CA_BUNDLE to the file with that authority's certificate" in capsys.readouterr().err


def _post(proxy: Proxy) -> None:
    with begun(proxy, "POST", "/", 1) as connection:
        connection.sendall(b"x")
        assert connection.recv(64).startswith(b"HTTP/1.1 204")


@pytest.mark.long
def test_an_upload_is_passed_on_as_it_comes(proxy: Proxy, listener: Listener) -> None:
    size = length(short=64, long=200) * 1024 * 1024
    with begun(
        proxy, "PUT", "/api/v4/projects/42/ml/mlflow/api/2.0/mlflow-artifacts/artifacts/big", size
    ) as connection:
        for _ in range(size // len(PIECE) // 2):
            connection.sendall(PIECE)
        assert listener.wait_for(size // 2 - 8 * 1024 * 1024)  # some is under way, in buffers of the network
        assert listener.received < size
        for _ in range(size // len(PIECE) // 2):
            connection.sendall(PIECE)
        assert connection.recv(64).startswith(b"HTTP/1.1 204")
    assert listener.received == size


def test_the_server_learns_that_a_call_came_through_a_proxy(proxy: Proxy, listener: Listener) -> None:
    """Without the header, /metrics would be open to everybody."""
    _post(proxy)
    assert listener.headers["x-forwarded-for"]
    assert listener.headers["x-forwarded-proto"] == "https"


def test_calls_wait_for_a_server_that_is_being_restarted(tmp_path: Path) -> None:
    port = free_port()
    with Proxy(tmp_path, f"127.0.0.1:{port}") as proxy, begun(proxy, "POST", "/", 1) as connection:
        connection.sendall(b"x")
        listener = ThreadingHTTPServer(("127.0.0.1", port), _Answering)
        threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        assert connection.recv(64).startswith(b"HTTP/1.1 204")
        listener.shutdown()
        listener.server_close()


class _Answering(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_whole_server_set_up_by_init_works_behind_it(
    tmp_path: Path, cluster: Cluster, bucket: Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    """From `init` to a run that is logged over HTTPS: with PostgreSQL, S3, and the settings as they were written."""
    web = free_port()
    with FakeGitLab() as gitlab, Proxy(tmp_path, f"127.0.0.1:{web}") as proxy:
        job = _pipeline(gitlab)
        env_file = tmp_path / ".env"
        answers = ["--gitlab-url", gitlab.url, "--external-url", proxy.url, "--group", "team", "--image", "server:1"]
        token = ["--token-file", str(tmp_path / "token")]
        (tmp_path / "token").write_text(gitlab.add_token(gitlab.users[11], ["api"]))
        command = ["init", "--for", "compose", "--tls", "internal", "--file", str(env_file), *answers, *token]
        assert cli.main([*command, "--project", "team/churn"]) == 0, capsys.readouterr()
        cluster.run("CREATE DATABASE behind_proxy TEMPLATE template0")
        # Only the addresses are those of this test.
        places = {
            "MLTRAIL_DATABASE_URL": cluster.url("behind_proxy"),
            "MLTRAIL_ARTIFACTS": bucket.url,
            "MLTRAIL_S3_ENDPOINT_URL": bucket.endpoint_url,
            "MLTRAIL_DATA_DIR": str(tmp_path / "data"),
            **VARIABLES,
        }
        settings = without_settings() | EnvFile.read(env_file).values | places
        subprocess.run([str(COMMAND), "migrate"], env=settings, check=True, timeout=PATIENCE_SECONDS)
        server = [str(COMMAND), "serve", "--port", str(web), "--no-worker", "--workers", "1"]
        with subprocess.Popen(server, env=settings, stdout=subprocess.DEVNULL) as process:
            try:
                wait_until(lambda: status(f"http://127.0.0.1:{web}/readyz") == 200, "it is ready", process=process)
                _log_a_run(proxy, gitlab.mint(job, proxy.url))
                worker = [str(COMMAND), "worker", "--once"]
                subprocess.run(worker, env=settings, check=True, timeout=PATIENCE_SECONDS)
                _selftest(settings)
            finally:
                process.terminate()
        cluster.run("DROP DATABASE behind_proxy WITH (FORCE)")


def _pipeline(gitlab: FakeGitLab) -> Any:
    root = gitlab.add_user("root")
    root.admin = True
    gitlab.add_group("team")
    project = gitlab.add_project("team/churn", id=42)
    developer = gitlab.add_user("developer")
    gitlab.add_member(project, developer, 30)
    sha = gitlab.add_commit(project, "a1" * 20, branch="main")
    return gitlab.add_job(gitlab.add_pipeline(project, sha, "main", "push"), "train", "train", developer, "running")


def _log_a_run(proxy: Proxy, token: str) -> None:
    """Create a run with a file."""
    pool = urllib3.PoolManager(ca_certs=str(proxy.authority), timeout=PATIENCE_SECONDS, retries=False)
    headers = {"Authorization": f"Bearer {token}"}
    assert pool.request("GET", f"{proxy.url}/readyz").status == 200
    base = f"{proxy.url}/api/v4/projects/42/ml/mlflow/api/2.0"
    answer = pool.request("POST", f"{base}/mlflow/runs/create", headers=headers, json={"experiment_id": "0"})
    assert answer.status == 200, answer.data
    run = answer.json()["run"]["info"]
    path = run["artifact_uri"].removeprefix("mlflow-artifacts:/").strip("/")
    url = f"{base}/mlflow-artifacts/artifacts/{path}/model.bin"
    assert pool.request("PUT", url, headers=headers, body=PIECE).status == 200
    assert pool.request("GET", url, headers=headers).data == PIECE
    assert pool.request("GET", f"{proxy.url}/metrics").status in (401, 403)


def _selftest(settings: dict[str, str]) -> None:
    command = [str(COMMAND), "selftest", "--project", "team/churn"]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stdout
