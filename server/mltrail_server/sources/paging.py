"""Reading a list that comes in pages, without ending early or never."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from .http import LostError

_MOST_EMPTY = 3

Item = TypeVar("Item")


def pages(
    fetch: Callable[[str], tuple[list[Item], str]], what: str, *, announced: int | None = None
) -> Iterator[list[Item]]:
    """Return the pages that `fetch` gets: it takes a page token, first "", and returns the page and the next token, ""
    after the last.

    Raises LostError if the list can't be complete: a token comes a second time, several pages in a row are empty
    although more is promised, or it ends with fewer items than announced. `what` names the list in its sentence.
    """
    token, seen, empty, count = "", {""}, 0, 0
    while True:
        page, token = fetch(token)
        count += len(page)
        empty = 0 if page else empty + 1
        if page:
            yield page
        if not token:
            break
        if token in seen:
            raise LostError(f"The server returned a page of {what} twice, so the rest can't be read after {count}.")
        if empty >= _MOST_EMPTY:
            raise LostError(f"The server returned {empty} empty pages of {what} in a row, after {count}.")
        seen.add(token)
    if announced is not None and count < announced:
        raise LostError(f"The server announced {announced} {what} but returned only {count}.")
