"""Where an alias has been: what a roll back goes back to."""

from collections.abc import Iterable


def standing(moves: Iterable[int | None]) -> list[int]:
    """Tell the versions under the one that an alias points at, the current one last.

    `moves` are the numbers that it was moved to, the oldest first; None is where it was taken away.

    A move to a version that the alias has been at goes back to it, so that a second roll back goes one further back and
    not forth again.
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
