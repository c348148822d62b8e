"""Run the root file system of an image as a container engine would: in namespaces of its own, without privileges, and
with nothing writable but what is mounted.
"""

import os
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.processes import PATIENCE_SECONDS, wait_until

_USER = 10001
_DEVICES = ("null", "zero", "full", "random", "urandom")


@dataclass
class Container:
    """`volumes` are folders of this machine by where they are in the container. The network is this machine's, so that
    a server in it can reach a stand-in, and be reached.
    """

    root: Path
    environment: dict[str, str]
    volumes: dict[str, Path] = field(default_factory=dict)

    def start(self, command: list[str], *, log: Path) -> "subprocess.Popen[bytes]":
        with log.open("ab") as output:
            return subprocess.Popen(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", self._script(command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def run(self, command: list[str], *, log: Path) -> tuple[int, str]:
        """Return the exit code of a command, and what it wrote."""
        log.write_bytes(b"")
        process = self.start(command, log=log)
        return process.wait(timeout=PATIENCE_SECONDS), log.read_text()

    def _script(self, command: list[str]) -> str:
        root = shlex.quote(str(self.root))
        lines = [
            "set -e",
            *(f"mkdir -p {root}{place}" for place in self.volumes),
            f"mount --bind {root} {root}",
            f"mount -o remount,bind,ro {root}",
            f"mount -t tmpfs -o mode=1777 tmpfs {root}/tmp",
            f"mount -t tmpfs -o mode=755 tmpfs {root}/dev",
            f"mkdir -m 1777 {root}/dev/shm",
            f"mount -t proc proc {root}/proc",
        ]
        for name in _DEVICES:
            lines += [f"touch {root}/dev/{name}", f"mount --bind /dev/{name} {root}/dev/{name}"]
        for place, source in self.volumes.items():
            source.mkdir(parents=True, exist_ok=True)
            os.chown(source, _USER, _USER)
            lines.append(f"mount --bind {shlex.quote(str(source))} {root}{place}")
        # env is this machine's: a server's image has none.
        inside = ["env", "-i", *(f"{name}={value}" for name, value in self.environment.items())]
        user = ["/usr/sbin/chroot", f"--userspec={_USER}:{_USER}", str(self.root)]
        lines.append(shlex.join(["exec", *inside, *user, *command]))
        return "\n".join(lines)


def first_process(container: "subprocess.Popen[bytes]") -> int:
    """The process with number 1 in the container, by its number here: it gets the signals that an engine sends."""
    children = Path(f"/proc/{container.pid}/task/{container.pid}/children")
    return int(wait_until(lambda: children.read_text().split(), "the container has started", process=container)[0])
