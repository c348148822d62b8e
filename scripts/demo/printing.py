"""What the demo prints: numbered steps, what jobs said, and comments."""

from collections.abc import Iterable

from .project import DemoError, DemoProject, Ran


class Steps:
    """Numbers the steps."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, text: str) -> None:
        self.number += 1
        print(f"\n{self.number}. {text}", flush=True)


def show(lines: Iterable[str]) -> None:
    print("\n".join(f"   $ {line}".rstrip() for line in lines), flush=True)


def show_output(ran: Ran) -> None:
    show(ran.output.rstrip().splitlines())


def show_note(of: DemoProject, iid: int) -> None:
    notes = of.gitlab.notes(of.project, iid)
    if len(notes) != 1:
        raise DemoError(f"There should be one comment on !{iid} of {of.project.path}, there are {len(notes)}.")
    print("\n".join(f"   | {line}" for line in notes[0].body.splitlines()))


def checked(ran: Ran, exit_code: int = 0) -> Ran:
    if ran.exit_code != exit_code:
        raise DemoError(f"The job {ran.job.name!r} ended with exit code {ran.exit_code}. It said:\n{ran.output}")
    return ran
