"""What `pip install mltrail` brings."""

import subprocess
import sys
import zipfile
from pathlib import Path

SERVER_ONLY = {"flask", "sqlalchemy", "alembic", "granian", "jinja2", "msgspec", "jwt", "gitlab", "boto3"}


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
