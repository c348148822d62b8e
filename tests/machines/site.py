"""The site of docs/how-to/run-on-several-machines.md, with the files of deploy/machines: a load balancer, two web
hosts, two workers, PostgreSQL's primary and its standby; and beside it S3, GitLab and the clients.
"""

import json
import re
import secrets
import sys
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import urllib3

from tests.fakes.gitlab import FakeGitLab, Job, MergeRequest
from tests.machines.network import ROOT, Host, Network
from tests.postgresql import programs
from tests.processes import wait_until
from tests.s3 import VARIABLES

DEPLOY = Path(__file__).parents[2] / "deploy/machines"
PROGRAMS = Path(sys.executable).parent
PATRONI = Path("/opt/mltrail-tests/patroni/bin/patroni")
"""Installed by scripts/machines."""

NAME = "mltrail.example.com"
URL = f"https://{NAME}"
PROJECT = 42
DATABASES = ("db1", "db2")
WEB, WORKERS = ("web1", "web2"), ("worker1", "worker2")
HOSTS = ("lb", *WEB, *WORKERS, *DATABASES, "s3", "gitlab", "clients")
_AS_POSTGRES = ("setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups")
_DATABASE_FOLDERS = ("/var/lib/postgresql", "/var/lib/etcd", "/run/postgresql")


class Site:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self.logs.mkdir(parents=True)
        self.network = Network(self.logs, *HOSTS, aliases={NAME: "lb", "gitlab.example.com": "gitlab"})
        self.secrets = {
            name: secrets.token_hex(12)
            for name in ("SUPERUSER_PASSWORD", "REPLICATION_PASSWORD", "DATABASE_PASSWORD", "SECRET_KEY")
        }
        self.secrets |= {"S3_KEY": VARIABLES["AWS_ACCESS_KEY_ID"], "S3_SECRET": VARIABLES["AWS_SECRET_ACCESS_KEY"]}
        self.certificate = ROOT / "mltrail.pem"

    def set_up(self) -> None:
        """Start everything, in the order of the page."""
        self._start_gitlab()
        self._start_databases()
        self._start_files()
        for name in WEB:
            self._start_server(name, "serve", "--host", "0.0.0.0", "--port", "5000", "--no-worker")
        self._start_balancer()
        wait_until(lambda: self.ready_hosts() == 2, "both web hosts are ready")
        for name in WORKERS:
            self._start_server(name, "worker", "--listen", "0.0.0.0:5001")

    def _start_gitlab(self) -> None:
        with self.network["gitlab"].entered():
            self.gitlab = FakeGitLab(host="gitlab.example.com", port=80)
            self.gitlab.url = "http://gitlab.example.com"  # as it is known to others, without the port
            self.gitlab.start()
        self.project = self.gitlab.add_project("team/churn", id=PROJECT)
        self.developer, bot = self.gitlab.add_user("developer"), self.gitlab.add_user("bot")
        for user in (self.developer, bot):
            self.gitlab.add_member(self.project, user, 30)
        sha = self.gitlab.add_commit(self.project, "a1" * 20, branch="main")
        pipeline = self.gitlab.add_pipeline(self.project, sha, "main", "push")
        self.job = self.gitlab.add_job(pipeline, "train", "train", self.developer, "running")
        self.secrets["GITLAB_TOKEN"] = self.gitlab.add_token(bot, ["api"])

    def _start_databases(self) -> None:
        """Their folders are in memory: `--unsafe-no-fsync` changes nothing but the time that it takes."""
        for name in ("lb", *DATABASES):
            host = self.network[name]
            host.starts("etcd", "etcd", "--unsafe-no-fsync", environment=self.variables("etcd", name), folders=_ETCD)
        for name in DATABASES:
            host = self.network[name]
            patroni = (*_AS_POSTGRES, str(PATRONI), str(DEPLOY / "patroni.yml"))
            environment = self.variables("patroni_env.conf", name)
            # What systemd sets; and this machine may have another version of PostgreSQL than Debian 12.
            environment |= {"HOME": "/var/lib/postgresql", "PATRONI_POSTGRESQL_BIN_DIR": str(programs())}
            host.starts("patroni", *patroni, environment=environment, folders=_DATABASE_FOLDERS)
            wait_until(partial(self.state, host), f"{name} runs")
        wait_until(self.standby, "the standby is synchronous")
        password = self.secrets["DATABASE_PASSWORD"]
        self.query(f"CREATE ROLE mltrail LOGIN PASSWORD '{password}'")
        self.query("CREATE DATABASE mltrail OWNER mltrail")

    def _start_files(self) -> None:
        self.network["s3"].starts("moto", str(PROGRAMS / "moto_server"), "-H", "0.0.0.0", "-p", "9000")
        with self.network["clients"].entered():
            api = urllib3.PoolManager(retries=False, timeout=5)
            wait_until(lambda: _status(api, "http://s3:9000/") == 200, "S3 answers")
            assert api.request("PUT", "http://s3:9000/mltrail").status == 200

    def _start_server(self, name: str, *command: str) -> None:
        environment = self.variables("mltrail.env", name)
        environment["MLTRAIL_GITLAB_URL"] = environment["MLTRAIL_GITLAB_URL"].replace("https:", "http:")
        program = str(PROGRAMS / "mltrail-server")
        self.network[name].starts("mltrail", program, *command, environment=environment, folders=["/var/lib/mltrail"])

    def _start_balancer(self) -> None:
        host = self.network["lb"]
        key, certificate = ROOT / "key.pem", self.certificate
        host.run(
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-keyout", str(key), "-out", str(certificate), "-subj", f"/CN={NAME}", "-days", "2"),
            *("-addext", f"subjectAltName=DNS:{NAME}"),
        )
        own = ROOT / "lb/etc/haproxy"
        own.mkdir(parents=True)
        (own / "mltrail.pem").write_text(certificate.read_text() + key.read_text())
        command = ("haproxy", "-db", "-f", str(DEPLOY / "haproxy.cfg"))
        host.starts("haproxy", *command, folders=["/etc/haproxy"])

    def variables(self, file: str, host: str) -> dict[str, str]:
        """Read a file of settings, filled in for one host as the page says."""
        text = (DEPLOY / file).read_text()
        for name, value in {"HOST": host, **self.secrets}.items():
            text = text.replace(f"@{name}@", value)
        assert not re.search(r"@[A-Z_]+@", text), text
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        return dict(line.split("=", 1) for line in lines)

    # What the machines say.

    def state(self, host: Host) -> dict[str, Any]:
        """Return what Patroni says about its PostgreSQL; nothing while it does not run."""
        found = self._patroni(host, "patroni")
        return found if found.get("state") == "running" else {}

    def primary(self) -> Host | None:
        """Return the host of the primary; None while there is none, or more than one claims to be it."""
        found = [host for host in self._databases() if self.state(host).get("role") == "primary"]
        return found[0] if len(found) == 1 else None

    def standby(self) -> Host | None:
        """Return the host of the standby, if it would take over: PostgreSQL says that it is synchronous and, a little
        later, etcd, too.
        """
        primary = self.primary()
        if primary is None:
            return None
        sync = {
            one["application_name"] for one in self.state(primary).get("replication", ()) if one["sync_state"] == "sync"
        }
        known = {
            one["name"] for one in self._patroni(primary, "cluster").get("members", ()) if one["role"] == "sync_standby"
        }
        return next((self.network[name] for name in sync & known), None)

    def _patroni(self, host: Host, path: str) -> dict[str, Any]:
        said = host.run("curl", "-s", "-m", "3", f"http://localhost:8008/{path}", check=False)
        found: dict[str, Any] = json.loads(said) if said.startswith("{") else {}
        return found

    def switch_over(self, primary: Host) -> None:
        """Have the standby become the primary, as for maintenance."""
        patronictl = str(PATRONI.with_name("patronictl"))
        primary.run(patronictl, "-c", str(DEPLOY / "patroni.yml"), "switchover", "--force", "mltrail")

    def query(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement on the primary."""
        primary = self.primary()
        assert primary
        password = self.secrets["SUPERUSER_PASSWORD"]
        with (
            primary.entered(),
            psycopg.connect(
                host=primary.name, dbname=database, user="postgres", password=password, autocommit=True
            ) as connection,
        ):
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def ready_hosts(self) -> int:
        """Count the web hosts that are ready, as the balancer's check finds them."""
        with self.network["lb"].entered(), urllib3.PoolManager(retries=False, timeout=5) as api:
            return sum(_status(api, f"http://{name}:5000/readyz") == 200 for name in WEB)

    def is_whole(self) -> bool:
        """Whether every machine does its part."""
        return self.standby() is not None and self.ready_hosts() == len(WEB)

    def log(self, *hosts: str) -> str:
        names = hosts or HOSTS
        return "".join(path.read_text() for path in sorted(self.logs.iterdir()) if path.name.split("-")[0] in names)

    def _databases(self) -> list[Host]:
        return [self.network[name] for name in DATABASES]

    # What happens at GitLab.

    @property
    def tracking_uri(self) -> str:
        return f"{URL}/api/v4/projects/{PROJECT}/ml/mlflow"

    def token(self, job: Job | None = None) -> str:
        return self.gitlab.mint(job or self.job, URL)

    def merge_request(self) -> tuple[MergeRequest, Job]:
        """Open a merge request, whose pipeline's job is running."""
        sha = secrets.token_hex(20)
        branch = f"feature-{sha[:8]}"
        self.gitlab.add_commit(self.project, sha, parents=(self.project.branches["main"],), branch=branch)
        return self._with_job(self.gitlab.add_merge_request(self.project, branch, "main", "A change"))

    def push(self, request: MergeRequest) -> tuple[MergeRequest, Job]:
        """Add a commit to a merge request, and so a pipeline."""
        branch, sha = request.source_branch, secrets.token_hex(20)
        self.gitlab.add_commit(self.project, sha, parents=(self.project.branches[branch],), branch=branch)
        return self._with_job(request)

    def _with_job(self, request: MergeRequest) -> tuple[MergeRequest, Job]:
        sha, ref = self.project.branches[request.source_branch], f"refs/merge-requests/{request.iid}/head"
        pipeline = self.gitlab.add_pipeline(self.project, sha, ref, "merge_request_event")
        return request, self.gitlab.add_job(pipeline, "train", "train", self.developer, "running")


_ETCD = ("/var/lib/etcd",)


def _status(api: urllib3.PoolManager, url: str) -> int:
    try:
        return api.request("GET", url).status
    except urllib3.exceptions.HTTPError:
        return 0
