"""The second chapter: a prompt, what a change of it breaks and fixes, and which version customers get."""

from typing import NamedTuple

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


class Begun(NamedTuple):
    """What the default branch's pipeline has done."""

    pipeline: Pipeline
    evaluated: Ran
    promoted: Ran


def begin(answers: DemoProject) -> Begun:
    """Evaluate and promote on the default branch, which shows nothing: it can run beside the first chapter."""
    first = answers.branch_pipeline(answers.commit("d4" * 20, branch="main"))
    return Begun(first, checked(evaluate(answers, first)), checked(answers.promote(first)))


def show_chapter(step: Steps, answers: DemoProject, begun: Begun) -> None:
    number = begun.pipeline.id
    step(
        f"Now a prompt: in examples/answers, pipeline {number} on main answers 60 cases, and three scorers grade them."
    )
    show_marks(begun.evaluated)
    step("Its `promote` job makes that a version, and moves the prompt's alias `production`, which only it can do:")
    show_output(begun.promoted)

    answers.edit("prompt.txt", ONE_SENTENCE, TWO_SENTENCES)
    sha = answers.commit("e5" * 20, parents=(begun.pipeline.sha,), branch="longer")
    request = answers.gitlab.add_merge_request(answers.project, "longer", "main", "Give customers something to try")
    second = answers.merge_request_pipeline(request, sha)
    step(f"Merge request !{request.iid} asks for up to two sentences; its pipeline {second.id} evaluates and reports:")
    show_marks(checked(evaluate(answers, second)))
    show_output(checked(answers.report(second), exit_code=1))
    step("More answers are right, but three cases broke, one more than the contract allows. The comment names them:")
    show_note(answers, request.iid)
    step("The pages show each case with both answers, each trace, and what has changed in the prompt:")
    print(f"   {answers.pages}/merge_requests/{request.iid}")
    print(f"   {answers.pages}/prompts/support-answer?from=1&to=2")


def evaluate(answers: DemoProject, pipeline: Pipeline) -> Ran:
    return answers.python(pipeline, "evaluate.py", name="evaluate")


def show_marks(ran: Ran) -> None:
    show(line for line in ran.output.splitlines() if line.startswith("support-answer"))
