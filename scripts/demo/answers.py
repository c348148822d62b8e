"""The second chapter: a prompt, what a change of it breaks and fixes, and which version customers get."""

from tests.fakes.gitlab import Pipeline

from .printing import Steps, checked, show, show_note, show_output
from .project import DemoProject, Ran

ONE_SENTENCE = """\
Answer in one sentence.
If the handbook does not say, answer: I don't know; please write to support.
"""
TWO_SENTENCES = """\
Answer in at most two sentences, so that the customer has something to try.
"""
ADMITS = "If the handbook does not say, answer: I don't know; please write to support.\n"
"""What the change left out."""


def show_chapter(step: Steps, answers: DemoProject) -> None:
    sha = answers.commit("d4" * 20, branch="main")
    first = answers.branch_pipeline(sha)
    step(
        f"Now a prompt: in examples/answers, pipeline {first.id} on main answers 60 cases, and three scorers mark them."
    )
    show_marks(checked(evaluate(answers, first)))
    step("Its `promote` job makes that a version, and moves the prompt's alias `production`, which only it can do:")
    show_output(checked(answers.promote(first)))

    answers.edit("prompt.txt", ONE_SENTENCE, TWO_SENTENCES)
    sha = answers.commit("e5" * 20, parents=(sha,), branch="longer")
    request = answers.gitlab.add_merge_request(answers.project, "longer", "main", "Give customers something to try")
    second = answers.merge_request_pipeline(request, sha)
    step(f"Merge request !{request.iid} asks for up to two sentences; its pipeline {second.id} evaluates and reports:")
    show_marks(checked(evaluate(answers, second)))
    show_output(checked(answers.report(second), exit_code=1))
    step("More answers are right, but three cases broke, one more than the contract allows. The comment names them:")
    show_note(answers, request.iid)


def evaluate(answers: DemoProject, pipeline: Pipeline) -> Ran:
    return answers.python(pipeline, "evaluate.py", name="evaluate")


def show_marks(ran: Ran) -> None:
    show(line for line in ran.output.splitlines() if line.startswith("support-answer"))
