"""Upload a release to the registries of its GitLab project: `python -m scripts.release.publish FOLDER`.

Wheel and sdist go to the package index, the chart to the Helm repository `stable`, and all files, with their
signatures, to the generic packages, where the Release links to them. A job can be retried: what the index has already
is left out, and the other registries take the same files once more.
https://docs.gitlab.com/user/packages/generic_packages/, https://docs.gitlab.com/user/packages/helm_repository/
"""

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import requests

from mltrail_ci import __version__

_PATIENCE = 300


class PublishError(Exception):
    """A registry has refused a file."""


@dataclass(frozen=True)
class Registries:
    """The registries of one project, with the job's token."""

    packages: str
    token: str

    def python(self, *paths: Path) -> None:
        """Upload to the index what it does not have yet, with a token that no process list shows."""
        answer = requests.get(
            f"{self.packages}/pypi/simple/mltrail", auth=("gitlab-ci-token", self.token), timeout=_PATIENCE
        )
        new = [path for path in paths if hashlib.sha256(path.read_bytes()).hexdigest() not in answer.text]
        if not new:
            return
        command = [sys.executable, "-m", "twine", "upload", "--non-interactive", "--disable-progress-bar"]
        environment = os.environ | {
            "TWINE_USERNAME": "gitlab-ci-token",
            "TWINE_PASSWORD": self.token,
            "TWINE_REPOSITORY_URL": f"{self.packages}/pypi",
        }
        subprocess.run([*command, *new], env=environment, check=True)

    def chart(self, path: Path) -> None:
        with path.open("rb") as content:
            answer = requests.post(
                f"{self.packages}/helm/api/stable/charts",
                files={"chart": (path.name, content)},
                auth=("gitlab-ci-token", self.token),
                timeout=_PATIENCE,
            )
        _check(path, answer)

    def file(self, path: Path) -> None:
        with path.open("rb") as content:
            answer = requests.put(
                f"{self.packages}/generic/mltrail/{__version__}/{path.name}",
                data=content,
                headers={"JOB-TOKEN": self.token},
                timeout=_PATIENCE,
            )
        _check(path, answer)


def publish(folder: Path, registries: Registries) -> None:
    """Upload everything. Raises `PublishError`."""
    registries.python(*sorted(folder.glob("*.whl")), *sorted(folder.glob("*.tar.gz")))
    for path in sorted(folder.glob("*.tgz")):
        registries.chart(path)
    for path in sorted(folder.iterdir()):
        registries.file(path)
        print(f"uploaded {path.name}")


def _check(path: Path, answer: requests.Response) -> None:
    if not answer.ok:
        raise PublishError(f"{answer.url} refused {path.name}: {answer.status_code} {answer.text[:500]}")


def main(arguments: list[str]) -> int:
    (folder,) = map(Path, arguments)
    packages = f"{os.environ['CI_API_V4_URL']}/projects/{os.environ['CI_PROJECT_ID']}/packages"
    try:
        publish(folder, Registries(packages, os.environ["CI_JOB_TOKEN"]))
    except PublishError as error:
        sys.exit(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
