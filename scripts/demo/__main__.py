"""`make demo`: show everything, with a line or two per step."""

import argparse
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import answers, churn
from .printing import Steps
from .project import DemoError, DemoProject
from .world import World

FOLDER = Path(__file__).parents[2] / ".demo"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="make demo", description="Show everything with a real training and a real evaluation."
    )
    parser.add_argument("--port", type=int, default=5000, help="port of the mltrail server (default %(default)s)")
    parser.add_argument("--train-python", type=Path, required=True, help="Python with an MLflow client")
    parser.add_argument("--once", action="store_true", help="exit at the end")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with World(FOLDER, train_python=options.train_python.absolute(), port=options.port) as world:
            step = Steps()
            step(f"A stand-in for GitLab at {world.gitlab.url} and an mltrail server at {world.url} are up.")
            training, prompting = world.open("churn"), world.open("answers")
            with ThreadPoolExecutor() as beside:
                begun = beside.submit(answers.begin, prompting)
                churn.show_chapter(step, training)
                answers.show_chapter(step, prompting, begun.result())
            if not options.once:
                stay(training, prompting)
    except DemoError as error:
        print(f"demo: {error}\nThe server's log is {FOLDER / 'server.log'}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nThe demo has ended. Everything it created is in .demo/")
    return 0


def stay(training: DemoProject, prompting: DemoProject) -> None:
    print(f"\nOpen the pages at         {training.pages}/experiments")
    print(f"                      and {prompting.pages}/experiments")
    print(f"Sign in with this token:  {training.developer_token}")
    print(f"Or use an MLflow client:  export MLFLOW_TRACKING_URI={training.tracking_uri}")
    print(f"                          export MLFLOW_TRACKING_TOKEN={training.developer_token}")
    print("Ctrl-C ends the demo.", flush=True)
    signal.pause()


if __name__ == "__main__":
    sys.exit(main())
