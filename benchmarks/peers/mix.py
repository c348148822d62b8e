"""Whole trainings: 32 jobs at once as CI runs them, and how much its tracking server delays a training loop."""

import json
import threading
import time
from http.client import HTTPConnection

from .items import SMALL, Bench, Item
from .load import Sample, load
from .seed import now_ms

JOBS = 32
BATCHES = 20
LOOPS = 8
STEPS = 150
STEP_SECONDS = 0.02


def ci_mix(bench: Bench) -> Sample:
    """Run 32 jobs at once: each begins a run, logs parameters, 20 batches of 50 metrics and a file, reads its run and
    its experiment, and ends.
    """
    runs: dict[int, str] = {}
    files = bool(bench.base.files)
    script = ["create", "params", *["batch"] * BATCHES, *(["file"] if files else []), "get", "search", "end"]

    def call(client: int, n: int) -> bytes:  # noqa: PLR0911 - one for each step
        step = script[n] if n < len(script) else "get"
        run = runs.get(client, "")
        if step == "create":
            return bench.post("runs/create", {"experiment_id": bench.experiment, "start_time": now_ms()})
        if step == "params":
            params = [{"key": f"p{i}", "value": str(i)} for i in range(20)]
            return bench.post("runs/log-batch", {"run_id": run, "params": params})
        if step == "batch":
            metrics = [{"key": f"m{i}", "value": i * 0.1, "timestamp": now_ms(), "step": n} for i in range(50)]
            return bench.post("runs/log-batch", {"run_id": run, "metrics": metrics})
        if step == "file":
            return bench.file("PUT", f"{run}/model.bin", SMALL * 16)
        if step == "search":
            return bench.post("runs/search", {"experiment_ids": [bench.experiment], "max_results": 20})
        if step == "end":
            return bench.post("runs/update", {"run_id": run, "status": "FINISHED", "end_time": now_ms()})
        return bench.get(f"runs/get?run_id={run}")

    def answered(client: int, n: int, body: bytes) -> None:
        if n == 0:
            runs[client] = json.loads(body)["run"]["info"]["run_id"]

    return load(bench.base.address, call, clients=JOBS, calls=JOBS * len(script), answered=answered)


def training_loops(bench: Bench) -> Sample:
    """Log one metric a step from 8 trainings at once, each with 20 ms of work a step; the time is what logging adds."""
    sample = Sample()
    lock = threading.Lock()
    body_of = {"key": "loss", "value": 0.5}
    headers = bench.base.headers | {"Content-Type": "application/json"}

    def train(number: int) -> None:
        connection = HTTPConnection(*bench.base.address)
        took = []
        for step in range(STEPS):
            body = json.dumps(body_of | {"run_id": bench.runs[number], "timestamp": now_ms(), "step": step})
            begun = time.perf_counter()
            connection.request("POST", bench.base.prefix + "runs/log-metric", body, headers)
            connection.getresponse().read()
            took.append((time.perf_counter() - begun) * 1000)
            time.sleep(STEP_SECONDS)
        connection.close()
        with lock:
            sample.milliseconds += took

    begun = time.perf_counter()
    trainings = [threading.Thread(target=train, args=(number,)) for number in range(LOOPS)]
    for training in trainings:
        training.start()
    for training in trainings:
        training.join()
    sample.seconds = time.perf_counter() - begun
    return sample


MIXES = [
    Item("32 jobs at once", work=ci_mix),
    Item("what training feels: 8 trainings, 50 steps a second each", work=training_loops),
]
JOBS_ITEM, TRAINING_ITEM = (item.name for item in MIXES)
"""Of these, the time of a call is what matters."""
