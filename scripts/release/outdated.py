"""List what is locked at an older version than the newest for pip: `python -m scripts.release.outdated LOCK…`."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.version import Version

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
_NEWEST = re.compile(r"^\S+ \((.+)\)$", re.MULTILINE)


def outdated(lock: Path) -> Iterator[str]:
    """Each as `name 1.0 → 1.1`."""
    for name, version in _PIN.findall(lock.read_text()):
        command = [sys.executable, "-m", "pip", "index", "versions", "--disable-pip-version-check", name]
        found = _NEWEST.search(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
        if found is None:
            yield f"{name} {version}: pip finds no version of it"
        elif Version(found[1]) > Version(version):
            yield f"{name} {version} → {found[1]}"


def main(arguments: list[str]) -> int:
    found = sorted({line for lock in arguments for line in outdated(Path(lock))})
    print("\n".join(found) or "all are the newest")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
