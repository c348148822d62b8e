"""The files of a model version, or of a candidate, under the names that GitLab's package API gives them.

https://docs.gitlab.com/user/project/ml/model_registry/#upload-files-to-a-model-version
"""

from mltrail_server.domain import paths
from mltrail_server.domain.errors import invalid, not_found
from mltrail_server.domain.paths import Owner
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.registry import versions
from mltrail_server.store.tracking import candidates

_CANDIDATE_PREFIX = "candidate:"
_MAX_DIGITS = 18


def path_of(scope: Scope, owner: str, path: str) -> str:
    """Return the path of a file. `owner` is a version's id in the project, or `candidate:<iid>`.

    Raises NOT_FOUND for an owner that the project does not have.
    """
    if not paths.clean(path):
        raise invalid("Name a file: …/files/<path>/<file name>.")
    return paths.join(_folder(scope, owner), paths.clean(path))


def _folder(scope: Scope, owner: str) -> str:
    of_candidate = owner.startswith(_CANDIDATE_PREFIX)
    text = owner.removeprefix(_CANDIDATE_PREFIX)
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else 0
    with scope.project.read() as tx:
        if of_candidate:
            candidate = candidates.get_by_iid(tx, number)
            if candidate is not None:
                return Owner(candidate.experiment_iid, eid=candidate.eid).folder
        else:
            version = versions.get_by_id(tx, number)
            if version is not None and version.elsewhere:
                raise invalid(f"The files of this version lie at {version.elsewhere}, which this server does not read.")
            if version is not None and version.location:
                return version.location
    what = "candidate" if of_candidate else "model version"
    raise not_found(f"This project has no {what} '{text[:40]}' with files.")
