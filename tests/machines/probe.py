"""A call to mltrail four times a second, each over a connection of its own, to see when calls are served again."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Self

from tests.faults.load import Connection
from tests.processes import PATIENCE_SECONDS

_PAUSE_SECONDS = 0.25
_PROMPT_SECONDS = 5.0
"""A call that takes longer is disturbed: its client waits for a machine that does not answer."""
_IN_A_ROW = 12
"""So many calls that are not disturbed, three seconds of them, and the fault is over."""

_RUNS = 32
"""The calls log to so many runs in turn, as many jobs would: one run's metrics are written one after the other."""


@dataclass
class _Call:
    step: int
    began: float
    ended: float | None = None
    acknowledged: bool = False

    @property
    def is_prompt(self) -> bool:
        return self.acknowledged and self.ended is not None and self.ended - self.began < _PROMPT_SECONDS


@dataclass(frozen=True)
class Disturbance:
    """What became of calls that began after a fault. In seconds after it: when the first one was acknowledged, and when
    the last one began that was disturbed. And how many seconds the slowest one took that was acknowledged.
    """

    first: float
    last: float
    slowest: float


@dataclass
class Probe:
    """Use it as a context; its thread, and so its calls, belong to the machine that this thread has entered."""

    tracking_uri: str
    token: str
    _calls: list[_Call] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        connection = Connection(self.tracking_uri, self.token)
        body = {"experiment_id": "0", "run_name": "probe"}
        made = [connection.insist("POST", "mlflow/runs/create", json=body).json() for _ in range(_RUNS)]
        self._runs = [one["run"]["info"]["run_id"] for one in made]
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def wait_until_over(self, since: float) -> Disturbance:
        """Wait until calls are no longer disturbed by what happened at `since`."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            now = time.monotonic()
            calls = [call for call in list(self._calls) if call.began >= since]
            known = [call for call in calls if call.ended is not None or now - call.began > _PROMPT_SECONDS]
            if len(known) >= _IN_A_ROW and all(call.is_prompt for call in known[-_IN_A_ROW:]):
                break
            assert now < until, known[-_IN_A_ROW:]
            self._stop.wait(0.1)
        acknowledged = [(call.began, call.ended) for call in known if call.acknowledged and call.ended is not None]
        return Disturbance(
            first=min(ended for _, ended in acknowledged) - since,
            last=max((call.began - since for call in known if not call.is_prompt), default=0.0),
            slowest=max(ended - began for began, ended in acknowledged),
        )

    def check(self, connection: Connection) -> int:
        """What was acknowledged is there, and nothing twice; return how many calls that was."""
        found: list[int] = []
        for run_id in self._runs:
            path = f"mlflow/metrics/get-history?run_id={run_id}&metric_key=step&max_results=25000"
            found += [point["step"] for point in connection.insist("GET", path).json().get("metrics", ())]
        acknowledged = {call.step for call in self._calls if call.acknowledged}
        assert len(found) == len(set(found)), "a step twice"
        assert not acknowledged - set(found), f"acknowledged and lost: {sorted(acknowledged - set(found))}"
        return len(acknowledged)

    def _look(self) -> None:
        with ThreadPoolExecutor(400) as pool:
            while not self._stop.wait(_PAUSE_SECONDS):
                call = _Call(len(self._calls), time.monotonic())
                self._calls.append(call)
                pool.submit(self._send, call)

    def _send(self, call: _Call) -> None:
        connection = Connection(self.tracking_uri, self.token)
        run_id = self._runs[call.step % _RUNS]
        body = {"run_id": run_id, "key": "step", "value": 1.0, "timestamp": 1000 + call.step, "step": call.step}
        answer = connection.ask("POST", "mlflow/runs/log-metric", json=body)
        call.ended, call.acknowledged = time.monotonic(), answer is not None
