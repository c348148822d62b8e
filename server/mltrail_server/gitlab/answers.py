"""Read GitLab's answers: at least the fields that we rely on, or an error in words."""

from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any

import gitlab

from mltrail_server.domain.errors import unavailable

from .errors import telling
from .session import NO_WAITING


def get(session: gitlab.Gitlab, path: str, what: str, fields: AbstractSet[str] = frozenset()) -> dict[str, Any]:
    """Ask for one thing, which holds at least these fields. Raises as `telling` does, UNAVAILABLE for odd answers."""
    with telling(what):
        got = session.http_get(path, **NO_WAITING)
    return holding(got, what, fields)


def holding(got: object, what: str, fields: AbstractSet[str]) -> dict[str, Any]:
    if not isinstance(got, dict) or not got.keys() >= fields:
        raise unavailable(f"GitLab's answer for the {what} can't be read.")
    return got


def milliseconds(text: object) -> int | None:
    """Read one of GitLab's times, for example `2026-11-21T12:00:00.000Z`; None when it can't be read."""
    try:
        return int(datetime.fromisoformat(str(text)).timestamp() * 1000)
    except ValueError:
        return None
