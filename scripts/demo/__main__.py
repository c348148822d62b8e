"""`make demo`: show everything, with a line or two per step."""

import argparse
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.fakes.gitlab import Pipeline

from .world import PROJECT_PATH, ROOT, DemoError, Ran, World

PREDICT = """
import customers, mlflow.pyfunc
_, some, _, _ = customers.load()
print(*mlflow.pyfunc.load_model("models:/churn@champion").predict(some.head(5)))
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description="Show everything on a real training.")
    parser.add_argument("--port", type=int, default=5000, help="port of the mltrail server (default %(default)s)")
    parser.add_argument("--train-python", type=Path, required=True, help="Python with an MLflow client")
    parser.add_argument("--once", action="store_true", help="exit at the end")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with World(ROOT / ".demo", train_python=options.train_python.absolute(), port=options.port) as world:
            show_steps(world)
            if not options.once:
                stay(world)
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nThe demo has ended. Everything it created is in .demo/")
    return 0


def show_steps(world: World) -> None:
    step = Steps()
    step(f"A stand-in for GitLab at {world.gitlab.url} and an mltrail server at {world.url} are up.")
    print("   They train examples/churn, plain MLflow: 2 depths x 3 seeds, each with curves, a figure, a model.")

    sha = world.commit("a1" * 20, branch="main")
    first = world.branch_pipeline(sha)
    step(f"Pipeline {first.id} on main trains the first models; there is nothing to compare with yet.")
    show_training(checked(world.train(first)))
    step("Its `promote` job makes the best candidate a version:")
    show_output(checked(world.promote(first)))

    world.set_param("learning_rate", "0.2")
    sha = world.commit("b2" * 20, parents=(sha,), branch="faster")
    request = world.gitlab.add_merge_request(world.project, "faster", "main", "Learn faster")
    second = world.merge_request_pipeline(request, sha)
    step(f"Merge request !{request.iid} sets learning_rate 0.05 -> 0.2; its pipeline {second.id} trains and reports:")
    train_and_report(world, second)
    step(f"Merge request !{request.iid} now has one comment:")
    show_note(world, request.iid)

    world.set_param("n_estimators", "80")
    sha = world.commit("c3" * 20, parents=(sha,), branch="faster")
    third = world.merge_request_pipeline(request, sha)
    step(f"A second push sets n_estimators 40 -> 80; pipeline {third.id} trains and reports:")
    train_and_report(world, third)
    step("Still one comment, the same one, updated:")
    show_note(world, request.iid)

    sha = world.gitlab.merge(world.project, request.iid)
    fourth = world.branch_pipeline(sha)
    step(f"Merged. Pipeline {fourth.id} on main trains the reviewed code and promotes the winner:")
    checked(world.train(fourth))
    show_output(checked(world.promote(fourth)))
    step("Anybody with access can load it by its alias; mlflow.pyfunc.load_model('models:/churn@champion') predicts:")
    print("  ", world.person(PREDICT).strip())


def train_and_report(world: World, pipeline: Pipeline) -> None:
    show_training(checked(world.train(pipeline)))
    show_output(checked(world.report(pipeline)))


def show_note(world: World, iid: int) -> None:
    notes = world.gitlab.notes(world.project, iid)
    if len(notes) != 1:
        raise DemoError(f"There should be one comment, there are {len(notes)}. The server's log:\n{world.log}")
    print("\n".join(f"   | {line}" for line in notes[0].body.splitlines()))


def stay(world: World) -> None:
    print(f"\nOpen the pages at         {world.url}/{PROJECT_PATH}/-/ml/experiments")
    print(f"Sign in with this token:  {world.developer_token}")
    print(f"Or use an MLflow client:  export MLFLOW_TRACKING_URI={world.tracking_uri}")
    print(f"                          export MLFLOW_TRACKING_TOKEN={world.developer_token}")
    print("Ctrl-C ends the demo.", flush=True)
    signal.pause()


def checked(ran: Ran) -> Ran:
    if ran.exit_code != 0:
        raise DemoError(f"The job {ran.job.name!r} failed with exit code {ran.exit_code}. It said:\n{ran.output}")
    return ran


def show_training(ran: Ran) -> None:
    show(line for line in ran.output.splitlines() if line.startswith("depth"))


def show_output(ran: Ran) -> None:
    show(ran.output.rstrip().splitlines())


def show(lines: Iterable[str]) -> None:
    print("\n".join(f"   $ {line}".rstrip() for line in lines), flush=True)


class Steps:
    """Numbers the steps."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, text: str) -> None:
        self.number += 1
        print(f"\n{self.number}. {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
