"""The first chapter: a training, its merge request, and the model that is promoted."""

from tests.fakes.gitlab import Pipeline

from .printing import Steps, checked, show, show_note, show_output
from .project import DemoProject, Ran

PREDICT = """
import customers, mlflow.pyfunc
_, some, _, _ = customers.load()
print(*mlflow.pyfunc.load_model("models:/churn@champion").predict(some.head(5)))
"""


def show_chapter(step: Steps, churn: DemoProject) -> None:
    print("   They train examples/churn, plain MLflow: 2 depths x 3 seeds, each with curves, a figure, a model.")
    sha = churn.commit("a1" * 20, branch="main")
    first = churn.branch_pipeline(sha)
    step(f"Pipeline {first.id} on main trains the first models; there is nothing to compare with yet.")
    show_training(checked(train(churn, first)))
    step("Its `promote` job makes the best candidate a version:")
    show_output(checked(churn.promote(first)))

    churn.edit("params.yaml", "learning_rate: 0.05", "learning_rate: 0.2")
    sha = churn.commit("b2" * 20, parents=(sha,), branch="faster")
    request = churn.gitlab.add_merge_request(churn.project, "faster", "main", "Learn faster")
    second = churn.merge_request_pipeline(request, sha)
    step(f"Merge request !{request.iid} sets learning_rate 0.05 -> 0.2; its pipeline {second.id} trains and reports:")
    train_and_report(churn, second)
    step(f"Merge request !{request.iid} now has one comment:")
    show_note(churn, request.iid)

    churn.edit("params.yaml", "n_estimators: 40", "n_estimators: 80")
    sha = churn.commit("c3" * 20, parents=(sha,), branch="faster")
    third = churn.merge_request_pipeline(request, sha)
    step(f"A second push sets n_estimators 40 -> 80; pipeline {third.id} trains and reports:")
    train_and_report(churn, third)
    step("Still one comment, the same one, updated:")
    show_note(churn, request.iid)

    sha = churn.gitlab.merge(churn.project, request.iid)
    fourth = churn.branch_pipeline(sha)
    step(f"Merged. Pipeline {fourth.id} on main trains the reviewed code and promotes the winner:")
    checked(train(churn, fourth))
    show_output(checked(churn.promote(fourth)))
    step("Anybody with access can load it by its alias; mlflow.pyfunc.load_model('models:/churn@champion') predicts:")
    print("  ", churn.person(PREDICT).strip())


def train(churn: DemoProject, pipeline: Pipeline, *arguments: str) -> Ran:
    return churn.python(pipeline, "train.py", *arguments, name="train")


def train_and_report(churn: DemoProject, pipeline: Pipeline) -> None:
    show_training(checked(train(churn, pipeline)))
    show_output(checked(churn.report(pipeline)))


def show_training(ran: Ran) -> None:
    show(line for line in ran.output.splitlines() if line.startswith("depth"))
