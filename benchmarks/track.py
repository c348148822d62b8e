"""What the component `track` costs a training job, and how long `mltrail` takes to start.

    .venv/bin/python -m benchmarks.track                  20 rounds
    .venv/bin/python -m benchmarks.track --rounds 50

A job is a shell that runs one Python with MLflow: it begins runs, logs to each and ends it. It runs with what `track`
adds to a job's environment and without, in turn, against the same server in local mode. The two differ in that MLflow
reads the tags of MLFLOW_RUN_CONTEXT and sends them with the run: there is no call more.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.component.render import render
from tests.e2e.processes import Server

ROOT = Path(__file__).parents[1]
TRAIN_PYTHON = ROOT / ".venv-train/bin/python"
TOKEN = "token-of-the-benchmark"  # noqa: S105 - of a server that lives for this benchmark
JOB = {"CI_JOB_ID": "4711", "CI_PROJECT_ID": "1", "CI_PIPELINE_ID": "1001", "CI_COMMIT_SHA": "a1" * 20}
TRAINING = """
import time
import mlflow

mlflow.set_experiment("churn")
begun = time.perf_counter()
for _ in range(5):
    with mlflow.start_run():
        mlflow.log_metric("auc", 0.9)
print((time.perf_counter() - begun) / 5)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder, Server.started(Path(folder), token=TOKEN) as server:
        tracked, plain = environments(server.url)
        command = ["sh", "-e", "-c", f'"{TRAIN_PYTHON}" -W ignore -c "$0"', TRAINING]
        jobs, runs = [], []
        for _ in range(rounds):
            (with_job, with_run), (without_job, without_run) = (timed(command, one) for one in (tracked, plain))
            jobs.append(with_job - without_job)
            runs.append(with_run - without_run)
    show("a job with track, more than one without", jobs)
    show("a run with track, more than one without", runs)
    show("mltrail --help", [seconds(lambda: started("mltrail", "--help")) for _ in range(rounds)])
    show("python -c pass, as a measure", [seconds(lambda: started("python", "-c", "pass")) for _ in range(rounds)])


def environments(url: str) -> tuple[dict[str, str], dict[str, str]]:
    """A job's environment with what `track` adds, and with no more than what MLflow needs to log at all."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    needed = {
        "MLFLOW_TRACKING_URI": f"{url}/api/v4/projects/1/ml/mlflow",
        "MLFLOW_TRACKING_TOKEN": TOKEN,
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    (job,) = render(ROOT / "templates/track.yml", {"server": url}).values()
    added = {name: filled(value) for name, value in job["variables"].items()}
    return kept | JOB | added | needed, kept | JOB | needed


def filled(value: str) -> str:
    for name, told in JOB.items():
        value = value.replace(f"${name}", told)
    return value


def timed(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Seconds of a whole job, and of one run in it."""
    begun = time.perf_counter()
    ran = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)  # noqa: S603 - our own
    return time.perf_counter() - begun, float(ran.stdout.split()[-1])


def started(name: str, *arguments: str) -> None:
    command = [Path(sys.executable).parent / name, *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own


def seconds(action: Callable[[], None]) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def show(what: str, taken: list[float]) -> None:
    quartiles = statistics.quantiles((one * 1000 for one in taken), n=4)
    print(f"{what:44} median {quartiles[1]:7.1f} ms   quartiles {quartiles[0]:7.1f} {quartiles[2]:7.1f}")


if __name__ == "__main__":
    main()
