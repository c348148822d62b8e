"""A rehearsal: its folders, what was verified in it, and how it runs a command."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from mltrail_ci import __version__

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".cache/release-tools/usr/bin"
HOME = "https://gitlab.example.com/mlops/mltrail"
NOT_RUN = (
    "signing without a key, by the job's identity: only gitlab.com's jobs can, with Sigstore's servers",
    "PyPI's trusted publishing and its attestations: only from a job on gitlab.com (.ci/pypi)",
    "the keyword `release:`, which publishes in the Catalog: GitLab does it",
)


class RehearsalError(Exception):
    """Something that would have gone wrong in the real release."""


@dataclass
class Rehearsal:
    """One run, in a folder of its own."""

    out: Path
    scratch: Path
    verified: dict[str, list[str]] = field(default_factory=dict)
    not_run: list[str] = field(default_factory=lambda: [*NOT_RUN])

    @property
    def files(self) -> Path:
        """What the pipeline calls dist/."""
        return self.out / "files"

    def note(self, name: str, how: str) -> None:
        self.verified.setdefault(name, []).append(how)
        print(f"  {name}: {how}")

    def run(self, *command: str | Path, cwd: Path = ROOT, **variables: str) -> str:
        """Run a command as a job of the pipeline would. Raises `RehearsalError` with its output."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("CI_", "COSIGN_"))}
        environment |= {
            "PATH": f"{Path(sys.executable).parent}:{TOOLS}:{os.environ['PATH']}",
            "PYTHONPATH": f"{ROOT / 'component'}:{ROOT}",
            "CI_PROJECT_URL": HOME,
            "CI_COMMIT_TAG": __version__,
            **variables,
        }
        ran = subprocess.run(
            list(map(str, command)),
            cwd=cwd,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if ran.returncode != 0:
            raise RehearsalError(f"{' '.join(map(str, command))} failed:\n{ran.stdout}")
        return ran.stdout

    def expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise RehearsalError(otherwise)

    def one(self, pattern: str) -> Path:
        (path,) = self.files.glob(pattern)
        return path
