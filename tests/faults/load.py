"""Training jobs that log all the time, remember what was acknowledged, and afterwards ask for all of it."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import urllib3

from tests.processes import PATIENCE_SECONDS

KEYS = ("loss", "accuracy", "rate")
FILE_EVERY = 5
AGAIN = (429, 502, 503, 504)
_PAUSE_SECONDS = 0.05


class Connection:
    """One client's connection to a project; it is kept open."""

    def __init__(self, tracking_uri: str, token: str, failed: Callable[[], None] = lambda: None) -> None:
        self._failed = failed
        self.last = ""  # why a call was not acknowledged
        self._base = tracking_uri
        self._token = token
        self._pool = urllib3.PoolManager(maxsize=1, timeout=urllib3.Timeout(30), retries=False)

    def ask(self, method: str, path: str, **options: Any) -> urllib3.BaseHTTPResponse | None:
        """Send once. Returns None where the call was not acknowledged, so that it is unknown whether it was done."""
        headers = {"Authorization": f"Bearer {self._token}"}
        try:
            answer = self._pool.request(method, f"{self._base}/api/2.0/{path}", headers=headers, **options)
        except urllib3.exceptions.HTTPError as error:
            answer, self.last = None, repr(error)
        if answer is not None and answer.status in AGAIN:
            answer, self.last = None, answer.data.decode()
        if answer is None:
            self._failed()
            return None
        assert answer.status == 200, (answer.status, answer.data)
        return answer

    def insist(self, method: str, path: str, **options: Any) -> urllib3.BaseHTTPResponse:
        """Send until it is acknowledged, as MLflow's client does; not for ever, either."""
        until = time.monotonic() + PATIENCE_SECONDS
        while (answer := self.ask(method, path, **options)) is None:
            assert time.monotonic() < until, f"{method} {path}: for {PATIENCE_SECONDS} s {self.last}"
            time.sleep(_PAUSE_SECONDS)  # as a client between two tries: the server is away, and has no use for more
        return answer


@dataclass
class Training:
    """One run: which of its steps were acknowledged, and which may or may not have been stored."""

    run_id: str
    sure: list[int] = field(default_factory=list)
    unsure: list[int] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    def copy(self) -> "Training":
        """Return it as it is now, although its client goes on meanwhile."""
        return Training(self.run_id, self.sure.copy(), self.unsure.copy(), self.files.copy())

    def log(self, connection: Connection, step: int) -> None:
        """Log a step's batch. Every second one that is not acknowledged is not sent again."""
        body = {
            "run_id": self.run_id,
            "metrics": [{"key": key, "value": step / 2, "timestamp": 1000 + step, "step": step} for key in KEYS],
            "params": [{"key": f"p{step}", "value": str(step)}],
        }
        if connection.ask("POST", "mlflow/runs/log-batch", json=body):
            self.sure.append(step)
        elif step % 2:
            self.unsure.append(step)
        else:
            connection.insist("POST", "mlflow/runs/log-batch", json=body)
            self.sure.append(step)

    def upload(self, connection: Connection, step: int) -> None:
        name, content = f"step-{step}.txt", f"content of step {step} of {self.run_id}".encode() * 20
        connection.insist("PUT", self._file(name), body=content)
        self.files[name] = content

    def check(self, connection: Connection) -> None:
        """What was acknowledged is there once; of the rest each batch is there as a whole or not at all."""
        found = []
        for key in KEYS:
            history = connection.insist(
                "GET", f"mlflow/metrics/get-history?run_id={self.run_id}&metric_key={key}"
            ).json()
            points = history.get("metrics", [])
            assert all(point["value"] == point["step"] / 2 for point in points)
            steps = [point["step"] for point in points]
            assert len(steps) == len(set(steps)), f"{key} of {self.run_id} has points twice"
            found.append(set(steps))
        run = connection.insist("GET", f"mlflow/runs/get?run_id={self.run_id}").json()["run"]["data"]
        found.append({int(param["value"]) for param in run.get("params", [])})
        assert all(steps == found[0] for steps in found), f"half a batch in {self.run_id}"
        lost = set(self.sure) - found[0]
        assert not lost, f"acknowledged and lost in {self.run_id}: {sorted(lost)}"
        assert found[0] <= {*self.sure, *self.unsure}
        for name, content in self.files.items():
            assert connection.insist("GET", self._file(name)).data == content

    def _file(self, name: str) -> str:
        return f"mlflow-artifacts/artifacts/0/{self.run_id}/artifacts/{name}"


@dataclass
class Load:
    """Clients that train one run after the other until they have to stop."""

    tracking_uri: str
    token: str
    steps: int = 40  # of a run
    pause: float = 0.0  # seconds between two steps
    acknowledged: int = 0
    failed: int = 0  # calls that were not acknowledged at first
    trainings: list[Training] = field(default_factory=list)
    _clients: list[Future[None]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def running(self, clients: int) -> Iterator[None]:
        """Have the load while the block runs; a client's failure is raised at its end."""
        with ThreadPoolExecutor(clients) as pool:
            self._clients = [pool.submit(self._train) for _ in range(clients)]
            try:
                yield
            finally:
                self._stop.set()
        for client in self._clients:
            client.result()

    def wait_for(self, more: int, *, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until so many further batches are acknowledged."""
        goal, until = self.acknowledged + more, time.monotonic() + seconds
        while self.acknowledged < goal:
            for client in self._clients:
                if client.done():
                    client.result()
            assert time.monotonic() < until, f"{more} batches took more than {seconds} s"
            self._stop.wait(0.02)

    def check(self) -> int:
        """Read everything back, and return how many batches that was."""
        connection = Connection(self.tracking_uri, self.token)
        for training in self.trainings:
            training.check(connection)
        return sum(len(training.sure) for training in self.trainings)

    def _fail(self) -> None:
        with self._lock:
            self.failed += 1

    def _train(self) -> None:
        connection = Connection(self.tracking_uri, self.token, self._fail)
        while not self._stop.is_set():
            made = connection.insist("POST", "mlflow/runs/create", json={"experiment_id": "0"}).json()
            training = Training(made["run"]["info"]["run_id"])
            with self._lock:
                self.trainings.append(training)
            for step in range(self.steps):
                if self._stop.is_set():
                    break
                training.log(connection, step)
                with self._lock:
                    self.acknowledged += 1
                if step % FILE_EVERY == 0:
                    training.upload(connection, step)
                self._stop.wait(self.pause)
            body = {"run_id": training.run_id, "status": "FINISHED"}
            connection.insist("POST", "mlflow/runs/update", json=body)
