"""What `pip install mltrail` brings."""

import subprocess
import sys
import zipfile
from pathlib import Path


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
