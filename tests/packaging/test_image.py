"""The image of the report and promote jobs. Where no container engine runs, the steps of its Dockerfile are taken in a
clean virtual environment, whose folder stands for the image's root.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mltrail_ci import __version__
from tests.component.render import render
from tests.component.server import Server, a_promotion, a_report
from tests.places import ROOT

_STEP = re.compile(r"(?P<word>[A-Z]+) (?P<rest>.+)")


@dataclass
class Image:
    """What the Dockerfile says, done in `root`. Its Python is the virtual environment's."""

    root: Path
    base: str = ""
    arguments: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def build(self, context: Path, dockerfile: Path, **arguments: str) -> None:
        text = re.sub(r"^#.*\n", "", dockerfile.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
        for line in filter(None, map(str.strip, text.splitlines())):
            step = _STEP.fullmatch(line)
            assert step, line
            word, rest = step["word"], step["rest"]
            if word == "ARG":
                name, _, default = rest.partition("=")
                self.arguments[name] = arguments.get(name, default)
            elif word == "FROM":
                self.base = self._filled(rest)
            elif word in {"LABEL", "ENV"}:
                pairs = re.findall(r'([\w.]+)=("[^"]*"|\S+)', rest)
                kept = self.labels if word == "LABEL" else self.environment
                kept.update({name: self._filled(value.strip('"')) for name, value in pairs})
            elif word == "COPY":
                *sources, target = rest.split()
                folder = self.root / target.strip("/")
                folder.mkdir(parents=True, exist_ok=True)
                for source in sources:
                    found = sorted(context.glob(source))
                    assert found, f"{source} is not there"
                    for file in found:
                        shutil.copy(file, folder)
            else:
                assert word == "RUN", f"a step that this test can't take: {line}"
                # The root is not `/` here; nothing else differs.
                self.run(rest.replace("/tmp/", f"{self.root}/tmp/"))

    def run(self, script: str, *, folder: Path | None = None, **variables: str) -> str:
        """Run a script by `sh` with the image's environment and nothing of this machine's."""
        environment = {
            "PATH": f"{self.root}/venv/bin{os.pathsep}/usr/bin{os.pathsep}/bin",
            "HOME": str(self.root),
            **{name: os.environ[name] for name in os.environ if name.startswith(("PIP_", "SSL_", "UV_"))},
            **self.environment,
            **variables,
        }
        ran = subprocess.run(
            ["sh", "-e", "-c", script],
            cwd=folder or self.root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def _filled(self, text: str) -> str:
        return re.sub(r"\$\{(\w+)\}", lambda found: self.arguments[found[1]], text)


@pytest.fixture(scope="module")
def image(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Image:
    context = tmp_path_factory.mktemp("context")
    shutil.copytree(ROOT / "image", context / "image")
    (context / "dist").mkdir()
    shutil.copy(wheel, context / "dist")
    made = Image(tmp_path_factory.mktemp("image"))
    subprocess.run([sys.executable, "-m", "venv", made.root / "venv"], check=True)
    made.build(context, context / "image/Dockerfile", VERSION=__version__)
    return made


def test_it_holds_the_command_and_little_else(image: Image) -> None:
    assert image.run("mltrail --version") == f"mltrail {__version__}\n"
    listed = image.run("python -m pip list --format freeze").split()
    assert {line.split("==")[0].lower() for line in listed} - {"pip", "setuptools"} == {"mltrail", "pyyaml", "urllib3"}
    assert not (image.root / "tmp/mltrail").exists()


def test_it_says_which_version_it_is(image: Image) -> None:
    """The release job compares this label with the tag."""
    assert image.labels["org.opencontainers.image.version"] == __version__
    assert image.base.startswith("python:3.")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_what_is_locked_is_there_for_the_base_image(image: Image, machine: str, tmp_path: Path) -> None:
    """Built for musl and the Python of the base, since nothing in that image could compile it."""
    version = re.fullmatch(r"python:(3\.\d+)-alpine", image.base)
    assert version
    uv = Path(sys.executable).parent / "uv"
    where = ["--python-platform", f"{machine}-unknown-linux-musl", "--python-version", version[1], "--target", tmp_path]
    what = ["--only-binary", ":all:", "--require-hashes", "--requirements", ROOT / "image/requirements.txt"]
    subprocess.run([uv, "pip", "install", "--quiet", *where, *what], check=True)
    assert list(tmp_path.glob(f"yaml/*{machine}*musl*.so"))


@pytest.mark.parametrize("name", ["report", "promote"])
def test_the_templates_scripts_run_in_it(image: Image, name: str, tmp_path: Path) -> None:
    server = Server()
    http = server.start()
    server.lay("POST /api/v4/projects/42/ml/pipelines/1001/report", a_report())
    server.lay("POST /api/v4/projects/42/ml/promotions", {"promotions": [a_promotion()]})
    try:
        job = render(ROOT / f"templates/{name}.yml", {"server": server.url, "needs": []})[f"mltrail-{name}"]
        variables = {"CI_PROJECT_ID": "42", "CI_PIPELINE_ID": "1001", "MLTRAIL_TOKEN": "token"} | job["variables"]
        output = image.run("\n".join(job["script"]), folder=tmp_path, **variables)
    finally:
        http.shutdown()
        http.server_close()
    assert "churn" in output
    for path in job["artifacts"]["reports"].values():
        assert (tmp_path / path).stat().st_size
