"""What the component `track` costs a training job: no call more, and next to no time.

`python -m benchmarks.track` measures it more closely.
"""

import os
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import urllib3

from tests.component.render import render
from tests.e2e.processes import Server
from tests.places import ROOT, TRAIN_PYTHON

TOKEN = "token-of-the-job"
JOB = {"CI_JOB_ID": "4711", "CI_PROJECT_ID": "1", "CI_PIPELINE_ID": "1001", "CI_COMMIT_SHA": "a1" * 20}
TRAINING = """
import time
import mlflow

mlflow.set_experiment("churn")
mlflow.start_run().__exit__(None, None, None)  # loads what MLflow loads late
spent = []
for _ in range(5):
    before = time.process_time()
    with mlflow.start_run():
        mlflow.log_metric("auc", 0.9)
    spent.append(time.process_time() - before)
print(min(spent))
"""

pytestmark = [pytest.mark.e2e, pytest.mark.train]


def calls(url: str) -> Counter[str]:
    """How often each route was called, as the server counts."""
    metrics = urllib3.request("GET", f"{url}/metrics").data.decode()
    found = re.findall(r"^mltrail_http_request_seconds_count\{(.*)\} (\S+)$", metrics, re.MULTILINE)
    return Counter({labels: round(float(count)) for labels, count in found if "/ml/" in labels})


def train(url: str, added: dict[str, str]) -> float:
    """Train as a job does, with nothing of this machine's; answer the seconds of the processor for a run."""
    needed = {
        "PATH": os.environ["PATH"],
        "MLFLOW_TRACKING_URI": f"{url}/api/v4/projects/1/ml/mlflow",
        "MLFLOW_TRACKING_TOKEN": TOKEN,
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [TRAIN_PYTHON, "-W", "ignore", "-c", TRAINING]
    ran = subprocess.run(command, env=JOB | added | needed, check=True, capture_output=True, text=True)
    return float(ran.stdout.split()[-1])


def test_track_makes_no_call_and_takes_no_time(tmp_path: Path) -> None:
    with Server.started(tmp_path, token=TOKEN) as server:
        (job,) = render(ROOT / "templates/track.yml", {"server": server.url}).values()
        added = {
            name: re.sub(r"\$(\w+)", lambda found: JOB.get(found[1], ""), text)
            for name, text in job["variables"].items()
        }
        experiments = f"{server.url}/api/v4/projects/1/ml/mlflow/api/2.0/mlflow/experiments/create"
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        urllib3.request("POST", experiments, json={"name": "churn"}, headers=bearer)  # it is there for both
        start = calls(server.url)
        plain_seconds = [train(server.url, {})]
        plain = calls(server.url)
        tracked_seconds = [train(server.url, added)]
        tracked = calls(server.url)
        # In turns, since a busy machine's processor is slower for a while: the least of each is what it takes.
        for _ in range(2):
            plain_seconds.append(train(server.url, {}))
            tracked_seconds.append(train(server.url, added))
    assert plain - start == tracked - plain
    assert sum((plain - start).values()) > 10
    assert min(tracked_seconds) - min(plain_seconds) < 0.05
