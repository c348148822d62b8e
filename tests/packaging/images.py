"""The images, built by the project's own script from its own recipe, in a store that belongs to the tests."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from scripts.release.rehearse_images import BASE, copy_context

REVISION = "a1" * 20
_MADE_AT = "1700000000"


@dataclass
class Images:
    """`folder` holds the store, and what a build needs of the repository: the wheel of this version beside `image/`."""

    folder: Path

    @property
    def context(self) -> Path:
        return self.folder / "context"

    def prepare(self, wheel: Path) -> None:
        copy_context(wheel, self.context)
        container = self.buildah("from", "scratch")
        self.buildah("add", "--quiet", container, str(BASE), "/")
        self.buildah("commit", "--quiet", container, "localhost/base")
        self.buildah("rm", container)

    def build(self, target: str, *architectures: str) -> None:
        self._run([str(self.context / "image/build"), target, f"localhost/{target}", *architectures])

    def build_afresh(self, target: str, *architectures: str) -> None:
        """Build without what earlier builds have kept."""
        self._run([str(self.context / "image/build"), target, f"localhost/{target}", *architectures], NO_CACHE="1")

    def check(self, target: str) -> str:
        return self._run([str(self.context / "image/check"), target, f"localhost/{target}"])

    def buildah(self, *arguments: str) -> str:
        return self._run(["buildah", *self._store, *arguments]).strip()

    def configuration(self, target: str) -> dict[str, Any]:
        """What an engine knows of an image: labels, user, health check and the like."""
        found: dict[str, Any] = json.loads(self.buildah("inspect", "--type", "image", f"localhost/{target}"))
        configuration: dict[str, Any] = found["Docker"]["config"]
        return configuration

    def root(self, target: str, *, architecture: str = "amd64") -> Path:
        """The root file system of an image."""
        name = f"{target}-{architecture}"
        self.buildah("from", "--pull-never", "--arch", architecture, "--name", name, f"localhost/{target}")
        return Path(self.buildah("mount", name))

    def delete(self) -> None:
        self.buildah("rm", "--all")
        shutil.rmtree(self.folder / "store")

    @cached_property
    def _store(self) -> list[str]:
        return ["--root", str(self.folder / "store"), "--runroot", str(self.folder / "run")]

    def _run(self, command: list[str], **more: str) -> str:
        settings = {
            "BUILDAH": " ".join(["buildah", *self._store]),
            "BUILDAH_ISOLATION": "chroot",
            "BUILDAH_FORMAT": "docker",
            "BASE": "localhost/base",
            "PYTHON": sys.executable,
            "SOURCE_DATE_EPOCH": _MADE_AT,
            "REVISION": REVISION,
        }
        ran = subprocess.run(command, env=os.environ | settings | more, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout
