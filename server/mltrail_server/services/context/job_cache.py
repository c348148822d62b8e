"""What one process remembers of the jobs that write through it, so that a training loop does not pay for it each call.

Only what was read back from the database is remembered: what a transaction has written may still be rolled back.
"""

from mltrail_server.domain.ids import ProjectId

_MOST = 50_000
_QUIET_MS = 60_000


class JobCache:
    def __init__(self) -> None:
        self._ties: dict[tuple[ProjectId, int], set[int]] = {}
        self._count = 0
        self._looks: dict[tuple[ProjectId, int], int] = {}

    def knows_tie(self, project_id: ProjectId, candidate_iid: int, job_id: int) -> bool:
        """Tell whether a candidate is known to be tied to a job."""
        return candidate_iid in self._ties.get((project_id, job_id), ())

    def knows_job(self, project_id: ProjectId, job_id: int) -> bool:
        """Tell whether a job and its pipeline are known to have their rows."""
        return (project_id, job_id) in self._ties

    def remember(self, project_id: ProjectId, candidate_iid: int, job_id: int) -> None:
        """Remember a tie that was read back."""
        if self._count >= _MOST:
            self._ties, self._count = {}, 0
        self._ties.setdefault((project_id, job_id), set()).add(candidate_iid)
        self._count += 1

    def forget(self, project_id: ProjectId, job_id: int) -> None:
        """Forget a job whose call has failed: what it has read back may have been of a transaction that has failed
        with it, see `store.group_commit`.
        """
        self._ties.pop((project_id, job_id), None)

    def is_news(self, project_id: ProjectId, pipeline_id: int, now: int) -> bool:
        """Tell, at most once a minute, that a pipeline goes on: a first look at it is minutes away, and a sweep of 500
        trials need not put it off 500 times.
        """
        if now - self._looks.get((project_id, pipeline_id), -_QUIET_MS) < _QUIET_MS:
            return False
        if len(self._looks) >= _MOST:
            self._looks.clear()
        self._looks[project_id, pipeline_id] = now
        return True
