"""How long `mlflow.genai.evaluate` takes on mltrail and on `mlflow server`, in turns.

    .venv/bin/python -m benchmarks.evaluate                  500 cases, 5 rounds
    .venv/bin/python -m benchmarks.evaluate --cases 100 --rounds 3

Both servers are as they start by default, on SQLite. The client is
MLflow 3.18 in a process of its own for each measurement: it evaluates a few cases first, so that imports and first
connections do not count, then all of them, with a deterministic function and three scorers that are code. Nothing waits
for a language model, so that what is timed is the client and its server. Beside the elapsed time there is the
processor time of client and server, which depends less on what else the machine does.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.clients.environments import ENVIRONMENTS
from tests.differential.servers import TOKEN, mlflow_server, mltrail_server

EVALUATION = """
import contextlib, io, sys, time
import mlflow
from mlflow.genai.scorers import scorer

@scorer
def exact(outputs, expectations):
    return outputs == expectations["answer"]

@scorer
def length(outputs):
    return len(outputs)

@scorer
def polite(outputs):
    return "yes" if "please" in outputs.lower() else "no"

def predict(question):
    return question.upper()

def evaluate(count):
    data = [
        {"inputs": {"question": f"question {number}, please"}, "expectations": {"answer": f"QUESTION {number}, PLEASE"}}
        for number in range(count)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        return mlflow.genai.evaluate(data=data, predict_fn=predict, scorers=[exact, length, polite])

mlflow.set_experiment("evaluations")
evaluate(5)
clock, processor = time.perf_counter(), time.process_time()
result = evaluate(int(sys.argv[1]))
clock, processor = time.perf_counter() - clock, time.process_time() - processor
assert result.metrics["exact/mean"] == 1.0, result.metrics
assert len(result.result_df) == int(sys.argv[1])
print(clock, processor)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    taken: dict[str, list[list[float]]] = defaultdict(list)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        for name in ("mltrail", "mlflow", "client"):
            (folder / name).mkdir()
        servers = {
            "mltrail": stack.enter_context(mltrail_server(folder / "mltrail")),
            "mlflow server": stack.enter_context(mlflow_server(folder / "mlflow")),
        }
        for turn in range(options.rounds):
            for name in sorted(servers, reverse=turn % 2 == 1):
                taken[name].append(evaluated(servers[name], options.cases, folder / "client"))
                print(name.ljust(14), said(taken[name][-1], options.cases))
    for name, measured in taken.items():
        print(
            name.ljust(14), said([statistics.median(column) for column in zip(*measured, strict=True)], options.cases)
        )
    for what, column in (("time", 0), ("server's processor time", 2)):
        pairs = zip(taken["mltrail"], taken["mlflow server"], strict=True)
        ratios = [theirs[column] / ours[column] for ours, theirs in pairs]
        print(f"{what}: mlflow server needs {statistics.median(ratios):.2f} times as much as mltrail, {ratios}")


def said(measured: Sequence[float], cases: int) -> str:
    elapsed, client, server = measured
    each = elapsed / cases * 1000
    return f"{elapsed:7.2f} s ({each:.1f} ms a case), of processors: client {client:.2f} s, server {server:.2f} s"


def evaluated(uri: str, cases: int, home: Path) -> list[float]:
    """Seconds that an evaluation takes: elapsed, and of the processors of client and server."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_TRACKING_TOKEN": TOKEN,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
    }
    command = [ENVIRONMENTS / "mlflow-3/bin/python", "-W", "ignore", "-c", EVALUATION, str(cases)]
    before = processor_of_servers()
    ran = subprocess.run(command, cwd=home, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return [*(float(part) for part in ran.stdout.split()[-2:]), processor_of_servers() - before]


def processor_of_servers() -> float:
    """Processor seconds of all processes below this one that live: the servers, of which one works at a time."""
    waiting, ticks = children(os.getpid()), 0
    while waiting:
        pid = waiting.pop()
        waiting += children(pid)
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(stat[11]) + int(stat[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


if __name__ == "__main__":
    main()
