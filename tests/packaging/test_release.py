"""A release, rehearsed: built, listed, signed, uploaded and installed by the scripts of the pipeline."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mltrail_ci import __version__
from tests.built import HOME
from tests.packaging.release_tools import run
from tests.places import RELEASE_PYTHON, ROOT


@pytest.fixture(scope="module")
def rehearsed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("release") / "rehearsal"
    ran = run(RELEASE_PYTHON, "-m", "scripts.release.rehearse", "--built", built, "--out", out, "--no-images")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return out


def test_each_file_of_a_release_is_verified(rehearsed: Path) -> None:
    verified = json.loads((rehearsed / "summary.json").read_text())
    for path in (rehearsed / "files").iterdir():
        if path.name != "cosign.pub" and not path.name.endswith(".sigstore.json"):
            assert any("verified by cosign" in how for how in verified[path.name]), path.name
    wheel = f"mltrail-{__version__}-py3-none-any.whl"
    assert any("byte for byte" in how for how in verified[wheel])
    assert any("installed from there" in how for how in verified[wheel])


def test_what_could_not_be_rehearsed_is_said(rehearsed: Path) -> None:
    summary = (rehearsed / "summary.md").read_text()
    assert "Not run here" in summary
    assert "only gitlab.com's jobs can" in summary


def test_the_release_says_what_has_changed_with_links_to_its_tag(rehearsed: Path) -> None:
    notes = (rehearsed / "notes.md").read_text()
    assert "### " in notes
    assert "\n- " in notes
    assert f"]({HOME}/-/blob/{__version__}/docs/" in notes
    assert "](docs/" not in notes
    assert not notes.startswith("#  ")


def test_the_provenance_names_commit_files_and_lock_files(rehearsed: Path) -> None:
    stated = json.loads((rehearsed / f"files/mltrail-{__version__}.provenance.json").read_text())
    assert {one["name"] for one in stated["subject"]} >= {
        f"mltrail-{__version__}-py3-none-any.whl",
        f"mltrail-{__version__}.tar.gz",
        f"mltrail-{__version__}.cdx.json",
    }
    definition = stated["predicate"]["buildDefinition"]
    source, *locks = definition["resolvedDependencies"]
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert source["digest"]["gitCommit"] == head.strip()
    assert {"requirements/release.txt", "assets/npm.json"} <= {one["name"] for one in locks}


def test_the_sbom_names_hashes_licences_and_who_needs_whom(rehearsed: Path) -> None:
    document = json.loads((rehearsed / f"files/mltrail-{__version__}.cdx.json").read_text())
    components = {one["name"]: one for one in document["components"]}
    pyyaml = components["pyyaml"]
    assert pyyaml["licenses"] == [{"license": {"id": "MIT"}}]
    lock = (ROOT / "image/requirements.txt").read_text()
    hashes = {one["content"] for one in pyyaml["externalReferences"][0]["hashes"]}
    assert hashes
    assert all(f"sha256:{digest}" in lock for digest in hashes)
    main = document["metadata"]["component"]["bom-ref"]
    needs = {one["ref"]: one["dependsOn"] for one in document["dependencies"]}
    assert pyyaml["purl"] in needs[main]


def test_a_mirror_without_a_key_says_that_its_files_are_not_signed(built: Path, tmp_path: Path) -> None:
    folder = tmp_path / "dist"
    shutil.copytree(built, folder)
    ran = run(ROOT / ".ci/sign", folder, cwd=tmp_path, CI_SERVER_HOST="gitlab.example.com", SIGSTORE_ID_TOKEN="token")
    assert ran.returncode == 0, ran.stderr
    assert "gitlab.example.com" in (folder / "UNSIGNED.txt").read_text()
    assert not list(folder.glob("*.sigstore.json"))


def test_a_key_that_does_not_open_stops_the_release(built: Path, tmp_path: Path) -> None:
    folder = tmp_path / "dist"
    shutil.copytree(built, folder)
    assert run("cosign", "generate-key-pair", cwd=tmp_path, COSIGN_PASSWORD="right").returncode == 0
    key = {"COSIGN_PRIVATE_KEY": (tmp_path / "cosign.key").read_text(), "COSIGN_PASSWORD": "wrong"}
    ran = run(ROOT / ".ci/sign", folder, cwd=tmp_path, **key)
    assert ran.returncode != 0
    assert not list(folder.glob("*.sigstore.json"))
    assert "right" not in ran.stdout + ran.stderr


def check_tag(tmp_path: Path, tag: str, changelog: str) -> "subprocess.CompletedProcess[str]":
    """In a copy whose changelog says something else."""
    for name in ("component/mltrail_ci/__init__.py", "README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("scripts", "templates", "docs/reference"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "deploy/helm", tmp_path / "deploy/helm")
    (tmp_path / "CHANGELOG.md").write_text(changelog)
    command = [RELEASE_PYTHON, "-m", "scripts.release.check_tag", tag]
    return run(*command, cwd=tmp_path, PYTHONPATH=f"{tmp_path / 'component'}:{tmp_path}")


RELEASED = f"# Changelog\n\n## {__version__} (2026-12-01)\n\n### Files\n\n- Something works. *(everyone)*\n"


def test_a_tag_that_all_files_agree_on_can_be_released(tmp_path: Path) -> None:
    ran = check_tag(tmp_path, __version__, RELEASED)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(
    ("tag", "changelog", "word"),
    [
        (__version__, RELEASED.replace("2026-12-01", "unreleased"), "Write the day of its release"),
        (__version__, RELEASED.replace(f"## {__version__}", "## 0.0.9"), "has no section"),
        (__version__, f"## {__version__} (2026-12-01)\n\n## 0.0.9 (2026-01-01)\n\n- Old. *(all)*\n", "has no entry"),
        ("9.9.9", RELEASED, "change component/mltrail_ci/__init__.py"),
        (f"v{__version__}", RELEASED, "is not a semantic version"),
    ],
    ids=["unreleased", "no section", "no entry", "another version", "leading v"],
)
def test_another_tag_is_refused_with_what_to_change(tmp_path: Path, tag: str, changelog: str, word: str) -> None:
    ran = check_tag(tmp_path, tag, changelog)
    assert ran.returncode != 0
    assert word in ran.stderr


def test_the_readme_and_the_templates_must_name_the_version(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    check_tag(tmp_path / "first", __version__, RELEASED)
    readme = tmp_path / "first/README.md"
    readme.write_text(readme.read_text().replace(f"pipeline@{__version__}", "pipeline@0.0.9"))
    template = tmp_path / "first/templates/report.yml"
    template.write_text(template.read_text().replace(f"cli:{__version__}", "cli:0.0.9"))
    command = [RELEASE_PYTHON, "-m", "scripts.release.check_tag", __version__]
    ran = run(*command, cwd=tmp_path / "first", PYTHONPATH=f"{tmp_path / 'first/component'}:{tmp_path / 'first'}")
    assert ran.returncode != 0
    assert "The README includes version 0.0.9" in ran.stderr
    assert "templates name" in ran.stderr


def sections(changelog: str) -> list[str]:
    return [line for line in changelog.splitlines() if line.startswith("## ")]


def test_the_newest_section_of_the_changelog_is_of_this_version() -> None:
    assert sections((ROOT / "CHANGELOG.md").read_text())[0].startswith(f"## {__version__} (")


def test_the_sbom_of_an_image_lists_debians_packages_and_pythons(wheel: Path, tmp_path: Path) -> None:
    """An image without dpkg keeps the descriptions of its packages, one a file."""
    root = tmp_path / "root"
    site = root / "usr/local/lib/python3.13/dist-packages"
    uv = RELEASE_PYTHON.with_name("uv")
    installed = run(uv, "pip", "install", "--quiet", "--python", RELEASE_PYTHON, "--target", site, wheel)
    assert installed.returncode == 0, installed.stderr
    described = root / "var/lib/dpkg/status.d/libssl3t64"
    described.parent.mkdir(parents=True)
    described.write_text(
        "Package: libssl3t64\nVersion: 3.5.1-1+deb13u1\nArchitecture: amd64\nDescription: TLS\n more\n"
    )
    licence = root / "usr/share/doc/libssl3t64/copyright"
    licence.parent.mkdir(parents=True)
    licence.write_text("Files: *\nLicense: Apache-2.0\n text\n")
    made = tmp_path / "server.cdx.json"
    ran = run(RELEASE_PYTHON, "-m", "scripts.release.sbom", "image", "server", __version__, root, made)
    assert ran.returncode == 0, ran.stderr
    document: dict[str, Any] = json.loads(made.read_text())
    purls = {one["purl"]: one["licenses"] for one in document["components"]}
    deb = "pkg:deb/debian/libssl3t64@3.5.1-1%2Bdeb13u1?arch=amd64"
    assert purls[deb] == [{"license": {"name": "Apache-2.0"}}]
    uplot = json.loads((ROOT / "assets/npm.json").read_text())["uplot"]["version"]
    assert {f"pkg:pypi/mltrail@{__version__}", f"pkg:npm/uplot@{uplot}"} <= purls.keys()
    licence.unlink()
    ran = run(RELEASE_PYTHON, "-m", "scripts.release.sbom", "image", "server", __version__, root, made)
    assert "No licence is stated by pkg:deb/debian/libssl3t64" in ran.stderr
