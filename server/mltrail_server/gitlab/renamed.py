"""URLs that GitLab has given another name: the new one is asked, and the old one where a GitLab does not know the new.

https://docs.gitlab.com/api/rest/deprecations/
"""

from collections.abc import Callable
from typing import TypeVar

from mltrail_server.domain.errors import Code, MltrailError

from .session import Sessions

TRIGGER_JOBS = "trigger_jobs", "bridges"  # since GitLab 19.2
METADATA = "metadata", "version"  # since GitLab 15.2

T = TypeVar("T")
_ASK_AGAIN_MS = 24 * 60 * 60 * 1000
"""A GitLab that was upgraded is asked by the new name within a day."""


def asked(sessions: Sessions, names: tuple[str, str], ask: Callable[[str], T]) -> T:
    """Ask by the newer of two names, or by the older one. What GitLab has is remembered, so that a second call is made
    once a day at most; `ask` gets the name and raises NOT_FOUND where GitLab answers 404.
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
    # It has the thing by its old name: so it was the name that was not known, and not the thing.
    sessions.older_until[newer] = now + _ASK_AGAIN_MS
    return found
