"""Try faults on a site of several machines, under load, in the namespaces that `network.inside` makes:

python -m tests.machines FOLDER CLIENT,… FAULT…

A fault is `none`, `note` or `claim` (a worker is cut off while it publishes), or a machine and what becomes of it: web,
worker, balancer, primary, standby, s3 or gitlab; kill, cut or slow; or `primary-switchover`.
What was measured is written to FOLDER/report.json.
"""

import json
import os
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import flask

from tests.fakes.gitlab import Job, MergeRequest
from tests.faults.load import Connection, Load
from tests.faults.trainings import Trainings
from tests.length import length
from tests.machines.network import Host
from tests.machines.probe import Disturbance, Probe
from tests.machines.site import DATABASES, WORKERS, Site
from tests.processes import PATIENCE_SECONDS, wait_until

_LOAD_CLIENTS = 2
_SLOW_MS, _LOSS = 150, 0.01  # each way
_BATCHES = 55
"""So many are acknowledged for each fault, or possibly stored: `test_failover.py` wants to find more than 50."""

_AWAY_SECONDS = 15.0
"""How long a machine is down if no other one takes over from it."""

OTHERS = ("s3", "gitlab")
"""Other people's machines, which only answer the site."""


@dataclass
class Measured:
    """The result of a fault. `note`: how many seconds later a merge request that was opened then had its note."""

    fault: str
    calls: Disturbance
    note: float


@dataclass
class Checked:
    """What was read back at the end."""

    batches: int
    calls: int
    trainings: int
    notes: int


class Drive:
    def __init__(self, site: Site, probe: Probe) -> None:
        self._site = site
        self._probe = probe
        self._said: dict[int, str] = {}  # by merge request: the accuracy that its note must show

    def run(self, fault: str) -> Measured:
        """Have a machine fail, wait until calls are served and a note is written, and repair it."""
        if fault in ("note", "claim"):
            return self._cut_off_while_publishing(fault)
        kind, _, how = fault.partition("-")
        host = self._host(kind)
        began = time.monotonic()
        self._break(host, how)
        if kind in OTHERS:
            self._probe.wait_until_over(began)  # calls that need neither are served meanwhile
        if kind in (*OTHERS, "balancer") and how != "slow":
            _wait_for_repair(began)
            host.heal()
        request = self._train(self._site.merge_request())
        calls = self._probe.wait_until_over(began)
        note = self._wait_for_note(request, began)
        host.heal()
        self._settle()
        return Measured(fault, calls, note)

    def _break(self, host: Host, how: str) -> None:
        if how == "kill" and host.name in OTHERS:
            host.refuse()  # the stand-in has everything in memory
        elif how == "kill":
            host.kill()
        elif how == "cut":
            host.cut_off()
        elif how == "switchover":
            self._site.switch_over(host)
        elif how:
            host.slow_down(milliseconds=_SLOW_MS, loss=_LOSS)

    def _cut_off_while_publishing(self, fault: str) -> Measured:
        """Cut a worker off when GitLab has made its note, so that it never hears of it. `note`: it comes back.
        `claim`: it stays away until the other one has taken over.
        """
        cut: list[Host] = []

        def cut_caller_off() -> None:
            workers = [self._site.network[name] for name in WORKERS]
            cut.extend(host for host in workers if host.address == flask.request.remote_addr)
            cut[0].cut_off()

        self._site.gitlab.fail_next("POST", r"/notes$", after=True, act=cut_caller_off)
        began = time.monotonic()
        merge_request = self._site.merge_request()
        request = self._train(merge_request)
        note = self._wait_for_note(request, began)
        wait_until(lambda: cut, "the worker is cut off")
        if fault == "claim":
            began = time.monotonic()
            self._train(self._site.push(merge_request[0]), accuracy=0.5)
            note = self._wait_for_note(request, began)
        calls = self._probe.wait_until_over(began)
        _wait_for_repair(began)  # by then it has given up
        cut[0].heal()
        self._settle()
        return Measured(fault, calls, note)

    def _host(self, kind: str) -> Host:
        standby = wait_until(self._site.standby, "there is a standby")
        primary = next(self._site.network[name] for name in DATABASES if name != standby.name)
        names = {"primary": primary.name, "standby": standby.name, "web": "web1", "worker": "worker1", "balancer": "lb"}
        return self._site.network[names.get(kind, kind if kind != "none" else "clients")]

    def _train(self, of: tuple[MergeRequest, Job], *, accuracy: float = 0.75) -> int:
        """Have a job of a merge request log a run, and end."""
        request, job = of
        with self._site.network["clients"].entered():
            connection = Connection(self._site.tracking_uri, self._site.token(job))
            made = connection.insist("POST", "mlflow/runs/create", json={"experiment_id": "0", "run_name": "churn"})
            run_id = made.json()["run"]["info"]["run_id"]
            metric = {"run_id": run_id, "key": "accuracy", "value": accuracy, "timestamp": 1000, "step": 0}
            connection.insist("POST", "mlflow/runs/log-metric", json=metric)
            self._site.gitlab.set_job(job, "success")
            connection.insist("POST", "mlflow/runs/update", json={"run_id": run_id, "status": "FINISHED"})
        self._said[request.iid] = f"{accuracy:g}"
        return request.iid

    def _wait_for_note(self, request: int, since: float) -> float:
        """Wait until the note says what it must; `check_notes` checks that it is the only one."""
        said = self._said[request]
        wait_until(
            lambda: any(said in body for body in self._notes(request)),
            f"!{request} has a note about {said}",
            seconds=PATIENCE_SECONDS,
        )
        return time.monotonic() - since

    def _settle(self) -> None:
        wait_until(self._site.is_whole, "all machines are back")

    def _notes(self, request: int) -> list[str]:
        return [note.body for note in self._site.gitlab.notes(self._site.project, request)]

    def check_notes(self) -> int:
        """Check that each merge request has one note, about its newest run."""
        for request, said in self._said.items():
            (body,) = self._notes(request)
            assert said in body, body
        return len(self._said)


def _wait_for_repair(began: float) -> None:
    wait_until(lambda: time.monotonic() - began > _AWAY_SECONDS, "the machine is repaired")


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
            load = Load(site.tracking_uri, site.token(), pause=length(short=0.2, long=0.0))
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
        # However slow the machine is.
        load.wait_for(max(_BATCHES, _BATCHES * len(faults) - load.acknowledged))
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
