"""The images `server` and `cli`, built from image/Dockerfile without a daemon, and run as container engines run them:
another user, nothing writable but the volumes, no privileges.
"""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path

import pytest

from mltrail_ci import __version__
from tests.component.render import render
from tests.component.server import Server, a_promotion, a_report
from tests.length import length
from tests.packaging.container import Container, first_process
from tests.packaging.images import REVISION, Images
from tests.places import ROOT
from tests.processes import PATIENCE_SECONDS, lives, status, wait_until
from tests.team_server import TeamServer
from tests.unfinished import begin

MOST_BYTES = 150_000_000
SEARCH = b'{"max_results": 5}'
RELEASE = {
    "org.opencontainers.image.version": __version__,
    "org.opencontainers.image.revision": REVISION,
    "org.opencontainers.image.licenses": "MIT",
}

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="containers are built and run by root here"),
]


@pytest.fixture(scope="module")
def images(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    made = Images(tmp_path_factory.mktemp("images"))
    made.prepare(wheel)
    made.build("server", "amd64")
    made.build("cli", "amd64", "arm64")
    yield made
    made.delete()


@pytest.fixture(scope="module")
def server_root(images: Images) -> Path:
    return images.root("server")


@pytest.fixture(scope="module")
def cli_root(images: Images) -> Path:
    return images.root("cli")


def environment(images: Images, target: str) -> dict[str, str]:
    listed = images.configuration(target)["Env"]
    return dict(one.split("=", 1) for one in listed)


class InImage(TeamServer):
    """A team's server that runs in the image, beside the stand-in for GitLab."""

    def __init__(self, folder: Path, images: Images, root: Path, **variables: str) -> None:
        super().__init__(folder, **variables)
        self._image_environment = environment(images, "server")
        configuration = images.configuration("server")
        self._entrypoint: list[str] = configuration["Entrypoint"]
        self._image_command: list[str] = configuration["Cmd"]
        self._root = root

    @property
    def container(self) -> Container:
        own = {name: value for name, value in self.environment().items() if name.startswith("MLTRAIL_")}
        place = {"HOME": "/data", "MLTRAIL_DATA_DIR": "/data"}
        return Container(self._root, self._image_environment | own | place, {"/data": self.folder / "volume"})

    def start(self) -> None:
        command = [str(self.port) if part == "5000" else part for part in self._image_command]
        self.process = self.container.start([*self._entrypoint, *command], log=self.log)
        self.wait_until_ready()

    def stop(self, *, seconds: float = PATIENCE_SECONDS) -> None:
        assert self.process
        os.kill(first_process(self.process), signal.SIGTERM)
        assert self.process.wait(timeout=seconds) == 0, self.log.read_text()
        self.process = None

    def run(self, *arguments: str) -> str:
        code, said = self.container.run([*self._entrypoint, *arguments], log=self.folder / "command.log")
        assert code == 0, said
        return said


@contextmanager
def served(images: Images, root: Path, folder: Path, **variables: str) -> Iterator[InImage]:
    with InImage(folder / "server", images, root, **variables) as server:
        yield server


def test_the_server_is_ready_and_passes_the_self_test(images: Images, server_root: Path, tmp_path: Path) -> None:
    with served(images, server_root, tmp_path) as server:
        assert server.run("ready", "--url", f"{server.url}/readyz") == ""
        said = server.run("selftest", "--project", str(server.project_id))
        assert said.endswith("passed\n"), said
        assert server.run("migrate").startswith("The schema is at revision ")
        # Whatever it writes is in the volume.
        assert (server.folder / "volume/mltrail.db").exists()


def test_the_server_drains_and_finishes_a_call(images: Images, server_root: Path, tmp_path: Path) -> None:
    settings = {"MLTRAIL_DRAIN_SECONDS": "3600", "MLTRAIL_BODY_SECONDS": "0"}
    with served(images, server_root, tmp_path, **settings) as server:
        assert server.process
        path, ready = "/api/2.0/mlflow/experiments/search", f"{server.url}/readyz"
        with begin(server.tracking_uri, path, server.token(), size=len(SEARCH), sent=SEARCH[:5]) as call:
            first = first_process(server.process)
            os.kill(first, signal.SIGTERM)
            # The server has begun to read the call once it has answered a later one on each of its processes.
            for _ in range(20):
                wait_until(lambda: status(ready) == 503, "/readyz says that the server is draining")
            os.kill(first, signal.SIGTERM)  # as if the time were over
            wait_until(lambda: not status(ready), "nothing listens any more")
            call.sendall(SEARCH[5:])
            answer = HTTPResponse(call)
            answer.begin()
            assert answer.status == 200
            answer.close()
        assert server.process.wait(timeout=PATIENCE_SECONDS) == 0, server.log.read_text()
        server.process = None


def test_a_signal_ends_a_program_that_handles_none(images: Images, server_root: Path, tmp_path: Path) -> None:
    """As process 1 it would go on until it is killed; and nobody would collect the children that others left behind."""
    container = Container(server_root, environment(images, "server"), {"/data": tmp_path / "volume"})
    orphan = "import os; os.fork() or os._exit(0) if os.fork() == 0 else None; print(os.getpid(), flush=True); "
    program = orphan + "import time; time.sleep(3600)"
    entrypoint = images.configuration("server")["Entrypoint"][:-1]
    process = container.start([*entrypoint, "python3", "-c", program], log=tmp_path / "log")
    wait_until((tmp_path / "log").read_text, "the program runs", process=process)
    os.kill(first_process(process), signal.SIGTERM)
    assert process.wait(timeout=PATIENCE_SECONDS) == 128 + signal.SIGTERM
    assert not lives(process.pid)


@pytest.mark.parametrize("target", ["server", "cli"])
def test_nothing_but_the_volume_can_be_written(
    images: Images, server_root: Path, cli_root: Path, tmp_path: Path, target: str
) -> None:
    root = server_root if target == "server" else cli_root
    container = Container(root, environment(images, target))
    program = "import os, sys; print(os.getuid(), os.getgid()); open('/usr/x', 'w')"
    code, said = container.run(["python3", "-c", program], log=tmp_path / "log")
    assert code == 1
    assert said.startswith("10001 10001\n")
    assert "Read-only file system: '/usr/x'" in said
    assert images.configuration(target)["User"] == "10001:10001"


def test_the_server_is_small_and_says_what_it_is(images: Images, server_root: Path) -> None:
    archive = subprocess.run(["tar", "-c", "-C", server_root, "."], capture_output=True, check=True).stdout
    assert len(archive) < MOST_BYTES, "uncompressed"
    configuration = images.configuration("server")
    assert configuration["Labels"].items() >= ({"org.opencontainers.image.title": "mltrail-server"} | RELEASE).items()
    assert configuration["Healthcheck"]["Test"] == ["CMD", "mltrail-server", "ready"]
    assert configuration["Volumes"] == {"/data": {}}
    assert list(configuration["ExposedPorts"]) == ["5000/tcp"]
    assert configuration["StopSignal"] == "SIGTERM"
    assert (server_root / "data").stat().st_uid == 10001


@pytest.mark.parametrize("target", ["server", "cli"])
def test_no_tools_of_the_build_are_in_it(images: Images, server_root: Path, cli_root: Path, target: str) -> None:
    root = server_root if target == "server" else cli_root
    # busybox has commands of these names, which can do little.
    own = [path for path in root.rglob("*") if not (path.is_symlink() and path.readlink().name == "busybox")]
    files = {str(path.relative_to(root)) for path in own}
    unwanted = re.compile(
        r"(^|/)(s?bin/(pip3?|apt.*|dpkg)|dist-packages/pip|pip\.conf|\.netrc|resolv\.conf|[^/]*\.whl)$"
    )
    assert not {file for file in files if unwanted.search(file)}
    # The shell is for GitLab's runners only.
    assert (root / "usr/bin/sh").is_symlink() == (target == "cli")
    # Those who look for known vulnerabilities find all packages, and each has its licence.
    packages = {path.name for path in (root / "var/lib/dpkg/status.d").iterdir()}
    assert {"libc6", "libssl3t64", "python3.13-minimal"} <= packages
    assert all((root / f"usr/share/doc/{name}/copyright").exists() for name in packages)


def test_what_is_left_out_of_the_server_is_not_missed(images: Images, server_root: Path, tmp_path: Path) -> None:
    """S3 and what signs in for it, PostgreSQL's driver, encrypted backups, traces, certificates."""
    program = """
import boto3, botocore.session, psycopg, pyrage, re2, ssl, datetime, locale, sqlite3, sqlalchemy, alembic.command
from sqlalchemy.dialects import postgresql, sqlite
import opentelemetry.sdk.trace, opentelemetry.exporter.otlp.proto.http.trace_exporter
for service in ("s3", "sts", "sso", "sso-oidc"):
    boto3.client(service, region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="b")
sqlalchemy.create_engine("postgresql+psycopg://127.0.0.1/x")
print(psycopg.pq.__impl__, len(ssl.create_default_context().get_ca_certs()) > 50)
"""
    container = Container(server_root, environment(images, "server"))
    code, said = container.run(["python3", "-c", program], log=tmp_path / "log")
    assert (code, said) == (0, "binary True\n")


def test_it_starts_before_it_is_pushed(images: Images) -> None:
    assert images.check("server").endswith("localhost/server works\n")
    assert images.check("cli").endswith("localhost/cli works\n")


def test_the_image_of_the_command_has_little_else(images: Images, cli_root: Path, tmp_path: Path) -> None:
    program = "import importlib.metadata as m; print(*sorted(d.name.lower() for d in m.distributions()))"
    container = Container(cli_root, environment(images, "cli"))
    assert container.run(["python3", "-c", program], log=tmp_path / "log") == (0, "mltrail pyyaml urllib3\n")
    configuration = images.configuration("cli")
    assert configuration["Labels"].items() >= ({"org.opencontainers.image.title": "mltrail"} | RELEASE).items()
    assert not configuration.get("Entrypoint"), "GitLab's runners start a shell"


def test_an_image_of_another_architecture_is_made_of_its_files(images: Images) -> None:
    root = images.root("cli", architecture="arm64")
    seen = {
        re.search(r"Machine:\s+(\S+)", header)[1]  # type: ignore[index]
        for path in (root / "usr").rglob("*")
        if path.is_file() and not path.is_symlink() and path.read_bytes()[:4] == b"\x7fELF"
        for header in [subprocess.run(["readelf", "-h", path], capture_output=True, text=True, check=True).stdout]
    }
    assert seen == {"AArch64"}


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-server.txt"])
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_what_is_locked_is_there_for_each_architecture(lock: str, machine: str, tmp_path: Path) -> None:
    """As wheels, since nothing could compile there."""
    where = ["--python-platform", f"{machine}-manylinux_2_28", "--python-version", "3.13", "--target", tmp_path]
    what = ["--only-binary", ":all:", "--require-hashes", "--no-deps", "--requirements", ROOT / "image" / lock]
    uv = ROOT / ".venv/bin/uv"
    subprocess.run([uv, "pip", "install", "--quiet", *where, *what], check=True)
    assert list(tmp_path.glob(f"yaml/*{machine}*.so"))


@pytest.mark.long
def test_two_builds_give_the_same_bytes(images: Images) -> None:
    """Where Debian has published nothing in between."""
    if length(short=True, long=False):
        pytest.skip("builds everything again: make test-long")

    def layers() -> list[str]:
        found = images.buildah("inspect", "--type", "image", "--format", "{{.OCIv1.RootFS.DiffIDs}}", "localhost/cli")
        return found.split()

    before = layers()
    images.build_afresh("cli", "amd64")
    assert layers() == before


@pytest.mark.parametrize("name", ["report", "promote"])
def test_the_templates_scripts_run_in_it(images: Images, cli_root: Path, name: str, tmp_path: Path) -> None:
    server = Server()
    http = server.start()
    server.lay("POST /api/v4/projects/42/ml/pipelines/1001/report", a_report())
    server.lay("POST /api/v4/projects/42/ml/promotions", {"promotions": [a_promotion()]})
    project = tmp_path / "project"
    try:
        job = render(ROOT / f"templates/{name}.yml", {"server": server.url, "needs": []})[f"mltrail-{name}"]
        variables = {"CI_PROJECT_ID": "42", "CI_PIPELINE_ID": "1001", "MLTRAIL_TOKEN": "token"} | job["variables"]
        container = Container(cli_root, environment(images, "cli") | variables, {"/srv": project})
        script = "\n".join(["cd /srv", *job["script"]])
        code, said = container.run(["sh", "-e", "-c", script], log=tmp_path / "log")
    finally:
        http.shutdown()
        http.server_close()
    assert code == 0, said
    assert "churn" in said
    for path in job["artifacts"]["reports"].values():
        assert (project / path).stat().st_size
