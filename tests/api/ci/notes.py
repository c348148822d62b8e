"""What was posted, and what failed."""

from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.ci.publish import postings
from tests.api.trail import Trail


def no_problems(trail: Trail) -> bool:
    with trail.deps.project(ProjectId(42)).read() as tx:
        return postings.problems(tx) == []


def posts(trail: Trail) -> int:
    return sum(method == "POST" and path.endswith("/notes") for method, path in trail.team.gitlab.requests)
