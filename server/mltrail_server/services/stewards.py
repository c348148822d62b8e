"""What was promoted is changed by stewards only: Maintainers, and jobs on protected branches and tags.

Everything here holds on every route: MLflow's registry, our own API and the pages call the same services.
"""

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.errors import conflict, forbidden
from mltrail_server.store import aliases, jobs, promotions
from mltrail_server.store import versions as version_store
from mltrail_server.store.candidates import Candidate
from mltrail_server.store.versions import Version

from . import goals
from .deps import Scope


def check(scope: Scope, doing: str) -> None:
    """Raises FORBIDDEN when the caller is no steward; `doing` begins the sentence that says what they can't do."""
    if not scope.actor.is_steward:
        raise forbidden(
            f"{doing} takes the Maintainer role, or a job on a protected branch or tag, since it was promoted by a "
            "pipeline. Promote another version with `mltrail promote`, or ask a Maintainer."
        )


def check_version(scope: Scope, version: Version, doing: str) -> None:
    """Refuse a change of a promoted version by anybody but a steward."""
    if version.promoted:
        check(scope, f"{doing} {version.model_name} {version.semver}")


def check_model(connection: sa.Connection, scope: Scope, model_id: int, name: str, doing: str) -> None:
    """Refuse to touch the name under which promoted versions are known."""
    if version_store.any_promoted(connection, scope.project_id, model_id):
        check(scope, f"{doing} the model {name}, which has promoted versions,")


def check_unaliased(connection: sa.Connection, scope: Scope, model_id: int, name: str) -> None:
    """Refuse to take a model away from under an alias that promotions move. Raises CONFLICT."""
    managed = promotions.managed_aliases(connection, scope.project_id, model_id)
    held = [alias for alias, _ in aliases.of_models(connection, scope.project_id, [model_id]).get(model_id, [])]
    if managed.intersection(held):
        raise conflict(
            f"The model {name} has the alias '{min(managed.intersection(held))}', by which it is loaded. Take the "
            "alias away first."
        )


def manages(connection: sa.Connection, scope: Scope, model_id: int, alias: str) -> bool:
    """Tell whether an alias is moved by promotions, so that not everybody may move it: also under another case."""
    managed = promotions.managed_aliases(connection, scope.project_id, model_id)
    return alias.lower() in {one.lower() for one in managed}


def check_alias(
    connection: sa.Connection, scope: Scope, model_id: int, alias: str, target: Version | None
) -> str | None:
    """Let a managed alias be moved by stewards, and to promoted versions only. `target` None takes it away.

    A version whose files lie elsewhere, where this server does not look, counts as promoted once the contract file pins
    what lies there. Answers what it says then, for the alias's history.
    """
    if not manages(connection, scope, model_id, alias):
        return None
    check(scope, f"Moving the alias '{alias}'")
    if target is None or target.promoted:
        return None
    if target.elsewhere:
        return f"pinned by the contract file as {_pinned(connection, scope, target, alias)}"
    raise conflict(
        f"{target.model_name} {target.semver} was registered by hand and never promoted, so it can't become "
        f"'{alias}'. Promote the run that it came from: its job, gate and files are checked then."
    )


def _pinned(connection: sa.Connection, scope: Scope, target: Version, alias: str) -> str:
    """Find the digest that the contract file names for a place elsewhere. Raises CONFLICT where it names none."""
    contract = goals.newest_contract(connection, scope.project_id)
    model = contract.models.get(target.model_name) if contract else None
    pins = model.promote.sources if model and model.promote else {}
    if target.elsewhere not in pins:
        raise conflict(
            f"The files of {target.model_name} {target.semver} lie at {target.elsewhere}, which this server does not "
            f"read, so it can't become '{alias}'. Say in the contract file what lies there: "
            f'promote: {{sources: {{"{target.elsewhere}": "sha256:<its digest>"}}}}'
        )
    return pins[target.elsewhere]


def freezes(scope: Scope) -> bool:
    """Tell whether what a promoted version rests on stays as it is, also when its experiment is deleted."""
    return scope.deps.settings.freezes_promoted_runs


def check_frozen(scope: Scope, candidate: Candidate) -> None:
    """Refuse a change of what a promoted version rests on. Raises CONFLICT."""
    if candidate.promoted and freezes(scope):
        raise conflict(
            f"The run {candidate.eid} became a promoted version, so what was logged to it never changes. Log to a new "
            "run; what you want to say of the version, say in its description."
        )


def check_deletable(scope: Scope, candidate: Candidate, stage: Stage) -> None:
    if stage is Stage.DELETED:
        check_frozen(scope, candidate)


def check_name_is_free_to_change(connection: sa.Connection, scope: Scope, experiment_iid: int) -> None:
    """Refuse to rename an experiment with runs of CI jobs: reports, gates and promotions take its name for the model's.

    Raises FORBIDDEN for everybody but stewards.
    """
    if not scope.actor.is_steward and jobs.any_verified_in(connection, scope.project_id, experiment_iid):
        raise forbidden(
            "Renaming an experiment that holds runs of CI jobs takes the Maintainer role, or a job on a protected "
            "branch or tag, since its name says which model they are of. Log to an experiment of another name instead."
        )
