"""Projects that somebody may see and that have been used here."""

from mltrail_server.domain.errors import unavailable
from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import projects as store

from . import authentication, namespaces
from .deps import Deps


def of(deps: Deps, token: str) -> list[tuple[ProjectId, str]]:
    """List number and path of the projects that the bearer of a token is a member of, by path.

    Membership is GitLab's to tell, and it is asked each time: two calls for up to a hundred projects.
    """
    if deps.settings.local_mode:
        authentication.check_local(deps, token)
        with deps.db.read() as connection:
            return store.known(connection, None)
    if deps.access_tokens is None:
        raise unavailable("This server has no connection to a GitLab.")
    told = deps.access_tokens.projects(token)
    allowed = {number: path for number, path in told.items() if namespaces.allows(deps.settings.namespaces, path)}
    with deps.db.read() as connection:
        found = store.known(connection, sorted(allowed))
    # GitLab's path is the newer one: a project may have moved since it was used here.
    return sorted(((number, allowed[number]) for number, _ in found), key=lambda one: one[1].lower())
