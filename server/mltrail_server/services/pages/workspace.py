"""What an experiment's page needs beside its table: which metrics can be drawn, and all runs that match, by number."""

from collections.abc import Sequence
from itertools import islice

from mltrail_server.services.context.deps import Scope
from mltrail_server.store.ci.jobs import JobPart
from mltrail_server.store.pages import curves
from mltrail_server.store.pages import tables as store
from mltrail_server.store.tracking import candidates
from mltrail_server.store.tracking.candidates import Candidate

from . import tables
from .tables import TableQuery

MOST_AT_ONCE = 1000
"""How many runs one form changes at most: a person can be asked about them, and a request can bear them."""


def metrics_with_curves(scope: Scope, iids: Sequence[int]) -> list[str]:
    """List the metrics that one of these runs has logged at several steps, by name, in one statement."""
    if not iids:
        return []
    with scope.project.read() as tx:
        return curves.names(tx, iids)


def matching(scope: Scope, experiment_iid: int, query: TableQuery) -> list[int]:
    """List the numbers of the runs that match, in the order of the table: at most `MOST_AT_ONCE`, and one more if there
    are more.
    """
    found = (row.candidate.iid for rows in tables.every(scope, experiment_iid, query) for row in rows)
    return list(islice(found, MOST_AT_ONCE + 1))


def runs(scope: Scope, experiment_iid: int, iids: Sequence[int]) -> list[Candidate]:
    """Return those of these runs that the experiment has, by number."""
    with scope.project.read() as tx:
        return [one for one in candidates.of_iids(tx, list(iids)) if one.experiment_iid == experiment_iid]


def logged_by_jobs(scope: Scope, iids: Sequence[int]) -> int:
    """Count the runs that a job's token vouches for."""
    with scope.project.read() as tx:
        made = store.made_by(tx, iids)
    return len({job.candidate_iid for job in made if job.verified and job.part is JobPart.CREATOR})


def tag_of(scope: Scope, iids: Sequence[int], key: str) -> dict[int, str]:
    """Return the values that runs have of one tag; those without it are left out."""
    with scope.project.read() as tx:
        return {iid: tags[key] for iid, tags in store.tag_values(tx, iids, [key]).items()}
