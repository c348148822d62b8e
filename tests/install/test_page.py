"""docs/how-to/install.md, run command by command as it is written, on a machine with a real systemd."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.install.machine import Machine
from tests.places import ROOT

PAGE = ROOT / "docs/how-to/install.md"
BACKUPS, SECRETS = "## Back up every night", "## Keep secrets in files of their own"

pytestmark = [
    pytest.mark.skipif(os.getuid() != 0, reason="namespaces for a whole machine take root"),
    pytest.mark.timeout(900),
]


@dataclass(frozen=True)
class Page:
    """The page's commands, by the heading above them."""

    blocks: list[tuple[str, str]]

    def under(self, *headings: str) -> list[str]:
        return [command for heading, block in self.blocks if heading in headings for command in _commands(block)]

    def until(self, heading: str) -> list[str]:
        names = list(dict.fromkeys(name for name, _ in self.blocks))
        return self.under(*names[: names.index(heading)])


def _read() -> Page:
    blocks, heading = [], ""
    for match in re.finditer(r"^(## [^\n]*)$|^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        heading = match[1] or heading
        if match[2]:
            blocks.append((heading, match[2]))
    return Page(blocks)


def _commands(block: str) -> list[str]:
    """Split a block into commands: one per line, with what it reads up to END."""
    return [match[0] for match in re.finditer(r"^.*<<'END'\n(?:.*\n)*?END$|^.+$", block, re.MULTILINE)]


@dataclass(frozen=True)
class Outside:
    gitlab: str
    s3: str
    owner: str
    developer: str
    objects: Callable[[], list[str]]

    def filled_in(self, command: str) -> str:
        """Replace what every reader has to replace, and no more. Returns the command as it is run."""
        for written, here in {
            "https://packages.example.com/": "file:///srv/wheels/",
            "https://gitlab.example.com": self.gitlab,
            "https://s3.example.com": self.s3,
            "AWS_ACCESS_KEY_ID=…": "AWS_ACCESS_KEY_ID=test",
            "AWS_SECRET_ACCESS_KEY=…": "AWS_SECRET_ACCESS_KEY=test",
            # There is no Let's Encrypt here, so Caddy uses its own authority.
            "    reverse_proxy": "    tls internal\n    reverse_proxy",
        }.items():
            command = command.replace(written, here)
        assert "…" not in command
        # Without a terminal, init reads the token from this variable.
        return f"GITLAB_TOKEN={self.owner} {command}" if "mltrail-server init" in command else command


@pytest.fixture(scope="module")
def wheels(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with our wheel and the locked versions of all that it needs."""
    folder = tmp_path_factory.mktemp("wheels")
    locked = re.findall(r"^([\w.-]+==[^\s;\\]+)", (ROOT / "requirements/dev.txt").read_text(), re.MULTILINE)
    (folder / "constraints.txt").write_text("\n".join(locked))
    subprocess.run(["/usr/bin/python3", "-m", "venv", folder / "venv"], check=True)
    download = [folder / "venv/bin/pip", "download", "--quiet", "--disable-pip-version-check", "--dest", folder]
    needed = f"mltrail[server,postgres,s3] @ {wheel.as_uri()}"
    command = [*download, "--constraint", folder / "constraints.txt", needed]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def machine(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with Machine.booted(tmp_path_factory.mktemp("machine"), wheels) as made:
        yield made


@pytest.fixture(scope="module")
def outside(machine: Machine) -> Iterator[Outside]:
    command = [*machine.entered(network_only=True), sys.executable, "-m", "tests.install.outside"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        stdin, stdout = process.stdin, process.stdout

        def objects() -> list[str]:
            stdin.write("\n")
            stdin.flush()
            found: list[str] = json.loads(stdout.readline())
            return found

        yield Outside(objects=objects, **json.loads(stdout.readline()))
        process.stdin.close()


@pytest.fixture(scope="module")
def page() -> Page:
    return _read()


@pytest.fixture(scope="module")
def outputs(machine: Machine, outside: Outside, page: Page) -> list[str]:
    """Install: what each command printed."""
    printed = []
    for command in page.until(BACKUPS):
        printed.append(machine.good(outside.filled_in(command)))
        if command.startswith("apt-get install"):
            _start_as_debian_does(machine)
    return printed


def _start_as_debian_does(machine: Machine) -> None:
    """The packages are there already, so apt starts nothing: their own scripts would have done this."""
    version = machine.good("ls /usr/lib/postgresql | sort -n | tail -1").strip()
    machine.good("chmod 755 /var/lib/postgresql && chown postgres: /var/lib/postgresql /etc/postgresql")
    machine.good(f"pg_createcluster --locale=C.UTF-8 {version} main && systemctl start postgresql@{version}-main")
    machine.good("echo ':80' >/etc/caddy/Caddyfile && systemctl start caddy")


def curl(path: str, *options: str) -> str:
    """A call through the proxy, as a command."""
    authority = "/var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt"
    words = " ".join(options)
    return f"curl --silent --show-error --fail-with-body --cacert {authority} {words} https://mltrail.example.com{path}"


READY = curl("/readyz")


def test_the_page_is_short(page: Page) -> None:
    assert len(page.until(BACKUPS)) <= 12
    joined = re.compile(r"&&|\|\||;|\|")
    assert not [one for one in page.until(BACKUPS) if joined.search(one.partition("<<")[0])]


def test_the_self_test_is_green(outputs: list[str]) -> None:
    assert outputs[-1].endswith("passed\n")


def test_the_server_serves_behind_the_proxy_with_files_in_s3(
    machine: Machine, outside: Outside, outputs: list[str]
) -> None:
    assert machine.good(READY) == "OK\n"
    token = f"--header 'Authorization: Bearer {outside.developer}'"
    api = "/api/v4/projects/42/ml/mlflow/api/2.0"
    body = '--json \'{"experiment_id": "0"}\''
    run: dict[str, Any] = json.loads(machine.good(curl(f"{api}/mlflow/runs/create", token, body)))["run"]["info"]
    place = f"{api}/mlflow-artifacts/artifacts/0/{run['run_id']}/artifacts/model.txt"
    machine.good(curl(place, token, "--upload-file /etc/os-release"))
    assert machine.good(curl(place, token)) == machine.good("cat /etc/os-release")
    assert len([key for key in outside.objects() if key.startswith("mltrail/42/")]) == 1
    assert outputs


def test_the_service_restarts_and_ends_in_order(machine: Machine, outputs: list[str]) -> None:
    first = machine.good("systemctl show --property=MainPID --value mltrail").strip()
    machine.good(f"kill -KILL {first}")
    machine.wait_for(f"test $(systemctl show --property=MainPID --value mltrail) != {first}")
    machine.wait_for(READY)
    machine.good("systemctl restart mltrail")
    machine.good(READY)
    this_time = machine.good("systemctl show --property=InvocationID --value mltrail").strip()
    machine.good("systemctl stop mltrail")
    assert machine.good("systemctl show --property=Result --value mltrail").strip() == "success"
    journal = f"journalctl --no-pager _SYSTEMD_INVOCATION_ID={this_time} + INVOCATION_ID={this_time}"
    machine.wait_for(f"{journal} | grep 'Stopped mltrail.service'")  # the journal is written by another process
    said = machine.good(journal)
    assert "Killing" not in said
    machine.good("systemctl start mltrail")
    assert machine.good("systemctl is-enabled mltrail").strip() == "enabled"
    assert outputs


@pytest.mark.parametrize("unit", ["mltrail.service", "mltrail-worker.service", "mltrail-backup.service"])
def test_systemd_accepts_the_units_and_the_sandbox_is_tight(machine: Machine, outputs: list[str], unit: str) -> None:
    folder = "/opt/mltrail/share/mltrail/systemd"
    assert machine.good(f"systemd-analyze verify --man=no {folder}/{unit}") == ""
    machine.good(f"systemd-analyze security --offline=true --threshold=15 --no-pager {folder}/{unit}")
    assert outputs


def test_the_units_have_one_sandbox() -> None:
    units = [(ROOT / "deploy/systemd" / f"mltrail{name}.service").read_text() for name in ("", "-worker", "-backup")]
    sandboxes = {unit.partition("# The sandbox")[2].partition("\n\n")[0].strip() for unit in units}
    assert len(sandboxes) == 1


def test_a_worker_of_its_own_keeps_running(machine: Machine, outputs: list[str]) -> None:
    machine.good("systemctl enable --now /opt/mltrail/share/mltrail/systemd/mltrail-worker.service")
    machine.wait_for("curl --silent --fail http://127.0.0.1:5001/healthz")
    machine.good("systemctl stop mltrail-worker")
    assert machine.good("systemctl show --property=Result --value mltrail-worker").strip() == "success"
    assert outputs


def test_backups_are_made_and_a_failure_is_noticed(
    machine: Machine, outside: Outside, page: Page, outputs: list[str]
) -> None:
    for command in page.under(BACKUPS):
        machine.good(outside.filled_in(command))
    assert "mltrail-backup.timer" in machine.good("systemctl list-timers --no-pager")
    machine.good("systemctl start mltrail-backup")
    assert " rows, " in machine.good(f"{ADMIN} backup --list --to /var/lib/mltrail-backups")
    machine.good("echo BACKUP_PLACE=/nowhere >>/etc/mltrail/mltrail.env")
    assert machine.run("systemctl start mltrail-backup").exit_code == 1
    machine.wait_for("journalctl --identifier=mltrail --priority=err | grep 'mltrail-backup.service failed'")
    assert "mltrail-backup.service" in machine.good("systemctl --failed --no-pager")
    assert outputs


ADMIN = "/opt/mltrail/share/mltrail/systemd/mltrail-admin"


def test_a_secret_of_its_own_is_in_no_environment(
    machine: Machine, outside: Outside, page: Page, outputs: list[str]
) -> None:
    token = machine.good("sed --quiet s/^MLTRAIL_GITLAB_TOKEN=//p /etc/mltrail/mltrail.env").strip()
    machine.good("sed -i /MLTRAIL_GITLAB_TOKEN=/d /etc/mltrail/mltrail.env")
    for command in page.under(SECRETS):
        machine.good(outside.filled_in(command.replace("glpat-…", token)))
    machine.good(READY)
    pid = machine.good("systemctl show --property=MainPID --value mltrail").strip()
    environment = machine.good(f"tr '\\0' '\\n' </proc/{pid}/environ")
    assert "MLTRAIL_GITLAB_TOKEN_FILE=/run/credentials/mltrail.service/gitlab-token" in environment
    assert token
    assert token not in environment
    assert machine.good(f"{ADMIN} selftest --project data-science/sandbox").endswith("passed\n")
    assert outputs
