"""Register a version as GitLab's `create_model_version` does: a Maintainer who names a job's run promotes that run.

Where the run can't be promoted the version is registered by hand, as everybody may: it is not verified then, and has no
managed alias.
"""

from collections.abc import Mapping

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.model import PROMPT_TAG, VERSION_TAG
from mltrail_server.store import candidates
from mltrail_server.store.versions import Version

from . import model_files, promotion, sources, versions
from .deps import Scope
from .promotion_plan import Wish
from .versions import Request

_NO_PROMOTION = frozenset({Code.FORBIDDEN, Code.NOT_FOUND, Code.CONFLICT, Code.UNAVAILABLE, Code.INVALID})


def create(scope: Scope, name: str, request: Request, tags: Mapping[str, str]) -> Version:
    """Make a version. Raises what `versions.create` raises."""
    number = _promoted(scope, name, request, tags)
    if number is None:
        return versions.create(scope, name, request, tags)
    for key, value in tags.items():
        versions.set_tag(scope, name, str(number), key, value)
    return versions.describe(scope, name, str(number), request.description)


def _promoted(scope: Scope, name: str, request: Request, tags: Mapping[str, str]) -> int | None:
    """Promote the run that is named, without an alias; None where that is not possible or nobody asks for it."""
    actor = scope.actor
    if scope.deps.gitlab is None or actor.job is not None or not actor.has_maintainer_rights or not request.eid:
        return None
    iid = _candidate(scope, request)
    if iid is None or tags.get(PROMPT_TAG) == "true":
        return None
    wish = Wish(candidate_iid=iid, model=name, alias="", version=tags.get(VERSION_TAG))
    try:
        (done,) = promotion.promote(scope, wish)
    except MltrailError as error:
        if error.code not in _NO_PROMOTION:
            raise
        return None
    return done.number if done.state == "promoted" else None


def _candidate(scope: Scope, request: Request) -> int | None:
    """Find the run, if it is its model that the source names."""
    with scope.deps.db.read() as connection:
        found = candidates.get(connection, scope.project_id, request.eid)
        if found is None or found.promoted:
            return None
        held = model_files.of_candidate(connection, scope.project_id, found.iid)
        logged_model_id = request.logged_model_id or None
        try:
            origin = sources.resolve(
                connection, scope, request.source, eid=request.eid, logged_model_id=logged_model_id
            )
        except MltrailError:
            return None
    root = f"{found.experiment_iid}/{found.eid}/artifacts"
    # GitLab's documented call gives a semver or nothing as source: the run as a whole.
    return found.iid if held is not None and origin.location in (held.location, root) else None
