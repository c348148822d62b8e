"""Who is asking: from a token to an `Actor` in one project."""

import hmac

from mltrail_server.domain.errors import not_found, unauthenticated
from mltrail_server.domain.identity import Access, Actor, TokenKind
from mltrail_server.domain.ids import ProjectId

from . import projects
from .deps import Deps


def admit(deps: Deps, token: str, project: str) -> Actor:
    """Let the bearer of `token` in to `project` (number or path), or raise.

    Raises UNAUTHENTICATED for a token that proves nobody, NOT_FOUND for a project that does not exist or that the
    bearer may not see: the two look the same from outside.
    """
    actor = _local(deps, token, project)
    projects.ensure(deps, actor)
    return actor


def _local(deps: Deps, token: str, project: str) -> Actor:
    if not hmac.compare_digest(token.encode(), deps.settings.local_token.encode()):
        raise unauthenticated(
            "This is not the token of this server. In local mode `mltrail-server serve` prints the right one at its "
            "start; set MLFLOW_TRACKING_TOKEN to it."
        )
    if not (project.isascii() and project.isdigit()) or not 0 < int(project) < 2**63:
        raise not_found(f"No project '{project}'. In local mode a project is a number of your choice, for example 1.")
    number = ProjectId(int(project))
    return Actor(TokenKind.LOCAL, number, project, "local", Access.WRITE)
