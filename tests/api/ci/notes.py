"""What was posted, and what failed."""

from mltrail_server.domain.ids import ProjectId
from mltrail_server.store.ci import merge_requests, publications
from mltrail_server.store.ci.publications import KnownNote
from tests.api.trail import Trail


def problems(trail: Trail) -> list[KnownNote]:
    """What is known of the notes that could not be written, or were deleted."""
    with trail.deps.project(ProjectId(42)).read() as tx:
        known = [publications.note(tx, one.iid) for one in merge_requests.listed(tx, before=None, limit=100)]
    return [one for one in known if one is not None and one.problem is not None]


def posts(trail: Trail) -> int:
    return sum(method == "POST" and path.endswith("/notes") for method, path in trail.team.gitlab.requests)
