"""Contracts that have a gate published, and what GitLab then shows: threads that people resolve."""

from tests.api.review.merge_requests import BAD, GOOD, RULE, a_main, a_request, contract
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import MergeRequest, Note, Pipeline
from tests.fakes.gitlab.state import Discussion


def publishing(*names: str, rules: tuple[str, ...] = (RULE,)) -> str:
    wanted = ", ".join(f"{name}: true" for name in names)
    return contract(*rules).replace("version: 1\n", f"version: 1\ngate: {{{wanted}}}\n")


def failing(trail: Trail, *names: str) -> tuple[MergeRequest, Pipeline]:
    a_main(trail, SHAS["b"], publishing(*names), GOOD)
    request, pipeline = a_request(trail, BAD)
    trail.work()
    return request, pipeline


def again(trail: Trail, request: MergeRequest, values: list[float]) -> Pipeline:
    pipeline = trail.of_request(request, SHAS["c"])
    trail.train(pipeline, values)
    trail.work()
    return pipeline


def thread_of(request: MergeRequest) -> Discussion:
    (found,) = request.discussions
    return found


def resolve(trail: Trail, request: MergeRequest, *, reply: str | None, by: str = "owner") -> None:
    """A person resolves the thread."""
    owner, thread = trail.team.users[by], thread_of(request)
    if reply is not None:
        thread.notes.append(Note(trail.team.gitlab.number("note"), reply, owner, request.id, request.iid, 42))
    thread.resolved_by = owner
