"""A mirror of this project at another path: its pipelines make an image, and who includes its components finds it."""

import json
import subprocess
import sys
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from mltrail_ci import __version__
from tests.component.runner import SCRIPTS, Runner, commit, runner_in
from tests.component.snippets import first_of, snippets
from tests.component.whole import SHELL
from tests.places import RELEASE_PYTHON, ROOT

PATH = "group/sub/tools/mltrail-mirror"
REGISTRY = "registry.example.com:5050"
IMAGES = [f"{REGISTRY}/{PATH}/{target}:{__version__}" for target in ("cli", "server")]
VERSION_TAG = {"CI_COMMIT_TAG": __version__, "CI_COMMIT_REF_NAME": __version__, "CI_COMMIT_REF_SLUG": "0-1-0"}

COPIED = (
    *(".ci/", ".gitlab-ci.yml", "README.md", "component/", "deploy/helm/", "docs/reference/", "image/", "scripts/"),
    "templates/",
)

pytestmark = [pytest.mark.node]


@dataclass
class Mirror:
    runner: Runner
    registry: Path

    def pipeline(self, variables: dict[str, str] | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run those jobs that make the image. The wheel is not needed where nothing is built."""
        predefined = {
            "CI_PROJECT_PATH": PATH,
            "CI_REGISTRY": REGISTRY,
            "CI_REGISTRY_IMAGE": f"{REGISTRY}/{PATH}",
            "CI_REGISTRY_USER": "gitlab-ci-token",
            "CI_REGISTRY_PASSWORD": "glcbt-1",
            "CI_PIPELINE_SOURCE": "push",
            **(variables or {}),
        }
        jobs = ["version", "images"] if variables else ["images"]
        return self.runner.execute(predefined, {"STAND_IN_REGISTRY": str(self.registry), **environment}, *jobs)

    def commit(self) -> str:
        git = ["git", "commit", "--quiet", "--allow-empty", "--message=Next"]
        subprocess.run(git, cwd=self.runner.checkout, env=self.runner.environment, check=True)
        return self.head

    @property
    def head(self) -> str:
        ran = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=self.runner.checkout, check=True, capture_output=True, text=True
        )
        return ran.stdout.strip()

    @property
    def images(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = json.loads(self.registry.read_text()) if self.registry.exists() else {}
        return found


@pytest.fixture
def mirror(gitlab_ci_local: Path, tmp_path: Path) -> Mirror:
    tools = tmp_path / "tools"
    tools.mkdir()
    commands = {
        "apt-get": "exit 0",
        "buildah": f'exec "{sys.executable}" "{SHELL / "buildah"}" "$@"',
        "python": f'case "$1 $2" in "-m pip") ;; *) exec "{RELEASE_PYTHON}" "$@" ;; esac',
        "python3": 'case "$1 $2" in "-m pip") ;; *) exec /usr/bin/python3 "$@" ;; esac',
        "rsync": f'exec "{sys.executable}" -S "{SHELL / "rsync"}" "$@"',
        "node": f'exec "{SCRIPTS / "node"}" "$@"',
    }
    for name, line in commands.items():
        (tools / name).write_text(f"#!/bin/sh\n{line}\n")
        (tools / name).chmod(0o755)
    runner = runner_in(tmp_path, gitlab_ci_local, path=f"{tools}:{SCRIPTS}:/usr/bin:/bin", mirror=PATH)
    runner.environment["GIT_CONFIG_COUNT"] = "0"  # its own templates are in the checkout
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if name.startswith(COPIED):
            (runner.checkout / name).parent.mkdir(parents=True, exist_ok=True)
            (runner.checkout / name).write_bytes((ROOT / name).read_bytes())
            (runner.checkout / name).chmod((ROOT / name).stat().st_mode)
    wheel = runner.checkout / f"dist/mltrail-{__version__}-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.touch()
    # Not yet released here, perhaps, but there.
    (runner.checkout / "CHANGELOG.md").write_text(f"## {__version__} (2026-12-01)\n\n- Something. *(everyone)*\n")
    commit(runner.checkout, runner.environment, PATH)
    return Mirror(runner, tmp_path / "registry.json")


def succeeded(ran: "subprocess.CompletedProcess[str]") -> None:
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_its_tag_makes_the_image_that_its_components_name(mirror: Mirror) -> None:
    succeeded(mirror.pipeline())
    assert {image["org.mltrail.released"] for image in mirror.images.values()} == {"false"}
    mirror.commit()
    succeeded(mirror.pipeline(VERSION_TAG))
    labels = {"org.opencontainers.image.revision": mirror.head, "org.mltrail.released": "true"}
    assert mirror.images == dict.fromkeys(IMAGES, labels)


def test_what_a_tag_has_made_is_never_replaced(mirror: Mirror) -> None:
    succeeded(mirror.pipeline(VERSION_TAG))
    made = mirror.images
    succeeded(mirror.pipeline(VERSION_TAG))  # the same once more
    mirror.commit()
    branch = mirror.pipeline()
    succeeded(branch)
    assert "raise __version__" in branch.stdout
    moved = mirror.pipeline(VERSION_TAG)
    assert moved.returncode != 0
    assert "make a new version" in moved.stdout + moved.stderr
    assert mirror.images == made


def test_a_registry_that_is_down_is_not_an_empty_one(mirror: Mirror) -> None:
    ran = mirror.pipeline(VERSION_TAG, STAND_IN_REGISTRY_IS_DOWN="1")
    assert ran.returncode != 0
    assert mirror.images == {}


def test_a_tag_of_another_version_makes_nothing(mirror: Mirror) -> None:
    ran = mirror.pipeline(VERSION_TAG | {"CI_COMMIT_TAG": "9.9.9"})
    assert ran.returncode != 0


def consumer(gitlab_ci_local: Path, folder: Path, config: dict[str, Any]) -> Any:
    folder.mkdir()
    runner = runner_in(folder, gitlab_ci_local, mirror=PATH)
    (runner.checkout / ".gitlab-ci.yml").write_text(yaml.safe_dump(config))
    commit(runner.checkout, runner.environment)
    return runner.preview()


def pulled(job: dict[str, Any], settings: dict[str, str]) -> str:
    """The image as the runner asks for it; variables of group and instance win over the job's."""
    address = job["image"]["name"]
    for name, value in {"CI_REGISTRY": REGISTRY, **job["variables"], **settings}.items():
        address = address.replace(f"${name}", value)
    return str(address)


@pytest.mark.parametrize("way", ["input", "variable"])
def test_projects_that_include_its_components_pull_its_image(
    mirror: Mirror, gitlab_ci_local: Path, tmp_path: Path, way: str
) -> None:
    succeeded(mirror.pipeline(VERSION_TAG))
    settings = {"MLTRAIL_MIRROR": PATH} if way == "variable" else {}
    config = deepcopy(next(one.config for one in snippets() if PATH in str(one.config.get("include"))))
    if settings:
        del config["include"][0]["inputs"]["mirror"]
    jobs = consumer(gitlab_ci_local, tmp_path / "consumer", config | {"train": first_of("README.md")["train"]})
    for name in ("mltrail-report", "mltrail-promote"):
        assert pulled(jobs[name], settings) in mirror.images
