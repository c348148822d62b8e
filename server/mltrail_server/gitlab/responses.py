"""Read GitLab's responses: with at least the fields that we rely on, or else an error in words."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mltrail_server.domain.errors import unavailable

from .connections import NO_WAITING
from .errors import translating_errors

if TYPE_CHECKING:
    import gitlab


def get(session: "gitlab.Gitlab", path: str, what: str, fields: AbstractSet[str] = frozenset()) -> dict[str, Any]:
    """Get one object that has at least these fields. Raises as `translating_errors` does; UNAVAILABLE if they are
    missing.
    """
    with translating_errors(what):
        got = session.http_get(path, **NO_WAITING)
    return with_fields(got, what, fields)


def with_fields(got: object, what: str, fields: AbstractSet[str]) -> dict[str, Any]:
    if not isinstance(got, dict) or not got.keys() >= fields:
        raise unavailable(f"GitLab's response for the {what} can't be read.")
    return got


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Raise UNAVAILABLE if the block finds something else in a response than it must hold: a proxy may have answered in
    GitLab's place.
    """
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise unavailable(f"GitLab's response for the {what} can't be read.") from error


def text(value: object) -> str:
    """Return a text that must not be empty. Raises TypeError."""
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


def milliseconds(text: object) -> int | None:
    """Read a time of GitLab's, for example `2026-11-21T12:00:00.000Z`; None if it can't be read."""
    try:
        return int(datetime.fromisoformat(str(text)).timestamp() * 1000)
    except ValueError:
        return None
