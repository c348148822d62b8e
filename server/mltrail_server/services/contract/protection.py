"""What only Maintainers, and jobs on protected branches and tags, may change.

That is whatever was promoted, and the aliases and stages that only promotions give. Once a project promotes (it has
promoted a version, or its contract permits it to), promotions alone give the alias `champion` and the stage Production
to all its models, and to each model the alias that the contract names for it. Without a contract that promotes and
without a promotion all aliases are free, as in MLflow.

These checks hold on every route: MLflow's registry, our own API and the pages call the same services.
"""

import logging
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.errors import MltrailError, conflict, forbidden
from mltrail_server.domain.model import VersionStage
from mltrail_server.later import later
from mltrail_server.services.context.deps import PROJECT_AGE_MS, Scope
from mltrail_server.store.ci import jobs
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.promotion import promotions
from mltrail_server.store.registry import aliases
from mltrail_server.store.registry import versions as version_store
from mltrail_server.store.registry.versions import Version
from mltrail_server.store.tracking import candidates
from mltrail_server.store.tracking.candidates import Candidate

if TYPE_CHECKING:
    from mltrail_contract import Contract
    from mltrail_server.store.review import contracts as contract_store

    from . import contracts, directions
else:
    # What reads the contract file brings the reader of YAML, and only registries ask for it.
    contracts, directions = later(__package__, "contracts", "directions")
    [contract_store] = later("mltrail_server.store.review", "contracts")

CHAMPION = "champion"
"""The alias that promotions move if no contract names another."""

_MOST_PIPELINES = 100  # how many of the newest are searched for a contract file
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProjectPolicy:
    """What the contract on the default branch says about promotions. `invalid`: there is one that can't be read."""

    contract: "Contract | None" = None
    invalid: bool = False

    @property
    def by_contract(self) -> bool:
        """Whether the contract promotes any model. An invalid one may."""
        models = self.contract.models.values() if self.contract else ()
        return self.invalid or any(model.promote is not None for model in models)

    def alias_of(self, model: str) -> str | None:
        """Return the alias that the contract names for promotions of a model."""
        rules = self.contract.models.get(model) if self.contract else None
        return rules.promote.alias if rules is not None and rules.promote is not None else None

    def prompt_aliases_of(self, prompt: str) -> set[str]:
        """List the aliases of a prompt that promotions of models move, as the contract says."""
        models = self.contract.models.values() if self.contract else ()
        return {model.prompts[prompt] for model in models if prompt in model.prompts}


def project_policy(scope: Scope) -> ProjectPolicy:
    """Read the contract of the default branch: from GitLab, or else as it was read for the newest pipeline.

    This asks GitLab, so call it before a transaction begins.
    """
    if scope.deps.team is None:
        return ProjectPolicy()
    from mltrail_contract import ContractError  # noqa: PLC0415 - see above

    try:
        default_branch = scope.ci.gitlab.project(scope.project_id, max_age_ms=PROJECT_AGE_MS).default_branch
        if default_branch is None:
            return ProjectPolicy()
        return ProjectPolicy(contracts.read(scope.ci, default_branch))
    except ContractError:
        return ProjectPolicy(invalid=True)
    except MltrailError as error:
        _log.warning("the contract of project %s: %s", scope.project_id, error.message)
    with scope.project.read() as tx:
        text = contract_store.newest(tx, among=_MOST_PIPELINES)
    stored = contracts.parsed(text)
    return ProjectPolicy(stored.contract, invalid=bool(stored.problems))


def in_use(tx: Transaction, policy: ProjectPolicy) -> bool:
    """Whether the project promotes."""
    return policy.by_contract or promotions.any_in(tx)


def aliases_of(tx: Transaction, model: str, policy: ProjectPolicy, *, model_id: int | None = None) -> set[str]:
    """List the aliases that only promotions move, as they are spelt, for models of this name and for this one."""
    managed = promotions.managed_aliases_of_name(tx, model)
    if model_id is not None:
        managed |= promotions.managed_aliases(tx, model_id)
    by_contract = policy.alias_of(model)
    if by_contract:
        managed.add(by_contract)
    managed |= policy.prompt_aliases_of(model)
    if in_use(tx, policy):
        managed.add(CHAMPION)
    return managed


def folded(alias: str) -> str:
    """Make names equal that look alike: fold case, width, ligatures and accents."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", alias).casefold())
    return "".join(character for character in plain if not unicodedata.combining(character)).casefold()


def check(scope: Scope, doing: str) -> None:
    """Raises FORBIDDEN without Maintainer rights. `doing` begins the sentence that says what the caller can't do."""
    if not scope.actor.has_maintainer_rights:
        raise forbidden(
            f"{doing} takes the Maintainer role, or a job on a protected branch or tag, since it was promoted by a "
            "pipeline. Promote another version with `mltrail promote`, or ask a Maintainer."
        )


def check_version(scope: Scope, version: Version, doing: str) -> None:
    """Refuse to change a promoted version without Maintainer rights. Raises FORBIDDEN."""
    if version.promoted:
        check(scope, f"{doing} {version.model_name} {version.semver}")


def check_model(tx: Transaction, scope: Scope, model_id: int, name: str, doing: str) -> None:
    """Refuse to change the name of promoted versions without Maintainer rights. Raises FORBIDDEN."""
    if version_store.any_promoted(tx, model_id):
        check(scope, f"{doing} the model {name}, which has promoted versions,")


def check_aliases_stay(  # noqa: PLR0917 - whose aliases, and what would become of them
    tx: Transaction, scope: Scope, model_id: int, name: str, given: Iterable[str], policy: ProjectPolicy, doing: str
) -> None:
    """Let only callers with Maintainer rights take away what has a managed alias: whoever loads by that alias would
    find nothing. This holds for versions never promoted, too, which have had it since before promotions moved it.

    `doing` begins the sentence that says what the caller can't do. Raises FORBIDDEN.
    """
    if scope.actor.has_maintainer_rights:
        return
    managed = {folded(alias) for alias in aliases_of(tx, name, policy, model_id=model_id)}
    moved = sorted(alias for alias in given if folded(alias) in managed)
    if moved:
        raise forbidden(
            f"{doing} takes the Maintainer role, or a job on a protected branch or tag, since it has the alias "
            f"'{moved[0]}', which promotions move in this project. Ask a Maintainer."
        )


def check_unaliased(tx: Transaction, model_id: int, name: str) -> None:
    """Refuse to delete a model that has an alias which promotions move. Raises CONFLICT."""
    moved = promotions.managed_aliases(tx, model_id)
    given = [alias for alias, _ in aliases.of_models(tx, [model_id]).get(model_id, [])]
    if moved.intersection(given):
        raise conflict(
            f"The model {name} has the alias '{min(moved.intersection(given))}', by which it is loaded. Remove "
            "the alias first."
        )


def manages(tx: Transaction, model_id: int, alias: str) -> bool:
    """Whether promotions have moved this alias, or one that looks like it."""
    moved = promotions.managed_aliases(tx, model_id)
    return folded(alias) in {folded(other) for other in moved}


def check_alias(  # noqa: PLR0917 - which alias moves where, and who may move it
    tx: Transaction, scope: Scope, model_id: int, name: str, alias: str, target: Version | None, policy: ProjectPolicy
) -> str | None:
    """Let only callers with Maintainer rights move a managed alias, and only to promoted versions. `target` None
    removes it.

    A version whose files are at a place that this server does not read counts as promoted once the contract file pins
    them; then the return value says so for the alias's history. Raises FORBIDDEN or CONFLICT, also for an alias that
    looks like a managed one and is spelt differently.
    """
    spellings = aliases_of(tx, name, policy, model_id=model_id)
    alike = sorted(spelling for spelling in spellings if folded(spelling) == folded(alias))
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
    if target.is_prompt:
        raise conflict(
            f"No promoted run has loaded version {target.number} of the prompt {name}, so '{alias}' can't "
            "point at it. Promote a run that has loaded it, which checks its evaluation and gate."
        )
    if target.elsewhere:
        return f"pinned by the contract file as {_pinned(tx, target, alias)}"
    raise conflict(
        f"{target.model_name} {target.semver} was {_made(target)} and never promoted, so it can't become "
        f"'{alias}'. Promote the run that it came from: its job, gate and files are checked then."
    )


def _made(version: Version) -> str:
    return "registered by hand" if version.origin_id is None else "imported"


def _pinned(tx: Transaction, target: Version, alias: str) -> str:
    """Return the digest that the contract file names for files elsewhere. Raises CONFLICT if it names none."""
    contract = directions.newest_contract(tx)
    model = contract.models.get(target.model_name) if contract else None
    pins = model.promote.sources if model and model.promote else {}
    if target.elsewhere not in pins:
        raise conflict(
            f"The files of {target.model_name} {target.semver} lie at {target.elsewhere}, which this server does not "
            f"read, so it can't become '{alias}'. Say in the contract file what lies there: "
            f'promote: {{sources: {{"{target.elsewhere}": "sha256:<its digest>"}}}}'
        )
    return pins[target.elsewhere]


def check_new_name(tx: Transaction, scope: Scope, model_id: int, new_name: str, policy: ProjectPolicy) -> None:
    """Refuse a new name under which promotions move an alias that this model has on a version never promoted.

    Raises CONFLICT; FORBIDDEN without Maintainer rights if versions were promoted under that name before.
    """
    if promotions.any_in(tx, name=new_name):
        check(scope, f"Giving another model the name {new_name}, which promoted versions have had,")
    spellings = aliases_of(tx, new_name, policy, model_id=model_id)
    managed = {folded(spelling) for spelling in spellings}
    for alias, number in aliases.of_models(tx, [model_id]).get(model_id, []):
        version = version_store.get(tx, model_id, number)
        if folded(alias) in managed and (version is None or not version.promoted):
            raise conflict(
                f"The model has the alias '{alias}' on a version that was never promoted, and promotions move that "
                f"alias for models named {new_name}. Remove the alias first."
            )


def check_stage(tx: Transaction, scope: Scope, version: Version, stage: VersionStage, policy: ProjectPolicy) -> None:
    """Refuse to move a version to Production that was never promoted, in a project that promotes.

    Raises FORBIDDEN without Maintainer rights, else CONFLICT.
    """
    if stage is VersionStage.PRODUCTION and not version.promoted and in_use(tx, policy):
        check(scope, "Moving a version to the stage Production, in which only promoted versions are,")
        if version.elsewhere:
            _pinned(tx, version, stage)
            return
        raise conflict(
            f"{version.model_name} {version.semver} was {_made(version)} and never promoted, and in this project "
            "only promoted versions can be in Production. Promote the run that it came from."
        )


def freezes(scope: Scope) -> bool:
    """Whether the run behind a promoted version never changes, even if its experiment is deleted."""
    return scope.deps.settings.freezes_promoted_runs


def check_frozen(scope: Scope, candidate: Candidate) -> None:
    """Refuse to change the run behind a promoted version. Raises CONFLICT."""
    if candidate.promoted and freezes(scope):
        raise conflict(
            f"The run {candidate.eid} became a promoted version, so what was logged to it never changes. Log to a new "
            "run; what you want to say of the version, say in its description."
        )


def check_deletable(scope: Scope, candidate: Candidate, stage: Stage) -> None:
    """Refuse to delete the run behind a promoted version; let only callers with Maintainer rights delete an imported
    one, which a contract may have made a baseline. Raises CONFLICT or FORBIDDEN.
    """
    if stage is not Stage.DELETED:
        return
    check_frozen(scope, candidate)
    if candidate.origin_id is not None and not scope.actor.has_maintainer_rights:
        raise forbidden(
            f"Deleting the run {candidate.eid}, which was imported, takes the Maintainer role, since merge requests "
            "may be compared with it. Ask a Maintainer."
        )


def check_may_hide(tx: Transaction, scope: Scope, experiment_iid: int) -> None:
    """Refuse to delete an experiment with runs of protected refs, or imported ones: merge requests are compared
    with them.

    Raises FORBIDDEN without Maintainer rights. (Runs that a Maintainer deletes remain evidence, too.)
    """
    if scope.actor.has_maintainer_rights:
        return
    if jobs.any_protected_in(tx, experiment_iid):
        raise forbidden(
            "Deleting an experiment that holds runs of a protected branch or tag takes the Maintainer role, or a job "
            "on a protected branch or tag, since merge requests are compared with them. Delete runs of your own "
            "instead."
        )
    if candidates.any_imported_in(tx, experiment_iid):
        raise forbidden(
            "Deleting an experiment that holds imported runs takes the Maintainer role, since merge requests may be "
            "compared with them. Delete runs of your own instead."
        )


def check_name_is_free_to_change(tx: Transaction, scope: Scope, experiment_iid: int) -> None:
    """Refuse to rename an experiment with runs of CI jobs or imported ones: reports take its name for the
    model's.

    Raises FORBIDDEN without Maintainer rights.
    """
    if scope.actor.has_maintainer_rights:
        return
    if candidates.any_imported_in(tx, experiment_iid):
        raise forbidden(
            "Renaming an experiment that holds imported runs takes the Maintainer role, since its name says which "
            "model they are of. Log to an experiment of another name instead."
        )
    if jobs.any_verified_in(tx, experiment_iid):
        raise forbidden(
            "Renaming an experiment that holds runs of CI jobs takes the Maintainer role, or a job on a protected "
            "branch or tag, since its name says which model they are of. Log to an experiment of another name instead."
        )
