"""The jobs of this project's own `.gitlab-ci.yml` that need no image registry, run for real: the wheel is built, is
installed bare, serves a training job that extends our own component, and is published.

uv stands for pip where a job installs something, since it keeps what it has fetched; the wheel is built by pip itself.
"""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mltrail_ci import __version__
from tests.component.coordinator import Coordinator
from tests.component.runner import SCRIPTS, Runner, commit, runner_in
from tests.component.whole import SHELL
from tests.fakes.gitlab import FakeGitLab
from tests.places import ROOT

JOBS = ("build", "bare-install", "selftest", "publish", "release")
# `python` of a job's image: `-m venv` makes an environment whose pip is uv, `-m pip install` is uv, the rest is Python.
PYTHON = """#!/bin/sh
case "$1 $2 $3" in
  "-m venv "*)
    {uv} venv --quiet --python {python} "$3"
    printf '#!/bin/sh\\nexec {uv} pip "$@" --python "%s/bin/python"\\n' "$PWD/$3" > "$3/bin/pip"
    chmod +x "$3/bin/pip" ;;
  "-m pip install") shift 3; exec {uv} pip install --python {python} "$@" ;;
  *) exec {python} "$@" ;;
esac
"""

pytestmark = [pytest.mark.node, pytest.mark.e2e, pytest.mark.timeout(900)]


@dataclass
class PackageRegistry:
    """Takes packages as GitLab's registry does. https://docs.gitlab.com/user/packages/pypi_repository/"""

    uploads: list[tuple[str, str, bytes]] = field(default_factory=list)

    def start(self) -> ThreadingHTTPServer:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                registry.uploads.append((self.path, self.headers["Authorization"], body))
                self.send_response(201)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Keep quiet."""

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return http


@dataclass
class Ran:
    output: str
    statuses: dict[str, str]
    registry: PackageRegistry


@pytest.fixture(scope="module")
def released(gitlab_ci_local: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """The pipeline of a release's tag."""
    folder = tmp_path_factory.mktemp("own")
    runner = checkout(folder, gitlab_ci_local)
    gitlab, registry = FakeGitLab(), PackageRegistry()
    gitlab.start()
    packages = registry.start()
    developer = gitlab.add_user("dana")
    project = gitlab.add_project("mlops/mltrail", id=7)
    gitlab.add_member(project, developer, 40)
    head = ["git", "rev-parse", "HEAD"]
    sha = subprocess.run(head, cwd=runner.checkout, check=True, capture_output=True, text=True).stdout.strip()
    gitlab.add_commit(project, sha, branch="main")
    pipeline = gitlab.add_pipeline(project, sha, __version__, "push", tag=True)
    coordinator = Coordinator(gitlab, developer, runner.checkout, pipeline)
    http = coordinator.start()
    variables = {
        "CI_PROJECT_ID": "7",
        "CI_PROJECT_PATH": "mlops/mltrail",
        "CI_PIPELINE_ID": str(pipeline.id),
        "CI_PIPELINE_SOURCE": "push",
        "CI_COMMIT_TAG": __version__,
        "CI_COMMIT_REF_NAME": __version__,
        "CI_API_V4_URL": f"http://127.0.0.1:{packages.server_address[1]}/api/v4",
    }
    stand_in = {
        "BASH_ENV": str(SHELL / "bash_env"),
        "STAND_IN_RUNNER": coordinator.url,
        "STAND_IN_PYTHON": sys.executable,
        "STAND_IN_ASK": str(SHELL / "ask.py"),
    }
    try:
        ran = runner.execute(variables, stand_in, *JOBS)
        yield Ran(ran.stdout + ran.stderr, {job.name: job.status for job in coordinator.began}, registry)
    finally:
        for server in (http, packages):
            server.shutdown()
            server.server_close()
        gitlab.stop()


def checkout(folder: Path, gitlab_ci_local: Path) -> Runner:
    """This project's files as they are, with a port that is free for the server of `selftest`."""
    runner = runner_in(folder, gitlab_ci_local, path=f"{tools(folder / 'tools')}{os.pathsep}{os.environ['PATH']}")
    # Its own templates are in the checkout, and npm and pip have to find their way as they do here.
    runner.environment["GIT_CONFIG_COUNT"] = "0"
    runner.environment |= {"HOME": os.environ["HOME"]} | {
        name: value for name, value in os.environ.items() if re.match(r"(PIP|UV|SSL|NODE|REQUESTS|npm|NPM)_", name)
    }
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "docs/", "benchmarks/")):
            (runner.checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, runner.checkout / name)
    config = runner.checkout / ".gitlab-ci.yml"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        config.write_text(re.sub(r"\b5000\b", str(probe.getsockname()[1]), config.read_text()))
    commit(runner.checkout, runner.environment, "mlops/mltrail")
    return runner


def tools(folder: Path) -> Path:
    folder.mkdir()
    uv, home = SCRIPTS / "uv", folder / "home"
    subprocess.run([uv, "venv", "--quiet", "--seed", "--python", sys.executable, home], check=True)
    python = PYTHON.format(uv=shlex.quote(str(uv)), python=shlex.quote(str(home / "bin/python")))
    rsync = f'#!/bin/sh\nexec "{sys.executable}" -S "{SHELL / "rsync"}" "$@"\n'
    for name, text in (("python", python), ("rsync", rsync)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


def test_all_jobs_succeed(released: Ran) -> None:
    assert released.statuses == dict.fromkeys(JOBS, "success"), released.output


def test_the_training_job_has_nothing_to_mend(released: Ran) -> None:
    """It extends our own component, and the server is the wheel's."""
    checks = re.findall(r"(ok|PROBLEM) +([\w ]+): ", released.output)
    assert {name for mark, name in checks if mark == "ok"} >= {"token", "audience", "tracking URI", "server", "access"}
    assert "PROBLEM" not in dict(checks)


def test_the_wheel_is_published_once_by_the_jobs_own_token(released: Ran) -> None:
    ((path, authorization, body),) = released.registry.uploads
    assert path == "/api/v4/projects/7/packages/pypi"
    assert authorization.startswith("Basic ")
    assert f"mltrail-{__version__}-py3-none-any.whl".encode() in body
