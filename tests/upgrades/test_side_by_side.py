"""Two servers are upgraded one after the other while jobs log, and rolled back: nobody notices.

The old version is the last release, if its tag is in the repository, otherwise this source. The new one is this source
with further migrations (`tests/later_version.py`).
"""

import io
import json
import statistics
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psycopg
import pytest

from tests import later_version
from tests.faults.load import Connection, Load
from tests.faults.trainings import Trainings
from tests.later_version import Version
from tests.length import length
from tests.places import ROOT
from tests.postgresql import Cluster
from tests.processes import free_port, wait_until
from tests.team_server import TeamServer
from tests.upgrades.balancer import Balancer

CLIENTS = length(short=3, long=6)
REAL_CLIENTS = length(short=("mlflow-3",), long=("mlflow-1.28", "mlflow-2.7", "mlflow-2", "mlflow-3"))
BATCHES = length(short=30, long=1500)
"""So many are acknowledged between two steps of the upgrade."""
ROUNDS = length(short=1, long=5)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster.started("fsync=off", durable=True) as running:
        yield running


@dataclass
class Team:
    """Two machines with one PostgreSQL and one file store, behind a balancer."""

    folder: Path
    database_url: str
    balancer: Balancer = field(default_factory=lambda: Balancer(free_port()))
    servers: list[TeamServer] = field(default_factory=list)

    def start(self, opened: ExitStack, version: Version) -> None:
        for number in range(2):
            variables = {"PYTHONPATH": str(version.folder), "MLTRAIL_ARTIFACTS": str(self.folder / "files")}
            variables |= {"MLTRAIL_EXTERNAL_URL": self.balancer.url, "MLTRAIL_SECRET_KEY": "k" * 32}
            if self.servers:
                first = self.servers[0]
                variables |= {"MLTRAIL_GITLAB_URL": first.gitlab.url, "MLTRAIL_GITLAB_TOKEN": first.bot_token}
            command = [sys.executable, "-m", "mltrail_server.cli", "serve", "--port", "{port}", "--workers", "1"]
            server = TeamServer(self.folder / str(number), database_url=self.database_url, command=command, **variables)
            self.servers.append(opened.enter_context(server))
            self.balancer.add(server.url)
        opened.enter_context(self.balancer.running())

    @property
    def tracking_uri(self) -> str:
        return f"{self.balancer.url}/api/v4/projects/{self.servers[0].project_id}/ml/mlflow"

    def token(self) -> str:
        first = self.servers[0]
        return first.gitlab.mint(first.job, self.balancer.url)

    def run(self, version: Version, *arguments: str, code: int = 0) -> str:
        settings = {name: value for name, value in self.servers[0].environment().items() if name.startswith("MLTRAIL_")}
        return version.run(*arguments, code=code, **settings)

    def replace(self, server: TeamServer, version: Version) -> None:
        """As an operator does, or Kubernetes: out of the balancer, stop, start the other version, back again."""
        self.balancer.remove(server.url)
        server.stop()
        server.variables["PYTHONPATH"] = str(version.folder)
        server.start()
        self.balancer.add(server.url)


def last_release(folder: Path) -> Version | None:
    """Take the last release from git; None where its tag is not in the repository."""
    described = subprocess.run(
        ["git", "describe", "--tags", "--abbrev=0", "--match", "[0-9]*.[0-9]*.[0-9]*"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if described.returncode:
        return None
    places = ["server/mltrail_server", "component/mltrail_ci", "component/mltrail_contract"]
    packed = subprocess.run(
        ["git", "archive", described.stdout.strip(), *places], cwd=ROOT, capture_output=True, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder / "release", filter="data")
    for place in places:
        (folder / "release" / place).rename(folder / Path(place).name)
    return later_version.at(folder)


@pytest.mark.e2e
@pytest.mark.clients
@pytest.mark.long
@pytest.mark.timeout(1800)
def test_nobody_notices_an_upgrade(tmp_path: Path, cluster: Cluster) -> None:
    old = last_release(tmp_path / "old") or later_version.first(tmp_path / "old")
    new, newest = later_version.second(tmp_path / "new"), later_version.third(tmp_path / "newest")
    cluster.run("CREATE DATABASE mltrail")
    team = Team(tmp_path, cluster.url("mltrail"))
    marks: list[tuple[str, int]] = []

    def step(name: str) -> None:
        load.wait_for(BATCHES)
        marks.append((name, len(team.balancer.calls)))

    with ExitStack() as opened:
        team.start(opened, old)
        load = Load(team.tracking_uri, team.token())
        trainings = Trainings(team.tracking_uri, team.token(), tmp_path / "trainings", REAL_CLIENTS)
        for process in trainings.processes.values():
            opened.callback(process.kill)  # if anything fails on the way
        with load.running(CLIENTS):
            step("before")
            assert "can go on running" in team.run(new, "migrate", "--check", code=3)
            team.run(new, "migrate")
            step("migrated")
            for _ in range(ROUNDS):
                for version in (new, old, new):
                    for server in team.servers:
                        team.replace(server, version)
                        step(f"a server replaced by revision {version.revision}")
            trainings.wait_for_a_run_more()
        trainings.end()
        assert load.failed == 0, "calls that a client had to repeat"
        assert [call for call in team.balancer.calls if call.status == 0 or call.status >= 500] == []
        with psycopg.connect(team.database_url) as connection:
            wrote = connection.execute("SELECT DISTINCT tried_ms FROM candidate").fetchall()
        assert set(wrote) == {(None,), (7,)}, "both versions have made runs"

        assert "stop all others first" in team.run(newest, "migrate", "--check", code=4)
        for server in team.servers:
            team.balancer.remove(server.url)
        team.run(newest, "migrate")
        for server in team.servers:
            wait_until(partial(is_refused, server, newest), "the server says why")
            server.stop()
            assert "can run on it" in team.run(old, "worker", "--once", code=2)
            server.variables["PYTHONPATH"] = str(newest.folder)
            server.start()
            team.balancer.add(server.url)
        assert load.check() >= BATCHES * len(marks)
        assert trainings.check(Connection(team.tracking_uri, team.token())) > 0
        assert all("incident" not in server.log.read_text() for server in team.servers)
    report(tmp_path / "figures.json", team.balancer, marks)


def is_refused(server: TeamServer, newest: Version) -> bool:
    """Whether a server says that its version is too old; a busy one may say first that its database is slow."""
    answer = server.get("/readyz")
    assert answer.status == 503, "the balancer would send it no more calls"
    return f"only versions of revision {newest.revision} or later" in answer.data.decode()


def report(path: Path, balancer: Balancer, marks: list[tuple[str, int]]) -> None:
    """Write what the clients saw in each step, for docs/explanation/scale.md."""
    begin, figures = 0, []
    for name, end in marks:
        seconds = sorted(call.seconds for call in balancer.calls[begin:end] if call.path.endswith("log-batch"))
        figures.append(
            {"step": name, "batches": len(seconds), "median": statistics.median(seconds), "longest": seconds[-1]}
        )
        begin = end
    path.write_text(json.dumps(figures, indent=1))
