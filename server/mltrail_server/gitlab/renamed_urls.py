"""URLs that GitLab has renamed: the new one is tried first, then the old one if this GitLab does not know the new.

https://docs.gitlab.com/api/rest/deprecations/
"""

from collections.abc import Callable
from typing import TypeVar

from mltrail_server.domain.errors import Code, MltrailError

from .connections import Connections

TRIGGER_JOBS = "trigger_jobs", "bridges"  # since GitLab 19.2
METADATA = "metadata", "version"  # since GitLab 15.2

T = TypeVar("T")
_ASK_AGAIN_MS = 24 * 60 * 60 * 1000
"""After an upgrade of GitLab, the new name is used within a day."""


def ask_by_either_name(sessions: Connections, names: tuple[str, str], ask: Callable[[str], T]) -> T:
    """Call `ask` with the newer of two names, or with the older one. Which one GitLab knows is remembered, so that a
    second call is made at most once a day. `ask` raises NOT_FOUND when GitLab returns 404.
    """
    newer, older = names
    now = sessions.clock()
    if sessions.older_until.get(newer, 0) > now:
        return ask(older)
    try:
        return ask(newer)
    except MltrailError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        found = ask(older)
    # The old name works, so it was the new name that GitLab did not know, not the object.
    sessions.older_until[newer] = now + _ASK_AGAIN_MS
    return found
