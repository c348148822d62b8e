"""Machines fail while jobs log: nothing acknowledged is lost, each merge request has one note, and trainings go on.

The machines are network namespaces with the files of deploy/machines, see `site.py`. `make test-long` has each of them
killed, cut off and slowed down; `make test` tries a few of these faults.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.environments import CLIENTS
from tests.length import length
from tests.machines.network import inside

SHORT = ["note", "web-kill", "primary-cut"]
LONG = [
    *(
        "none",
        "web-kill",
        "web-cut",
        "web-slow",
        "worker-kill",
        "note",
        "claim",
        "worker-slow",
        "balancer-kill",
        "balancer-cut",
    ),
    *("none", "standby-kill", "standby-cut", "standby-slow", "primary-kill", "primary-cut", "primary-slow"),
    "primary-switchover",
    *("none", "s3-kill", "s3-cut", "s3-slow", "gitlab-kill", "gitlab-cut", "gitlab-slow", "none"),
]
REPEATED = length(short=1, long=3)


def can_make_machines() -> bool:
    """Whether this user may make namespaces: root, and not in a container that forbids it."""
    if os.geteuid() != 0:
        return False
    tried = subprocess.run(inside(["true"]), capture_output=True, check=False)
    return tried.returncode == 0


@pytest.mark.clients
@pytest.mark.e2e
@pytest.mark.long
@pytest.mark.timeout(length(short=900, long=4 * 3600))
def test_machines_fail_under_load(tmp_path: Path) -> None:
    if not can_make_machines():  # asked here, since it starts a process
        pytest.skip("network namespaces need root, in a container a privileged one")
    faults = length(short=SHORT, long=LONG) * REPEATED
    clients = length(short=["mlflow-2", "mlflow-3"], long=list(CLIENTS))
    command = [sys.executable, "-m", "tests.machines.drive", str(tmp_path / "site"), ",".join(clients), *faults]
    done = subprocess.run(inside(command), cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-6000:]}"
    report = json.loads((tmp_path / "site/report.json").read_text())
    assert [one["fault"] for one in report["faults"]] == faults
    assert report["checked"]["notes"] == len(faults)
    assert report["checked"]["trainings"] >= 2 * len(clients)
    assert report["checked"]["batches"] > 50 * len(faults)
