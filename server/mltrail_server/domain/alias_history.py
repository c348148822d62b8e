"""The versions that an alias has pointed at: what a rollback returns to."""

from collections.abc import Iterable


def standing(moves: Iterable[int | None]) -> list[int]:
    """Return the versions that an alias can be rolled back to, oldest first, and the current one last.

    `moves` are the numbers of the versions that it was moved to, oldest first; None means that it was removed.

    A move to a version that the alias has pointed at before counts as a return to it, so that a second rollback goes
    one version further back, not forward again.
    """
    stack: list[int] = []
    for number in moves:
        if number is None:
            continue
        if number in stack:
            del stack[stack.index(number) + 1 :]
        else:
            stack.append(number)
    return stack


def before(moves: Iterable[int | None], current: int | None) -> list[int]:
    """Return the versions that an alias pointed at before the current one, the last first: a rollback takes the first
    that still exists. `moves` are as in `standing`.
    """
    versions = standing(moves)
    return versions[: versions.index(current)][::-1] if current in versions else []
