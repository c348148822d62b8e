"""The jobs of this project's own `.gitlab-ci.yml` that need no image registry, run for real: the wheel is built, is
installed bare, serves a training job that extends our own component, is listed, signed and published.

uv stands for pip where a job installs something, since it keeps what it has fetched; cosign comes from Debian 13.
"""

import os
import re
import shlex
import shutil
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
from tests.packaging.image_registry import image_registry, push
from tests.packaging.release_tools import TOOLS
from tests.places import ROOT
from tests.processes import free_port

JOBS = ("version", "build", "bare-install", "selftest", "sbom", "sign", "publish", "release")
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
    """What was sent, by whom, in the order of arrival."""

    def start(self) -> ThreadingHTTPServer:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                """The index of a package that nobody has uploaded."""
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                who = self.headers["Authorization"] or self.headers["JOB-TOKEN"]
                registry.uploads.append((self.path, who, body))
                self.send_response(201)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_PUT = do_POST  # noqa: N815 - the library finds methods by these names

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
    with image_registry(folder / "images") as images:
        yield from run_in(folder, gitlab_ci_local, images)


def run_in(folder: Path, gitlab_ci_local: Path, images: str) -> Iterator[Ran]:
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
        "CI_JOB_TOKEN": "glcbt-1",
        "CI_REGISTRY": images,
        "CI_REGISTRY_IMAGE": f"{images}/mlops/mltrail",
        "CI_REGISTRY_USER": "gitlab-ci-token",
        "CI_REGISTRY_PASSWORD": "glcbt-1",
    }
    stand_in = {
        "BASH_ENV": str(SHELL / "bash_env"),
        "STAND_IN_RUNNER": coordinator.url,
        "STAND_IN_PYTHON": sys.executable,
        "STAND_IN_ASK": str(SHELL / "ask.py"),
        "DOCKER_CONFIG": str(folder / "docker"),
        **key(folder),
    }
    for name in ("cli", "server"):
        push(f"{images}/v2/mlops/mltrail/{name}", __version__)
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
    runner.environment |= {"HOME": str(home(folder / "home"))} | {
        name: value for name, value in os.environ.items() if re.match(r"(PIP|UV|SSL|NODE|REQUESTS|npm|NPM)_", name)
    }
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "docs/", "benchmarks/")):
            (runner.checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, runner.checkout / name)
    # Not yet released here, perhaps, but there.
    changelog = runner.checkout / "CHANGELOG.md"
    changelog.write_text(changelog.read_text().replace("(unreleased)", "(2026-12-01)"))
    config = runner.checkout / ".gitlab-ci.yml"
    config.write_text(re.sub(r"\b5000\b", str(free_port()), config.read_text()))
    commit(runner.checkout, runner.environment, "mlops/mltrail")
    return runner


def home(folder: Path) -> Path:
    """Make a home with the settings and caches of npm and pip, but without `.bashrc`. Bash reads that in a job, since
    its input is a socket, and it may put another Python first in PATH, which jobs would then install into side by side.
    """
    folder.mkdir()
    for name in (".cache", ".config", ".npm", ".npmrc", ".pip"):
        if (there := Path.home() / name).exists():
            (folder / name).symlink_to(there)
    return folder


def key(folder: Path) -> dict[str, str]:
    """The CI/CD variables of a mirror that signs with a key of its own."""
    variables = {"COSIGN_PASSWORD": "a mirror's"}
    command = [TOOLS / "cosign", "generate-key-pair"]
    subprocess.run(command, cwd=folder, env=os.environ | variables, check=True, capture_output=True)
    return variables | {"COSIGN_PRIVATE_KEY": (folder / "cosign.key").read_text()}


def tools(folder: Path) -> Path:
    folder.mkdir()
    uv, home = SCRIPTS / "uv", folder / "home"
    subprocess.run([uv, "venv", "--quiet", "--seed", "--python", sys.executable, home], check=True)
    python = PYTHON.format(uv=shlex.quote(str(uv)), python=shlex.quote(str(home / "bin/python")))
    rsync = f'#!/bin/sh\nexec "{sys.executable}" -S "{SHELL / "rsync"}" "$@"\n'
    cosign = f'#!/bin/sh\nexec "{TOOLS / "cosign"}" "$@"\n'
    for name, text in (("python", python), ("rsync", rsync), ("cosign", cosign), ("apt-get", "#!/bin/sh\n")):
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


def test_wheel_and_sdist_are_published_once_by_the_jobs_own_token(released: Ran) -> None:
    index = [one for one in released.registry.uploads if one[0] == "/api/v4/projects/7/packages/pypi"]
    assert [authorization.partition(" ")[0] for _, authorization, _ in index] == ["Basic", "Basic"]
    for name in (f"mltrail-{__version__}-py3-none-any.whl", f"mltrail-{__version__}.tar.gz"):
        assert sum(name.encode() in body for _, _, body in index) == 1
    assert "glcbt-1" not in released.output


def test_each_file_that_the_release_links_to_is_uploaded_with_its_signature(released: Ran) -> None:
    generic = f"/api/v4/projects/7/packages/generic/mltrail/{__version__}/"
    names = {path.removeprefix(generic) for path, _, _ in released.registry.uploads if path.startswith(generic)}
    config = (ROOT / ".gitlab-ci.yml").read_text()
    linked = {
        name.replace("$PACKAGE_VERSION", __version__).replace("$CI_COMMIT_TAG", __version__)
        for name in re.findall(r"url: \$FILES/(\S+)", config)
        if not name.endswith("-image.cdx.json")  # made from images, which take buildah
    }
    assert linked
    assert linked | {f"{name}.sigstore.json" for name in linked} | {"cosign.pub"} <= names
