"""Machines on one switch: each is a network namespace, with folders of its own where its programs keep their data.

Only for programs that `inside` has started: they are in namespaces of their own (network, mounts, processes), so that
nothing outside is touched, and nothing is left when they have ended, for whatever reason.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.processes import lives

ROOT = Path("/mnt")
"""A file system in memory that only the machines see."""

_NET = "10.77.0"
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
_PROLOGUE = f"""
mount -t tmpfs -o mode=755 tmpfs {ROOT}
mkdir -p /run/netns
mount -t tmpfs tmpfs /run/netns
ip link set lo up
"$@"
exit $?
"""
"""The shell stays, as the first process: it reaps processes whose parents have been killed."""


def inside(command: Sequence[str]) -> list[str]:
    """Return the command that runs another one where it can set up machines. It must be run by root."""
    apart = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return [*apart, "sh", "-euc", _PROLOGUE, "sh", *command]


_AT_THE_SWITCH = ("nsenter", "--net=/proc/1/ns/net")
"""Runs a command at the switch, whichever machine the thread that pulls a cable belongs to."""


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


@dataclass
class Program:
    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folders: Sequence[str]


@dataclass
class Host:
    """One machine. `logs` has a file for each of its programs."""

    name: str
    number: int
    logs: Path
    programs: dict[str, Program] = field(default_factory=dict)
    _wire: "subprocess.Popen[bytes] | None" = None

    @property
    def address(self) -> str:
        return f"{_NET}.{self.number}"

    @property
    def mac(self) -> str:
        return f"02:00:00:00:00:{self.number:02x}"

    def plug_in(self, others: Sequence["Host"]) -> None:
        run("ip", "netns", "add", self.name)
        run("ip", "link", "add", self.name, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        self._ip("link", "set", "eth0", "address", self.mac)
        self._ip("address", "add", f"{self.address}/24", "dev", "eth0")
        self._ip("link", "set", "lo", "up")
        self._ip("link", "set", "eth0", "up")
        # As behind a router: a machine that is cut off is not missed at once: nobody asks for its hardware address.
        for other in others:
            if other is not self:
                self._ip("neigh", "replace", other.address, "lladdr", other.mac, "dev", "eth0", "nud", "permanent")
        run("ip", "link", "set", self.name, "master", "switch", "up")

    def starts(
        self, name: str, *command: str, environment: Mapping[str, str] | None = None, folders: Sequence[str] = ()
    ) -> None:
        """Start a program, now and whenever the machine is started. Its `folders`, absolute paths, are this machine's
        own.
        """
        self.programs[name] = Program(name, command, environment or {}, folders)
        self._start(self.programs[name])

    def start(self) -> None:
        for program in self.programs.values():
            self._start(program)

    def run(self, *command: str, environment: Mapping[str, str] | None = None, check: bool = True) -> str:
        """Run a command on this machine, and return what it prints."""
        done = subprocess.run(
            ["ip", "netns", "exec", self.name, *command],
            env=environment and {**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0 or not check, (self.name, command, done.stdout, done.stderr)
        return done.stdout

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Make what this thread opens in the block belong to this machine; threads that it starts belong to it, too."""
        with open("/proc/thread-self/ns/net") as before, open(f"/run/netns/{self.name}") as there:  # noqa: PTH123
            _set_namespace(there.fileno())
            try:
                yield
            finally:
                _set_namespace(before.fileno())

    def cut_off(self) -> None:
        """Pull the cable: nothing reaches the machine or leaves it, and nobody is told."""
        run(*_AT_THE_SWITCH, "ip", "link", "set", self.name, "nomaster")

    def slow_down(self, *, milliseconds: int, loss: float) -> None:
        """Delay each packet, both ways, and lose some."""
        self.cut_off()
        far, near = f"{self.name}-f", f"{self.name}-n"
        run(*_AT_THE_SWITCH, "ip", "link", "add", far, "type", "veth", "peer", "name", near)
        # Packets as they would be on a wire: not larger, and with their checksums.
        for device, where in (("eth0", ("ip", "netns", "exec", self.name)), (far, _AT_THE_SWITCH)):
            run(*where, "ethtool", "-K", device, "tx", "off", "sg", "off", "tso", "off", "gso", "off")
        for device in (far, near):
            run(*_AT_THE_SWITCH, "ip", "link", "set", device, "up")
        run(*_AT_THE_SWITCH, "ip", "link", "set", far, "master", "switch")
        command = [
            *_AT_THE_SWITCH,
            sys.executable,
            "-m",
            "tests.machines.wire",
            self.name,
            near,
            str(milliseconds),
            str(loss),
        ]
        self._wire = subprocess.Popen(command)

    def refuse(self) -> None:
        """Make its system answer that nothing is listening, as when all of the machine's programs have ended."""
        rules = (
            "table inet down { chain input { type filter hook input priority 0; "
            "iif lo accept; meta l4proto tcp reject with tcp reset; }; }"
        )
        self.run("nft", rules)

    def kill(self) -> None:
        """End all programs at once; none gets to tidy up."""
        while pids := self._pids():
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            threading.Event().wait(0.02)

    def heal(self) -> None:
        """Undo whatever was done to the machine."""
        if self._wire is not None:
            self._wire.kill()
            self._wire.wait()
            self._wire = None
            run(*_AT_THE_SWITCH, "ip", "link", "delete", f"{self.name}-f")
        self.run("nft", "delete table inet down", check=False)
        run(*_AT_THE_SWITCH, "ip", "link", "set", self.name, "master", "switch")
        if self.programs and not self._pids():
            self.start()

    def _pids(self) -> list[int]:
        return [pid for pid in map(int, run("ip", "netns", "pids", self.name).split()) if lives(pid)]

    def _start(self, program: Program) -> None:
        binds = []
        for folder in program.folders:
            own = ROOT / self.name / folder.strip("/")
            own.mkdir(parents=True, exist_ok=True)
            own.chmod(0o777)
            binds.append(f"mkdir -p {folder} && mount --bind {own} {folder} && ")
        command = ["ip", "netns", "exec", self.name, "sh", "-c", "".join(binds) + 'exec "$@"', "sh", *program.command]
        with (self.logs / f"{self.name}-{program.name}.log").open("ab") as log:
            subprocess.Popen(command, env={**os.environ, **program.environment}, stdout=log, stderr=log)

    def _ip(self, *arguments: str) -> None:
        run("ip", "-n", self.name, *arguments)


class Network:
    """A switch and its machines, which know each other by name."""

    def __init__(self, logs: Path, *names: str, aliases: Mapping[str, str]) -> None:
        """`aliases` are further names: of a site by that of its machine."""
        self.hosts = {name: Host(name, number, logs) for number, name in enumerate(names, 10)}
        run("ip", "link", "add", "switch", "type", "bridge")
        run("ip", "link", "set", "switch", "up")
        lines = ["127.0.0.1 localhost"]
        for host in self.hosts.values():
            also = [alias for alias, name in aliases.items() if name == host.name]
            lines.append(" ".join([host.address, host.name, *also]))
        hosts_file = ROOT / "hosts"
        hosts_file.write_text("\n".join(lines) + "\n")
        run("mount", "--bind", str(hosts_file), "/etc/hosts")
        for host in self.hosts.values():
            host.plug_in(list(self.hosts.values()))

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]


def _set_namespace(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
