"""What `pip install mltrail` brings."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

from mltrail_ci import __version__
from tests.built import HOME
from tests.places import ROOT


def test_the_wheel_holds_both_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {
        "mltrail_server",
        "mltrail_ci",
        "mltrail_contract",
        "mltrail",
    }
    migrations = "mltrail_server/store/db/migrations/versions/"
    assert any(name.startswith(migrations) for name in names)


def test_the_wheel_says_what_it_bundles_and_under_which_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (text,) = (
            name for name in archive.namelist() if name.endswith("THIRD_PARTY_LICENSES.txt") and "/licenses/" in name
        )
        licences = archive.read(text).decode()
        (sbom,) = (name for name in archive.namelist() if ".dist-info/sboms/" in name)
        listed = {one["purl"] for one in json.loads(archive.read(sbom))["components"]}
    pins = json.loads((ROOT / "assets/npm.json").read_text())
    for name, pin in pins.items():
        assert f"{name} {pin['version']}" in licences
        assert f"pkg:npm/{name.replace('@', '%40')}@{pin['version']}" in listed
    assert licences.count("Permission is hereby granted") == len(pins)


def test_the_package_links_to_the_mirror_that_has_built_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode()
    assert f"Project-URL: Security, {HOME}/-/blob/{__version__}/SECURITY.md" in metadata
    assert f"]({HOME}/-/blob/{__version__}/docs/" in metadata
    assert "](docs/" not in metadata


READ = """
import io
from mltrail_server.services.review.cases import rows

def read(content):
    try:
        return rows.read(content, "cases.parquet", {"id": "id", "label": "target"})
    except rows.UnreadableError as error:
        return error.sentence

try:
    import pyarrow, pyarrow.parquet
except ImportError:
    print(read(b"PAR1"))
else:
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"id": ["a", "b"], "target": [1, 0], "more": [[1], [2]]}), buffer)
    print(read(buffer.getvalue()))
"""


def test_the_server_reads_parquet_with_the_extra_and_says_so_without(wheel: Path, tmp_path: Path) -> None:
    uv, python = Path(sys.executable).parent / "uv", tmp_path / "venv/bin/python"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv"], check=True)

    def read_after_installing(*packages: str) -> str:
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *packages], check=True)
        return subprocess.run([python, "-c", READ], check=True, capture_output=True, text=True).stdout

    # Of what the server needs, reading a table takes msgspec only.
    without = read_after_installing(str(wheel), "msgspec")
    assert without == "the server can't read Parquet: log CSV or JSON, or have its operator install pyarrow\n"
    assert read_after_installing(f"mltrail[parquet] @ {wheel.as_uri()}") == "[('a', 1), ('b', 0)]\n"


def test_a_bare_install_runs_the_job_side(wheel: Path, tmp_path: Path) -> None:
    uv = Path(sys.executable).parent / "uv"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv"], check=True)
    python = tmp_path / "venv/bin/python"
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, wheel], check=True)
    ran = subprocess.run([tmp_path / "venv/bin/mltrail", "--version"], check=True, capture_output=True, text=True)
    assert ran.stdout.startswith("mltrail ")
    listed = "import importlib.metadata as m; print(*(d.name.lower() for d in m.distributions()))"
    installed = subprocess.run([python, "-c", listed], check=True, capture_output=True, text=True).stdout.split()
    assert set(installed) == {"mltrail", "pyyaml", "urllib3"}
