"""What one process remembers of the jobs that write through it, so that a training loop does not pay on each call.

What a transaction has written may still be rolled back. So a tie is remembered only once it is committed or has been
read back, and whoever remembers anything earlier must forget it if the call fails.
"""

from mltrail_server.domain.ids import ProjectId

_MOST_ENTRIES = 50_000
_QUIET_MS = 60_000


class JobCache:
    def __init__(self) -> None:
        self._ties: dict[tuple[ProjectId, int], set[int]] = {}
        self._tie_count = 0
        self._noted_ms: dict[tuple[ProjectId, int], int] = {}

    def knows_tie(self, project_id: ProjectId, candidate_iid: int, job_id: int) -> bool:
        """Return whether a candidate is known to be tied to a job."""
        return candidate_iid in self._ties.get((project_id, job_id), ())

    def knows_job(self, project_id: ProjectId, job_id: int) -> bool:
        """Return whether a job and its pipeline are known to have their rows."""
        return (project_id, job_id) in self._ties

    def remember(self, project_id: ProjectId, candidate_iid: int, job_id: int) -> None:
        """Remember a tie that was read back."""
        if self._tie_count >= _MOST_ENTRIES:
            self._ties, self._tie_count = {}, 0
        self._ties.setdefault((project_id, job_id), set()).add(candidate_iid)
        self._tie_count += 1

    def forget(self, project_id: ProjectId, job_id: int) -> None:
        """Forget a job whose call has failed: what it has read back may be from a transaction that was rolled back
        with it, see `Project.write_together`.
        """
        self._ties.pop((project_id, job_id), None)

    def note_activity(self, project_id: ProjectId, pipeline_id: int, now: int) -> bool:
        """Return whether to schedule a look at a pipeline whose jobs are writing: true at most once a minute. The look
        is minutes away, and a search with 500 trials need not put it off 500 times.
        """
        if now - self._noted_ms.get((project_id, pipeline_id), -_QUIET_MS) < _QUIET_MS:
            return False
        if len(self._noted_ms) >= _MOST_ENTRIES:
            self._noted_ms.clear()
        self._noted_ms[project_id, pipeline_id] = now
        return True

    def forget_activity(self, project_id: ProjectId, pipeline_id: int) -> None:
        """Forget that a look was scheduled: the call that was to do it has failed."""
        self._noted_ms.pop((project_id, pipeline_id), None)
