"""What an imported run keeps of the job that it was tied to elsewhere: a claim, never a proof.

Its tags stay as they were, except for those that would say more than this server can know. If this project has the job,
the run is tied to it as claimed, as one is whose client names its job without the job's token (see `stamp`); else the
tag that names the job is a text like any other.
"""

from collections.abc import Mapping

from mltrail_server.domain import gitlab_ci
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.origins import IMPORTED_TAG, Origin
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.db.transaction import Transaction

from . import stamp

_PIPELINE_TAG = "gitlab.CI_PIPELINE_ID"
_NOT_TAKEN_OVER = frozenset({"gitlab.verified", IMPORTED_TAG})
_LONGEST_ID = 18  # digits: a number that fits the column
_MOST_ASKED = 2_000
_ENOUGH = (Code.UNAVAILABLE, Code.FORBIDDEN)


class Claims:
    """Looks up the jobs that imported runs were tied to, each once. An import does not wait for GitLab: once it does
    not answer, or was asked for `most` jobs, it is asked for no more. `unanswered` counts the runs whose job was not
    looked up for that reason. With `of_another_gitlab`, no number is that of a job here.
    """

    def __init__(
        self, deps: Deps, project_id: ProjectId, *, most: int = _MOST_ASKED, of_another_gitlab: bool = False
    ) -> None:
        self._gitlab = deps.team.gitlab if deps.team is not None and not of_another_gitlab else None
        self._project_id = project_id
        self._known: dict[int, gitlab_ci.Job | None] = {}
        self._left = most
        self.unanswered = 0

    def find(self, tags: Mapping[str, str], job_id: int | None = None) -> gitlab_ci.Job | None:
        """Return the job that a run's record, or its tags, name; None if this project has no such job. Asks GitLab, so
        call it before a transaction begins. Never raises; to tie a run to what it returns, call `tie`.
        """
        number = job_id if job_id is not None else _number(tags.get(gitlab_ci.JOB_TAG))
        if number is None or self._gitlab is None:
            return None
        if number not in self._known:
            if not self._left:
                self.unanswered += 1
                return None
            try:
                self._known[number] = self._gitlab.job(self._project_id, number)
                self._left -= 1
            except MltrailError as error:
                if error.code in _ENOUGH:
                    self._left = 0
                    self.unanswered += 1
                    return None
                self._known[number] = None
                self._left -= 1
        job = self._known[number]
        # A number of another GitLab may be that of one of this project's jobs, but then the pipelines differ.
        pipeline_id = _number(tags.get(_PIPELINE_TAG))
        return None if job is None or pipeline_id not in (None, job.pipeline_id) else job


def tags(given: Mapping[str, str], origin: Origin, *, job_id: int | None = None) -> dict[str, str]:
    """Return the tags to store for an imported run, version or trace: its own, the mark that it was imported, and the
    job that a run's record names. Nothing that it says of itself makes it verified.
    """
    kept = {key: value for key, value in given.items() if key not in _NOT_TAKEN_OVER}
    if job_id is not None:
        kept.setdefault(gitlab_ci.JOB_TAG, str(job_id))
    return kept | {IMPORTED_TAG: origin.place()}


def tie(tx: Transaction, candidate_iid: int, claim: gitlab_ci.Job | None) -> None:
    """Tie an imported run to the job that it claims."""
    if claim is not None:
        stamp.tie_claimed(tx, candidate_iid, claim)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= _LONGEST_ID else None
