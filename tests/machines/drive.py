"""Try faults on a site of several machines, under load, in the namespaces that `network.inside` makes:

python -m tests.machines FOLDER CLIENT,… FAULT…

A fault is `none`, `note`, or a machine and what becomes of it: web, worker, balancer, primary, standby, s3 or gitlab;
kill, cut or slow. What was measured is written to FOLDER/report.json.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import flask

from tests.faults.load import Connection, Load
from tests.faults.trainings import Trainings
from tests.machines.network import Host, wait_until
from tests.machines.probe import Disturbance, Probe
from tests.machines.site import WORKERS, Site
from tests.processes import PATIENCE_SECONDS

_LOAD_CLIENTS = 2
_SLOW = {"milliseconds": 150, "loss": 0.01}  # each way
_AWAY_SECONDS = 15.0
"""How long a machine is away that nothing takes over from."""


@dataclass
class Measured:
    """What became of a fault. `note`: so many seconds later, a merge request that was opened then had its note."""

    fault: str
    calls: Disturbance
    note: float


@dataclass
class Checked:
    """What was read back in the end."""

    batches: int
    calls: int
    trainings: int
    notes: int


class Drive:
    def __init__(self, site: Site, probe: Probe) -> None:
        self._site = site
        self._probe = probe
        self._requests: dict[int, str] = {}  # merge requests, and the run of each

    def run(self, fault: str) -> Measured:
        """Have a machine fail, wait until calls are served and a note is written, and repair it."""
        if fault == "note":
            return self._cut_off_while_publishing()
        kind, _, how = fault.partition("-")
        host = self._host(kind)
        break_it: dict[str, Callable[[], None]] = {
            "": lambda: None,
            "kill": self._site.network[host.name].kill if kind not in ("s3", "gitlab") else host.refuse,
            "cut": host.cut_off,
            "slow": lambda: host.slow_down(**_SLOW),
        }
        began = time.monotonic()
        break_it[how]()
        if kind in ("s3", "gitlab", "balancer") and how != "slow":
            if kind != "balancer":
                self._probe.wait_until_over(began)
            wait_until(
                lambda: time.monotonic() - began > _AWAY_SECONDS, "the machine is away", seconds=PATIENCE_SECONDS
            )
            host.heal()
        request = self._open_merge_request()
        calls = self._probe.wait_until_over(began)
        note = self._wait_for_note(request, began)
        host.heal()
        self._settle()
        return Measured(fault, calls, note)

    def _cut_off_while_publishing(self) -> Measured:
        """Cut a worker off when GitLab has made its note, so that it never hears of it; the other one takes over."""
        cut: list[Host] = []

        def cut_caller_off() -> None:
            caller = next(
                host for name in WORKERS if (host := self._site.network[name]).address == flask.request.remote_addr
            )
            caller.cut_off()
            cut.append(caller)

        self._site.gitlab.fail_next("POST", r"/notes$", after=True, act=cut_caller_off)
        began = time.monotonic()
        request = self._open_merge_request()
        note = self._wait_for_note(request, began)
        wait_until(lambda: cut, "the worker is cut off", seconds=PATIENCE_SECONDS)
        calls = self._probe.wait_until_over(began)
        # It has given up, and tries again when it is back.
        _wait_for_repair(began)
        cut[0].heal()
        self._settle()
        return Measured("note", calls, note)

    def _host(self, kind: str) -> Host:
        primary = self._site.primary()
        standby = self._site.standby()
        assert primary
        assert standby
        roles = {"primary": primary.name, "standby": standby.name, "web": "web1", "worker": "worker1", "balancer": "lb"}
        return self._site.network[roles.get(kind, kind if kind != "none" else "clients")]

    def _open_merge_request(self) -> int:
        """Have a job of a merge request log a run, and end."""
        request, job = self._site.merge_request()
        with self._site.network["clients"].entered():
            connection = Connection(self._site.tracking_uri, self._site.token(job))
            made = connection.insist("POST", "mlflow/runs/create", json={"experiment_id": "0", "run_name": "churn"})
            run_id = made.json()["run"]["info"]["run_id"]
            metric = {"run_id": run_id, "key": "accuracy", "value": 0.75, "timestamp": 1000, "step": 0}
            connection.insist("POST", "mlflow/runs/log-metric", json=metric)
            self._site.gitlab.set_job(job, "success")
            connection.insist("POST", "mlflow/runs/update", json={"run_id": run_id, "status": "FINISHED"})
        self._requests[request.iid] = run_id
        return request.iid

    def _wait_for_note(self, request: int, since: float) -> float:
        wait_until(lambda: self._notes(request), f"!{request} has a note", seconds=PATIENCE_SECONDS)
        return time.monotonic() - since

    def _settle(self) -> None:
        wait_until(self._site.is_whole, "all machines are back", seconds=PATIENCE_SECONDS)

    def _notes(self, request: int) -> list[str]:
        return [note.body for note in self._site.gitlab.notes(self._site.project, request)]

    def check_notes(self) -> int:
        """Each merge request has one note, about its run."""
        for request in self._requests:
            bodies = self._notes(request)
            assert len(bodies) == 1, (request, bodies)
            assert "0.75" in bodies[0], bodies[0]
        return len(self._requests)


def _wait_for_repair(began: float) -> None:
    wait_until(lambda: time.monotonic() - began > _AWAY_SECONDS, "the machine is repaired", seconds=PATIENCE_SECONDS)


def check_logs(site: Site) -> None:
    said = site.log("web1", "web2", *WORKERS)
    assert "internal error" not in said
    assert "could not be reconciled" not in said


def main(folder: Path, faults: list[str], clients: list[str]) -> None:
    site = Site(folder)
    site.set_up()
    os.environ["SSL_CERT_FILE"] = str(site.certificate)
    host = site.network["clients"]
    measured = []
    with ExitStack() as stack:
        with host.entered():
            probe = stack.enter_context(Probe(site.tracking_uri, site.token()))
            load = Load(site.tracking_uri, site.token())
            stack.enter_context(load.running(_LOAD_CLIENTS))
        trainings = Trainings(
            site.tracking_uri,
            site.token(),
            folder / "trainings",
            clients,
            before=("ip", "netns", "exec", host.name),
            variables={"REQUESTS_CA_BUNDLE": str(site.certificate)},
        )
        trainings.wait_for_a_run_more()
        drive = Drive(site, probe)
        for fault in faults:
            measured.append(drive.run(fault))
            sys.stdout.write(json.dumps(asdict(measured[-1])) + "\n")
            sys.stdout.flush()
        load.wait_for(50)
        trainings.wait_for_a_run_more()
        trainings.end()
    with host.entered():
        connection = Connection(site.tracking_uri, site.token())
        checked = Checked(load.check(), probe.check(connection), trainings.check(connection), drive.check_notes())
    check_logs(site)
    report = {"faults": [asdict(one) for one in measured], "checked": asdict(checked)}
    (folder / "report.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[3:], sys.argv[2].split(","))
