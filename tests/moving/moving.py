"""Move a history into a mltrail, and compare what both servers say of it."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.differential.servers import TOKEN
from tests.e2e.processes import COMMAND, Server

from .asking import Side

VERSIONS = {"mlflow-1.28": (1, 28), "mlflow-2": (2, 22), "mlflow-3": (3, 18)}


@dataclass
class Import:
    """What an import said."""

    code: int
    report: dict[str, Any]
    findings: list[dict[str, Any]]


@contextmanager
def moved_to(folder: Path) -> Iterator[Side]:
    with Server.started(folder, token=TOKEN) as server:
        yield Side(f"{server.url}/api/v4/projects/1/ml/mlflow", {"Authorization": f"Bearer {TOKEN}"})


def move(old: Path, url: str, way: str, new: Path) -> Import:
    """Import beside the running server whose data is in `new`."""
    source = {
        "REST": ["--from-mlflow", url],
        "database": ["--from-database", f"sqlite:///{old}/mlflow.db", "--artifacts-root", str(old / "files")],
    }
    findings = new / "findings.jsonl"
    command = [str(COMMAND), "import", "--data-dir", str(new), *source[way], "--project", "1", "--json", "--quiet"]
    done = subprocess.run(
        [*command, "--report", str(findings)],
        env=os.environ | {"MLTRAIL_LOCAL_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    lines = findings.read_text().splitlines() if findings.exists() else []
    return Import(done.returncode, json.loads(done.stdout), [json.loads(line) for line in lines])
