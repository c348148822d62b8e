"""Numbers of pipelines, jobs and merge requests that a former GitLab assigned.

A project that came from another GitLab brings pipelines whose numbers this one gives out again. So each move takes
`SHIFT` from them: they are negative here, no number of two GitLabs is the same, and older pipelines stay older than
newer ones. A GitLab never gives out a negative number, so nothing here takes one of them for its own.
"""

from .errors import invalid

SHIFT = 1 << 48
"""Larger than any number of a GitLab."""

MOST_MOVES = 31
"""Then numbers would no longer be exact in JavaScript."""


def shifted(number: int) -> int:
    """Return a number as it is after another move. 0 stands for a person where jobs have numbers, and stays.

    Raises INVALID for a number that no GitLab gives: a larger one would become one that this GitLab may give.
    """
    if not -SHIFT * (MOST_MOVES - 1) <= number < SHIFT:
        raise invalid(f"{number} is no number of a pipeline, job or merge request, or was moved too often.")
    return number - SHIFT if number else 0


def is_former(number: int) -> bool:
    """Return whether a former GitLab assigned this number."""
    return number < 0


def merge_request(iid: int) -> str:
    """Write a merge request as its GitLab does, and say if that is the former one."""
    return f"!{original(iid)} of the former project" if is_former(iid) else f"!{iid}"


def original(number: int) -> int:
    """Return the number that its GitLab knows."""
    return number % SHIFT
