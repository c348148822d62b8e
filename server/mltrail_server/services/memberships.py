"""Has who started a job lost the right to write since then? The token itself tells only what was true at its start."""

import threading
from collections import OrderedDict

from mltrail_server.domain.identity import Role
from mltrail_server.domain.ids import ProjectId
from mltrail_server.gitlab.client import GitLab

EVERY_MS = 30 * 60_000
_MAX_ENTRIES = 10_000


class Memberships:
    """What one process knows of people's levels in projects, by the bot's look.

    Not every GitLab lists members by an invited group. So whoever was never found is left alone: only who was seen with
    the right to write, and is not any more, has lost it.
    """

    def __init__(self) -> None:
        self._levels: OrderedDict[tuple[ProjectId, int], tuple[int, int | None, bool]] = OrderedDict()
        self._lock = threading.Lock()

    def lost(self, gitlab: GitLab, project_id: ProjectId, user_id: int | None, now: int) -> bool:
        """Ask at most every half hour whether somebody has lost the Developer role. Raises what GitLab means."""
        if user_id is None:
            return False
        asked_ms, level, seen_writing = self._levels.get((project_id, user_id), (None, None, False))
        if asked_ms is None or now - asked_ms >= EVERY_MS:
            level = gitlab.member_level(project_id, user_id)
            seen_writing = seen_writing or (level or 0) >= Role.DEVELOPER
            with self._lock:
                self._levels[project_id, user_id] = now, level, seen_writing
                while len(self._levels) > _MAX_ENTRIES:
                    self._levels.popitem(last=False)
        return seen_writing and (level or 0) < Role.DEVELOPER
