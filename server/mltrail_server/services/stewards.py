"""What was promoted is changed by stewards only: Maintainers, and jobs on protected branches and tags.

Everything here holds on every route: MLflow's registry, our own API and the pages call the same services.
"""

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.errors import conflict, forbidden
from mltrail_server.domain.model import VersionStage
from mltrail_server.store import aliases, jobs, promotions
from mltrail_server.store import versions as version_store
from mltrail_server.store.candidates import Candidate
from mltrail_server.store.versions import Version

from . import goals, managed
from .deps import Scope
from .managed import Promoting


def check(scope: Scope, doing: str) -> None:
    """Raises FORBIDDEN when the caller is no steward; `doing` begins the sentence that says what they can't do."""
    if not scope.actor.has_maintainer_rights:
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
    moved = promotions.managed_aliases(connection, scope.project_id, model_id)
    held = [alias for alias, _ in aliases.of_models(connection, scope.project_id, [model_id]).get(model_id, [])]
    if moved.intersection(held):
        raise conflict(
            f"The model {name} has the alias '{min(moved.intersection(held))}', by which it is loaded. Remove "
            "the alias first."
        )


def manages(connection: sa.Connection, scope: Scope, model_id: int, alias: str) -> bool:
    """Tell whether promotions have moved an alias: also under a name that looks alike."""
    moved = promotions.managed_aliases(connection, scope.project_id, model_id)
    return managed.folded(alias) in {managed.folded(one) for one in moved}


def check_alias(  # noqa: PLR0917 - what moves where, and what is known of it
    connection: sa.Connection,
    scope: Scope,
    model_id: int,
    name: str,
    alias: str,
    target: Version | None,
    told: Promoting,
) -> str | None:
    """Let a managed alias be moved by stewards, and to promoted versions only. `target` None takes it away.

    A version whose files lie elsewhere, where this server does not look, counts as promoted once the contract file pins
    what lies there. Answers what it says then, for the alias's history. Raises FORBIDDEN, CONFLICT; also for what looks
    like a managed alias and is spelt in another way.
    """
    spellings = managed.aliases_of(connection, scope, name, told, model_id=model_id)
    alike = sorted(one for one in spellings if managed.folded(one) == managed.folded(alias))
    if not alike:
        return None
    if not scope.actor.has_maintainer_rights:
        raise forbidden(
            f"Moving the alias '{alias}' takes the Maintainer role, or a job on a protected branch or tag, since in "
            "this project promotions move it. Promote another version with `mltrail promote`, ask a Maintainer, or "
            "use another alias."
        )
    if target is not None and alias not in spellings:
        raise conflict(f"'{alias}' would be taken for '{alike[0]}', which promotions move. Use another alias.")
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


def check_new_name(connection: sa.Connection, scope: Scope, model_id: int, new_name: str, told: Promoting) -> None:
    """Refuse to bring versions that were never promoted under a name, by an alias that promotions move there.

    Raises FORBIDDEN for everybody but stewards where versions were promoted under that name before.
    """
    if promotions.any_in(connection, scope.project_id, name=new_name):
        check(scope, f"Giving another model the name {new_name}, which promoted versions have had,")
    spellings = managed.aliases_of(connection, scope, new_name, told, model_id=model_id)
    folded = {managed.folded(one) for one in spellings}
    for alias, number in aliases.of_models(connection, scope.project_id, [model_id]).get(model_id, []):
        version = version_store.get(connection, scope.project_id, model_id, number)
        if managed.folded(alias) in folded and (version is None or not version.promoted):
            raise conflict(
                f"The model has the alias '{alias}' on a version that was never promoted, and promotions move that "
                f"alias for models named {new_name}. Remove the alias first."
            )


def check_stage(
    connection: sa.Connection, scope: Scope, version: Version, stage: VersionStage, told: Promoting
) -> None:
    """Refuse to call a version Production that was never promoted, in a project that promotes.

    Raises FORBIDDEN for everybody but stewards, CONFLICT for them.
    """
    if stage is VersionStage.PRODUCTION and not version.promoted and managed.in_use(connection, scope, told):
        check(scope, "Moving a version to the stage Production, in which only promoted versions are,")
        if version.elsewhere:
            _pinned(connection, scope, version, stage)
            return
        raise conflict(
            f"{version.model_name} {version.semver} was registered by hand and never promoted, and in this project "
            "only promoted versions can be in Production. Promote the run that it came from."
        )


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


def check_may_hide(connection: sa.Connection, scope: Scope, experiment_iid: int) -> None:
    """Refuse to delete an experiment with runs of protected refs, which merge requests are compared with.

    Raises FORBIDDEN for everybody but stewards. (What stewards delete stays evidence, too.)
    """
    if not scope.actor.has_maintainer_rights and jobs.any_protected_in(connection, scope.project_id, experiment_iid):
        raise forbidden(
            "Deleting an experiment that holds runs of a protected branch or tag takes the Maintainer role, or a job "
            "on a protected branch or tag, since merge requests are compared with them. Delete runs of your own "
            "instead."
        )


def check_name_is_free_to_change(connection: sa.Connection, scope: Scope, experiment_iid: int) -> None:
    """Refuse to rename an experiment with runs of CI jobs: reports, gates and promotions take its name for the model's.

    Raises FORBIDDEN for everybody but stewards.
    """
    if not scope.actor.has_maintainer_rights and jobs.any_verified_in(connection, scope.project_id, experiment_iid):
        raise forbidden(
            "Renaming an experiment that holds runs of CI jobs takes the Maintainer role, or a job on a protected "
            "branch or tag, since its name says which model they are of. Log to an experiment of another name instead."
        )
