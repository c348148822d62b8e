"""`make playground`: a stand-in for GitLab to push to, with mltrail beside it."""

import argparse
import secrets
import signal
import sys
from pathlib import Path

from tests.fakes.gitlab import FakeGitLab

from scripts.demo.project import EXAMPLES, DemoError, DemoProject
from scripts.demo.world import World

from . import pages
from .pipelines import Pipelines
from .repository import Repository

# Ports that a program without special privileges can open, but that browsers block: https://fetch.spec.whatwg.org/#port-blocking
_NO_BROWSER = {1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, *range(6665, 6670), 6679, 6697, 10080}
FOLDER = Path(__file__).parents[2] / ".playground"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make playground", description="Try mltrail without a GitLab.")
    parser.add_argument("--port", type=int, default=5000, help="port of the mltrail server (default %(default)s)")
    parser.add_argument("--gitlab-port", type=int, help="port of the stand-in for GitLab (default: 80 more)")
    parser.add_argument("--train-python", type=Path, required=True, help="Python with an MLflow client")
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="for everything; emptied first (default %(default)s)"
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        play(options)
    except DemoError as error:
        print(f"playground: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nThe playground has ended. What you made is in {_shown(options.folder)}, until it starts again.")
    return 0


def play(options: argparse.Namespace) -> None:
    front, secret = pages.Front(), secrets.token_urlsafe(16)
    port = options.gitlab_port or options.port + 80
    for one in {options.port, port} & _NO_BROWSER:
        raise DemoError(f"Browsers block port {one}; choose others: make playground PORT=5100")
    try:
        gitlab = FakeGitLab(port, front=front)
    except (OSError, SystemExit) as error:
        raise DemoError(f"Port {port} is in use; choose others: make playground PORT=5100") from error
    python = options.train_python.absolute()
    with World(options.folder.absolute(), train_python=python, port=options.port, gitlab=gitlab, sign_in=True) as world:
        repository = Repository(world.folder / "churn.git", world.folder / "churn")
        churn = world.open("churn", copy=False)
        repository.make(EXAMPLES / "churn", gitlab.url, secret)
        front.pages = pages.make(Pipelines(churn, repository, world.folder / "builds"), secret)
        _write_token(world.folder / "dana.env", churn)
        print(f"Your clone:     {_shown(repository.clone)}")
        print(f"GitLab is at    {gitlab.url}    (a stand-in)")
        print(f"mltrail is at   {churn.pages}/experiments")
        print("In another terminal:")
        print(f"    cd {_shown(repository.clone)}")
        print("    git push")
        print("Ctrl-C ends the playground, and the next start empties it.", flush=True)
        signal.pause()


def _write_token(file: Path, churn: DemoProject) -> None:
    """What people export to use an MLflow client, here with the developer's access token."""
    file.touch(mode=0o600)
    file.write_text(
        f"export MLFLOW_TRACKING_URI={churn.tracking_uri}\nexport MLFLOW_TRACKING_TOKEN={churn.developer_token}\n"
    )


def _shown(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


if __name__ == "__main__":
    sys.exit(main())
