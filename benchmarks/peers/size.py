"""How much disk space an installation and a million metric points take."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

from .bases import Base
from .environments import FOLDER, ROOT
from .seed import seed_points

POINTS = 1_000_000
_METRIC_TABLE = {"mltrail": "metric", "mlflow": "metrics", "fasttrackml": "metrics"}


def of_points(base: Base) -> float:
    """Insert a million points of 100 runs into a running server's database, and return their size in MB."""
    table = _METRIC_TABLE[base.kind]
    before = _size(base, table)
    seed_points(base, POINTS)
    return (_size(base, table) - before) / 1e6


def of_installation(kind: str) -> tuple[float, int]:
    """Return an environment's MB and packages; mltrail's is made anew from this checkout."""
    folder = FOLDER / kind
    if kind == "mltrail":
        uv = Path(sys.executable).parent / "uv"
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([uv, "venv", "--quiet", folder], check=True)
        wanted = f"{ROOT}[server,postgres]"
        subprocess.run([uv, "pip", "install", "--quiet", "--python", folder / "bin/python", wanted], check=True)
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    packages = sum(path.name.endswith(".dist-info") for path in folder.glob("lib/*/site-packages/*"))
    return sum(path.stat().st_size for path in files) / 1e6, packages


def _size(base: Base, table: str) -> int:
    if base.database_url:
        import psycopg  # noqa: PLC0415 - for those who measure PostgreSQL

        with psycopg.connect(base.database_url) as server:
            row = server.execute("SELECT pg_total_relation_size(%s)", [table]).fetchone()
            return int(row[0]) if row else 0
    with sqlite3.connect(base.sqlite_file, timeout=60) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return base.sqlite_file.stat().st_size
