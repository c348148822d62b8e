"""A machine with a real systemd, in Linux namespaces: this machine's Debian, without what was added to it later."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.places import ROOT
from tests.processes import PATIENCE_SECONDS, wait_until

_CGROUPS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Done:
    exit_code: int
    output: str


@dataclass(frozen=True)
class Machine:
    pid: int

    @classmethod
    @contextmanager
    def booted(cls, folder: Path, wheels: Path) -> Iterator["Machine"]:
        """Boot it, and stop all of its processes afterwards."""
        assert os.getuid() == 0
        with _cgroup(f"mltrail-test-{os.getpid()}") as join:
            command = [
                *join,
                "setpriv",
                "--pdeathsig",
                "KILL",
                "unshare",
                "--mount",
                "--pid",
                "--net",
                "--uts",
                "--ipc",
                "--cgroup",
                "--fork",
            ]
            boot = [ROOT / "tests/install/boot", folder, wheels]
            with (folder / "boot.log").open("wb") as log:
                outer = subprocess.Popen(
                    [*command, "--kill-child", *boot], stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            try:
                machine = cls(_first_process(outer, folder / "boot.log"))
                machine._wait_until_up(outer, folder / "boot.log")
                yield machine
            finally:
                outer.kill()  # and with it, by --kill-child, the first process of the namespace, and all others
                outer.wait()

    def run(self, script: str, *, network_only: bool = False) -> Done:
        """Run a shell script there as root, as somebody who has logged in."""
        done = subprocess.run(
            [*self.entered(network_only=network_only), "bash", "-e", "-c", script],
            env={"PATH": _PATH, "HOME": "/root", "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Done(done.returncode, done.stdout)

    def good(self, script: str) -> str:
        done = self.run(script)
        assert done.exit_code == 0, f"{script}\n{self.journal()}\n{script}\n{done.output}"
        return done.output

    def journal(self) -> str:
        return self.run("journalctl --no-pager --lines=60").output

    def wait_for(self, script: str) -> str:
        """Run a script until it succeeds."""
        until, tick = time.monotonic() + PATIENCE_SECONDS, threading.Event()
        while (done := self.run(script)).exit_code:
            assert time.monotonic() < until, f"{script}\n{done.output}\n{self.journal()}"
            tick.wait(0.1)
        return done.output

    def entered(self, *, network_only: bool = False) -> list[str]:
        """Return what to put before a command that is to run there, or here but in its network."""
        return ["nsenter", "--target", str(self.pid), "--net" if network_only else "--all"]

    def _wait_until_up(self, outer: "subprocess.Popen[bytes]", log: Path) -> None:
        # Before it has changed its root, this is the systemctl of the machine outside, which has none to ask.
        wait_until(
            lambda: self.run("systemctl is-active basic.target").exit_code == 0,
            "the machine is up",
            process=outer,
            log=log,
            every=0.1,
        )


def _first_process(outer: "subprocess.Popen[bytes]", log: Path) -> int:
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    return int(wait_until(lambda: children.read_text().split(), "the machine boots", process=outer, log=log)[0])


@contextmanager
def _cgroup(name: str) -> Iterator[list[str]]:
    """Make a cgroup for the machine, and yield how a command joins it: systemd must not fill this process's own."""
    mounted = next((one for one in _CGROUPS if (one / "cgroup.procs").exists()), None)
    if mounted is None:
        yield []
        return
    (mounted / name).mkdir(exist_ok=True)  # a run that was killed may have left it
    try:
        yield ["bash", "-c", f'echo $$ >{mounted / name}/cgroup.procs && exec "$@"', "join"]
    finally:
        wait_until(lambda: _removed(mounted / name), "all processes of the machine have ended", every=0.01)


def _removed(cgroup: Path) -> bool:
    for folder, _, _ in os.walk(cgroup, topdown=False):
        with suppress(OSError):  # its last process is ending
            Path(folder).rmdir()
    return not cgroup.exists()
