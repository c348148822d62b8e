"""The images of a rehearsal: built for this machine's architecture, started, pushed to a registry here, and listed.

The pipeline builds them for all architectures with the same scripts. Without buildah they are left out, and the summary
says so.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mltrail_ci import __version__
from scripts.release import build, provenance
from scripts.release.image_registry import image_registry
from scripts.release.rehearsal import ROOT, Rehearsal

BASE = ROOT / ".cache/image-base.tar"
"""A small Debian that scripts/buildah has made. Without it, the build takes Debian's own image from its registry."""

NAMES = ("cli", "server")


@dataclass(frozen=True)
class Images:
    """Both images, in the rehearsal's own store and in a registry that runs for that long."""

    address: str
    variables: dict[str, str]

    def name(self, target: str) -> str:
        return f"{self.address}/mltrail/{target}:{__version__}"


def missing() -> str | None:
    """Why no images will be built."""
    if not shutil.which("buildah"):
        return "the images: buildah is missing (make buildah)"
    if os.geteuid() != 0:
        return "the images: buildah builds them as root only, where chroot isolates it"
    return None


@contextmanager
def pushed(rehearsal: Rehearsal, program: Path) -> Iterator[Images]:
    """Build both, start both, and push them to a registry."""
    with image_registry(program, rehearsal.scratch / "images") as address:
        images = Images(address, _variables(rehearsal.scratch, address))
        try:
            _make(rehearsal, images)
            yield images
        finally:
            buildah = images.variables["BUILDAH"].split()
            rehearsal.run(*buildah, "rm", "--all", **images.variables)
            rehearsal.run(*buildah, "rmi", "--all", "--force", **images.variables)


def copy_context(wheel: Path, to: Path) -> None:
    """Copy what `image/build` needs of the repository, beside the wheel of this version."""
    shutil.copytree(ROOT / "image", to / "image")
    version = Path("component/mltrail_ci/__init__.py")
    (to / version).parent.mkdir(parents=True)
    shutil.copy(ROOT / version, to / version)
    (to / "dist").mkdir()
    shutil.copy(wheel, to / "dist")


def _make(rehearsal: Rehearsal, images: Images) -> None:
    context, variables = rehearsal.scratch / "context", images.variables
    buildah = variables["BUILDAH"].split()
    copy_context(rehearsal.one("*.whl"), context)
    if BASE.exists():
        container = rehearsal.run(*buildah, "from", "scratch", **variables).strip()
        rehearsal.run(*buildah, "add", "--quiet", container, BASE, "/", **variables)
        rehearsal.run(*buildah, "commit", "--quiet", container, variables["BASE"], **variables)
        rehearsal.run(*buildah, "rm", container, **variables)
    archives = rehearsal.out / "images"
    archives.mkdir()
    machine = "arm64" if os.uname().machine in {"aarch64", "arm64"} else "amd64"
    for target in NAMES:
        rehearsal.run(context / "image/build", target, f"localhost/{target}", machine, **variables)
        rehearsal.run(context / "image/check", target, f"localhost/{target}", **variables)
        push = [*buildah, "manifest", "push", "--all", f"localhost/{target}"]
        rehearsal.run(*push, f"docker://{images.name(target)}", **variables)
        archive = archives / f"{target}.tar"
        rehearsal.run(*push, f"oci-archive:{archive}", **variables)
        rehearsal.note(f"images/{archive.name}", f"built for {machine}, started by image/check, and pushed")
    rehearsal.run(ROOT / ".ci/image_sboms", rehearsal.files, **variables)
    for target in NAMES:
        made = rehearsal.one(f"*.{target}-image.cdx.json")
        purls = [one["purl"] for one in json.loads(made.read_text())["components"]]
        counts = {kind: sum(one.startswith(f"pkg:{kind}/") for one in purls) for kind in ("deb", "pypi", "npm")}
        rehearsal.expect(all(counts.values()), f"{made.name} lacks packages of a kind: {counts}")
        said = "{deb} of Debian, {pypi} of Python, {npm} bundled".format(**counts)
        rehearsal.note(made.name, f"valid CycloneDX; with licences, from the files in the image: {said}")


def _variables(scratch: Path, address: str) -> dict[str, str]:
    trusted = scratch / "registries.conf"
    trusted.write_text(f'[[registry]]\nlocation = "{address}"\ninsecure = true\n')
    options = f"--root {scratch / 'store'} --runroot {scratch / 'runroot'} --registries-conf {trusted}"
    return {
        "BUILDAH": f"buildah {options}",
        "BUILDAH_ISOLATION": "chroot",
        "BUILDAH_FORMAT": "docker",
        "CI_REGISTRY_IMAGE": f"{address}/mltrail",
        "PYTHON": sys.executable,
        "SOURCE_DATE_EPOCH": str(build.commit_time()),
        "REVISION": provenance.commit({}),
    } | ({"BASE": "localhost/base"} if BASE.exists() else {})
