"""What the component `track` costs a training job, and how long `mltrail` takes to start.

    .venv/bin/python -m benchmarks.track                  20 rounds
    .venv/bin/python -m benchmarks.track --rounds 50

A job is a shell that runs one Python with MLflow, which begins a run, logs to it and ends it. It runs with what `track`
adds to a job's environment and without, in turn, against the same server in local mode. The two differ in that MLflow
reads the tags of MLFLOW_RUN_CONTEXT and sends them with the run: there is no call more, and nothing is installed. So
the run is what is timed, from its begin to its end, and beside it the processor's time of the whole job, most of which
is the import of MLflow and varies by more than what is looked for.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
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
clock, processor = time.perf_counter(), time.process_time()
with mlflow.start_run():
    mlflow.log_metric("auc", 0.9)
print(time.process_time() - processor, time.perf_counter() - clock)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder, Server.started(Path(folder), token=TOKEN) as server:
        tracked, plain = environments(server.url)
        command = ["sh", "-e", "-c", f'"{TRAIN_PYTHON}" -W ignore -c "$0"', TRAINING]
        differences = []
        for _ in range(rounds):
            measured = [timed(command, one) for one in (tracked, plain)]
            differences.append([with_it - without for with_it, without in zip(*measured, strict=True)])
    for what, taken in zip(
        ("job (processor)", "run (processor)", "run (clock)"), zip(*differences, strict=True), strict=True
    ):
        show(f"more with track than without: {what}", taken)
    for name, *arguments in (("mltrail", "--version"), ("mltrail", "report", "--help"), ("python", "-c", "pass")):
        command = [str(Path(sys.executable).parent / name), *arguments]
        show(f"{' '.join((name, *arguments))} (processor)", [processor(command)[0] for _ in range(rounds)])


def environments(url: str) -> tuple[dict[str, str], dict[str, str]]:
    """A job's environment with what `track` adds, and one with only what MLflow needs to log at all."""
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
    for name, variable in JOB.items():
        value = value.replace(f"${name}", variable)
    return value


def timed(command: list[str], environment: dict[str, str]) -> list[float]:
    """Seconds: processor time of a whole job, processor time of its run, elapsed time of its run."""
    spent, printed = processor(command, environment)
    return [spent, *map(float, printed.split()[-2:])]


def processor(command: list[str], environment: dict[str, str] | None = None) -> tuple[float, str]:
    """Processor seconds of a command, however busy the machine is; and what it prints."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, ran.stdout


def show(what: str, taken: Sequence[float]) -> None:
    quartiles = statistics.quantiles((one * 1000 for one in taken), n=4)
    print(f"{what:52} median {quartiles[1]:7.1f} ms   quartiles {quartiles[0]:7.1f} {quartiles[2]:7.1f}")


if __name__ == "__main__":
    main()
