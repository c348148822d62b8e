"""Rehearse a release on this machine: `make release-rehearsal`.

It takes the steps of the pipeline of a version tag with the same scripts, against registries on 127.0.0.1, checks each
result as a user would, leaves everything in dist/rehearsal, and prints what was checked and how. What needs GitLab.com
or Sigstore's servers is named, and not taken for done.

python -m scripts.release.rehearse [--out FOLDER] [--built FOLDER] [--no-images]
"""

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from mltrail_ci import __version__
from scripts.release import build, notes, registries, sbom
from scripts.release import rehearse_images as images
from scripts.release.rehearsal import HOME, ROOT, TOOLS, Rehearsal, RehearsalError

TOKEN = "glcbt-rehearsal"  # noqa: S105 - opens nothing but the rehearsal's own registries
UV = Path(sys.executable).with_name("uv")
HELM = ROOT / ".cache/helm/helm"
CHART_VALUES = (
    *("--set", "externalUrl=https://mltrail.example.com", "--set", "gitlab.url=https://gitlab.example.com"),
    *("--set", "image.repository=registry.example.com/mlops/mltrail/server", "--set", "files.s3.bucket=my-bucket"),
    *("--set", "secrets.existingSecret=mltrail", "--set", "database.existingSecret=mltrail-database"),
)


def rehearse(out: Path, built: Path | None, *, with_images: bool) -> Rehearsal:
    """Take all steps. Raises `RehearsalError`."""
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        rehearsal = Rehearsal(out, Path(scratch))
        rehearsal.files.mkdir(parents=True)
        write_notes(rehearsal)
        build_packages(rehearsal, built)
        write_sbom(rehearsal)
        check_chart(rehearsal)
        install(rehearsal)
        reason = images.missing() if with_images else "the images: left out (--no-images)"
        if reason:
            rehearsal.not_run.append(reason)
            sign(rehearsal, None)
        else:
            print("Images (jobs of the images, image-sboms)")
            with images.pushed(rehearsal, TOOLS / "docker-registry") as both:
                sign(rehearsal, both)
        publish(rehearsal)
    return rehearsal


def write_notes(rehearsal: Rehearsal) -> None:
    print("Release notes (job version)")
    text = notes.notes(notes.CHANGELOG.read_text(), __version__, HOME, unreleased=True)
    (rehearsal.out / "notes.md").write_text(text)
    dead = [
        path
        for path in re.findall(rf"\]\({re.escape(HOME)}/-/blob/{re.escape(__version__)}/([^)#]+)", text)
        if not (ROOT / path).exists()
    ]
    rehearsal.expect(not dead, f"The notes link to files that are not there: {', '.join(dead)}")
    rehearsal.note("notes.md", f"{text.count(chr(10) + '- ')} entries; each link leads to a file of the tag")


def build_packages(rehearsal: Rehearsal, built: Path | None) -> None:
    print("Build (job build)")
    if built:
        for path in built.iterdir():
            shutil.copy(path, rehearsal.files)
    else:
        rehearsal.run(sys.executable, "-m", "scripts.release.build", rehearsal.files)
    wheel, sdist = rehearsal.one("*.whl"), rehearsal.one("*.tar.gz")
    rehearsal.run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    copy = rehearsal.scratch / "elsewhere/copy"
    _copy(copy)
    again = rehearsal.scratch / "again"
    arguments = [sys.executable, "-m", "build", "--no-isolation", "--outdir", again]
    epoch = {"SOURCE_DATE_EPOCH": str(build.commit_time()), "TZ": "Pacific/Auckland", "LC_ALL": "C"}
    rehearsal.run(*arguments, copy, **epoch)
    for path in (wheel, sdist):
        rehearsal.expect(_sha256(path) == _sha256(again / path.name), f"Two builds of {path.name} differ.")
        rehearsal.note(path.name, "twine check --strict; a second build in another folder is the same, byte for byte")
    with tarfile.open(sdist) as archive:
        roots = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    rehearsal.expect(not roots & {"tests", "docs", ".git"}, "The sdist holds more than the wheel is built from.")


def write_sbom(rehearsal: Rehearsal) -> None:
    print("SBOM (job sbom)")
    rehearsal.run(ROOT / ".ci/sbom", rehearsal.files)
    made = rehearsal.one("*.cdx.json")
    listed = {one["purl"]: one for one in json.loads(made.read_text())["components"]}
    pins = {pin for lock in sorted(ROOT.glob("image/requirements*.txt")) for pin in sbom.pinned(lock)}
    missing = [pin.name for pin in pins if f"pkg:pypi/{pin.name}@{pin.version}" not in listed]
    rehearsal.expect(not missing, f"The SBOM lacks {', '.join(missing)}.")
    bundled = json.loads((ROOT / "assets/npm.json").read_text())
    rehearsal.expect(sum("pkg:npm/" in purl for purl in listed) == len(bundled), "The SBOM lacks what pages bundle.")
    rehearsal.expect(all(one["licenses"] for one in listed.values()), "The SBOM has components without a licence.")
    rehearsal.note(
        made.name, f"valid CycloneDX; all {len(pins)} locked and {len(bundled)} bundled packages, with licences"
    )


def check_chart(rehearsal: Rehearsal) -> None:
    """Lint and render the packed chart with the values that the how-to asks for."""
    print("Chart (job build)")
    chart = rehearsal.one("*.tgz")
    rehearsal.run(HELM, "lint", "--strict", chart, *CHART_VALUES)
    rendered = rehearsal.run(HELM, "template", "trail", chart, *CHART_VALUES)
    rehearsal.expect(f"/server:{__version__}" in rendered, "The chart does not run this version's image.")
    epoch, again = str(build.commit_time()), rehearsal.scratch / "chart"
    again.mkdir()
    packing = "import sys; from pathlib import Path; from scripts.release import build; build.chart(Path(sys.argv[1]))"
    rehearsal.run(sys.executable, "-c", packing, again, SOURCE_DATE_EPOCH=epoch, TZ="Pacific/Auckland")
    rehearsal.expect(_sha256(chart) == _sha256(again / chart.name), f"Two packings of {chart.name} differ.")
    rehearsal.note(chart.name, f"helm lint --strict; helm template renders it with image server:{__version__}")


def install(rehearsal: Rehearsal) -> None:
    print("Install into clean environments (jobs bare-install and selftest)")
    for path in (rehearsal.one("*.whl"), rehearsal.one("*.tar.gz")):
        venv = rehearsal.scratch / f"venv-{path.suffix[1:]}"
        rehearsal.run(UV, "venv", "--quiet", "--python", sys.executable, venv)
        rehearsal.run(UV, "pip", "install", "--quiet", "--python", venv / "bin/python", path, PATH="/usr/bin:/bin")
        said = rehearsal.run(venv / "bin/mltrail", "--version", cwd=rehearsal.scratch, PYTHONPATH="")
        rehearsal.expect(said == f"mltrail {__version__}\n", f"mltrail --version says {said!r}")
        rehearsal.note(path.name, "installs into a clean environment, where `mltrail --version` runs")
    licences = "licenses/server/mltrail_server/ui/static/vendor/THIRD_PARTY_LICENSES.txt"
    with zipfile.ZipFile(rehearsal.one("*.whl")) as archive:
        there = any(name.endswith(licences) for name in archive.namelist())
    rehearsal.expect(there, "The wheel lacks the licences of what it bundles.")


def sign(rehearsal: Rehearsal, both: images.Images | None) -> None:
    print("Provenance and signatures (job sign), with a key made for this rehearsal")
    key = {"COSIGN_PASSWORD": "rehearsal"}
    rehearsal.run("cosign", "generate-key-pair", cwd=rehearsal.scratch, **key)
    key["COSIGN_PRIVATE_KEY"] = (rehearsal.scratch / "cosign.key").read_text()
    if both:
        rehearsal.run(ROOT / ".ci/image_digests", rehearsal.files, **both.variables)
    rehearsal.run(sys.executable, "-m", "scripts.release.provenance", rehearsal.files)
    rehearsal.run(ROOT / ".ci/sign", rehearsal.files, **key)
    rehearsal.run("sha256sum", "--check", "--quiet", "SHA256SUMS", cwd=rehearsal.files)
    stated = json.loads(rehearsal.one("*.provenance.json").read_text())["subject"]
    for one in stated:
        path = rehearsal.files / one["name"]
        if "/" in one["name"]:
            continue  # an image, whose digest cosign compares
        rehearsal.expect(_sha256(path) == one["digest"]["sha256"], f"The provenance is wrong about {path.name}.")
    signed = [path for path in sorted(rehearsal.files.iterdir()) if _is_signed(path)]
    for path in signed:
        verify(rehearsal, path)
        rehearsal.note(path.name, "signed and verified by cosign with a key")
    for name in images.NAMES if both else ():
        check = ["cosign", "verify", "--key", rehearsal.files / "cosign.pub", *_by_key(rehearsal)]
        rehearsal.run(*check, both.name(name))
        rehearsal.note(f"images/{name}.tar", "signed in the registry by its digest, and verified by cosign with a key")
    tampered = rehearsal.scratch / "tampered"
    tampered.write_bytes(signed[0].read_bytes() + b" ")
    try:
        verify(rehearsal, tampered, signed[0])
    except RehearsalError:
        return
    raise RehearsalError("cosign verifies a file that was changed.")


def verify(rehearsal: Rehearsal, path: Path, original: Path | None = None) -> None:
    options = [*_by_key(rehearsal), "--new-bundle-format", "--bundle", f"{original or path}.sigstore.json"]
    rehearsal.run("cosign", "verify-blob", "--key", rehearsal.files / "cosign.pub", *options, path)


def _by_key(rehearsal: Rehearsal) -> list[str | Path]:
    # Without this file, cosign would ask Sigstore's servers for it, although it is not needed with a key.
    trusted = rehearsal.scratch / "trusted-root.json"
    trusted.write_text('{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}')
    return ["--private-infrastructure", "--trusted-root", trusted]


def publish(rehearsal: Rehearsal) -> None:
    print("Publish (job publish), and install from the index")
    with registries.packages(rehearsal.out / "registries", TOKEN) as (packages, api):
        variables = {"CI_API_V4_URL": api, "CI_PROJECT_ID": "1", "CI_JOB_TOKEN": TOKEN}
        rehearsal.run(sys.executable, "-m", "scripts.release.publish", rehearsal.files, **variables)
        rehearsal.run(sys.executable, "-m", "scripts.release.publish", rehearsal.files, **variables)  # a retried job
        rehearsal.expect(not packages.refused, f"Refused: {', '.join(packages.refused)}")
        venv = rehearsal.scratch / "venv-index"
        rehearsal.run(UV, "venv", "--quiet", "--python", sys.executable, venv)
        index = f"{api}/projects/1/packages/pypi/simple"
        options = ["--quiet", "--no-deps", "--no-cache", "--default-index", index, "--python", venv / "bin/python"]
        rehearsal.run(UV, "pip", "install", *options, f"mltrail=={__version__}")
        uploaded = {path.name for path in (packages.folder / "generic").iterdir()}
    rehearsal.expect(uploaded == {path.name for path in rehearsal.files.iterdir()}, "Not all files were uploaded.")
    without = "-image.cdx.json" if not list(rehearsal.out.glob("images/*")) else " "
    for url in linked():
        if url.endswith(without):
            continue
        rehearsal.expect(url in uploaded, f"The Release links to {url}, which is not there.")
    rehearsal.note(rehearsal.one("*.whl").name, "uploaded to an index, and installed from there by name")


def linked() -> Iterator[str]:
    """The files that the job `release` links to."""
    text = (ROOT / ".gitlab-ci.yml").read_text()
    for name in re.findall(r"url: \$FILES/(\S+)", text):
        yield name.replace("$PACKAGE_VERSION", __version__).replace("$CI_COMMIT_TAG", __version__)


def _is_signed(path: Path) -> bool:
    return path.name not in {"images.txt", "cosign.pub"} and not path.name.endswith(".sigstore.json")


def _copy(target: Path) -> None:
    """The files that git has, as they are now, and those made from npm's."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    vendor = ROOT / "server/mltrail_server/ui/static/vendor"
    names = [*filter(None, listed.split("\0")), *(str(one.relative_to(ROOT)) for one in vendor.iterdir())]
    for name in names:
        if (ROOT / name).is_file() and not name.startswith(("tests/", "docs/", "benchmarks/")):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def summary(rehearsal: Rehearsal) -> str:
    """A table of everything that a release consists of."""
    rows = ["| Artefact | Size | SHA-256 | Verified |", "|---|--:|---|---|"]
    archives = sorted(rehearsal.out.glob("images/*.tar"))
    for path in [rehearsal.out / "notes.md", *sorted(rehearsal.files.iterdir()), *archives]:
        name = f"images/{path.name}" if path in archives else path.name
        if _is_signed(path):
            how = "; ".join(rehearsal.verified.get(name, ["-"]))
            rows.append(f"| {name} | {path.stat().st_size:,} | {_sha256(path)[:16]}… | {how} |")
    return "\n".join([*rows, "", "Not run here:", *(f"- {one}" for one in rehearsal.not_run)]) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="Rehearse a release on this machine.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist/rehearsal")
    parser.add_argument("--built", type=Path, help="an earlier build of the same files")
    parser.add_argument("--no-images", action="store_true", help="leave out the images, which take minutes")
    arguments = parser.parse_args()
    try:
        rehearsal = rehearse(arguments.out.resolve(), arguments.built, with_images=not arguments.no_images)
    except (RehearsalError, notes.NotesError) as error:
        print(error, file=sys.stderr)
        return 1
    text = summary(rehearsal)
    (rehearsal.out / "summary.md").write_text(text)
    (rehearsal.out / "summary.json").write_text(json.dumps(rehearsal.verified, indent=1) + "\n")
    print(f"\n{text}\nEverything is in {rehearsal.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
