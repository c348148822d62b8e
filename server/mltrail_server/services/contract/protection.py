"""What was promoted is changed by stewards only: Maintainers, and jobs on protected branches and tags.

Everything here holds on every route: MLflow's registry, our own API and the pages call the same services.

Which aliases and stages only promotions give, also before the first promotion.

Once a project promotes (it has promoted a version, or its contract permits it to), `champion` and the stage Production
are given by promotion in all its models, and so is the alias that the contract names for a model. Without a contract
that promotes and without a promotion, all aliases are free, as in MLflow.
"""

import logging
import unicodedata
from dataclasses import dataclass

from mltrail_contract import Contract, ContractError, Promote
from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.errors import MltrailError, conflict, forbidden
from mltrail_server.domain.model import VersionStage
from mltrail_server.services.context.deps import PROJECT_AGE_MS, Scope
from mltrail_server.store.ci import jobs
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.promotion import promotions
from mltrail_server.store.registry import aliases
from mltrail_server.store.registry import versions as version_store
from mltrail_server.store.registry.versions import Version
from mltrail_server.store.review import contracts as contract_store
from mltrail_server.store.tracking.candidates import Candidate

from . import contracts, directions

CHAMPION = Promote().alias
"""The alias that promotions move where no contract names another."""

_MOST_PIPELINES = 100
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Promoting:
    """What the contract on the default branch says of promotions. `broken`: there is one that can't be read."""

    contract: Contract | None = None
    broken: bool = False

    @property
    def by_contract(self) -> bool:
        """Tell whether the contract promotes any model; one that can't be read may."""
        models = self.contract.models.values() if self.contract else ()
        return self.broken or any(model.promote is not None for model in models)

    def alias_of(self, model: str) -> str | None:
        """Name the alias that the contract gives to promotions of a model."""
        found = self.contract.models.get(model) if self.contract else None
        return found.promote.alias if found is not None and found.promote is not None else None


def promoting(scope: Scope) -> Promoting:
    """Read the contract of the default branch: from GitLab, or else as it was read for the newest pipeline.

    It asks GitLab, so call it before a transaction begins.
    """
    if scope.deps.team is None:
        return Promoting()
    try:
        default_branch = scope.ci.gitlab.project(scope.project_id, max_age_ms=PROJECT_AGE_MS).default_branch
        if default_branch is None:
            return Promoting()
        return Promoting(contracts.read(scope.ci, default_branch))
    except ContractError:
        return Promoting(broken=True)
    except MltrailError as error:
        _log.warning("the contract of project %s: %s", scope.project_id, error.message)
    with scope.project.read() as tx:
        text = contract_store.newest(tx, among=_MOST_PIPELINES)
    known = contracts.parsed(text)
    return Promoting(known.contract, broken=bool(known.problems))


def in_use(tx: Transaction, told: Promoting) -> bool:
    """Tell whether the project promotes."""
    return told.by_contract or promotions.any_in(tx)


def aliases_of(tx: Transaction, model: str, told: Promoting, *, model_id: int | None = None) -> set[str]:
    """List the aliases that only promotions move, as they are spelt, of models of this name, and of this one."""
    found = promotions.managed_aliases_of_name(tx, model)
    if model_id is not None:
        found |= promotions.managed_aliases(tx, model_id)
    by_contract = told.alias_of(model)
    if by_contract:
        found.add(by_contract)
    if in_use(tx, told):
        found.add(CHAMPION)
    return found


def folded(alias: str) -> str:
    """Fold what looks alike: case, width, ligatures and accents."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", alias).casefold())
    return "".join(one for one in plain if not unicodedata.combining(one)).casefold()


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


def check_model(tx: Transaction, scope: Scope, model_id: int, name: str, doing: str) -> None:
    """Refuse to touch the name under which promoted versions are known."""
    if version_store.any_promoted(tx, model_id):
        check(scope, f"{doing} the model {name}, which has promoted versions,")


def check_unaliased(tx: Transaction, model_id: int, name: str) -> None:
    """Refuse to take a model away from under an alias that promotions move. Raises CONFLICT."""
    moved = promotions.managed_aliases(tx, model_id)
    held = [alias for alias, _ in aliases.of_models(tx, [model_id]).get(model_id, [])]
    if moved.intersection(held):
        raise conflict(
            f"The model {name} has the alias '{min(moved.intersection(held))}', by which it is loaded. Remove "
            "the alias first."
        )


def manages(tx: Transaction, model_id: int, alias: str) -> bool:
    """Tell whether promotions have moved an alias: also under a name that looks alike."""
    moved = promotions.managed_aliases(tx, model_id)
    return folded(alias) in {folded(one) for one in moved}


def check_alias(  # noqa: PLR0917 - what moves where, and what is known of it
    tx: Transaction, scope: Scope, model_id: int, name: str, alias: str, target: Version | None, told: Promoting
) -> str | None:
    """Let a managed alias be moved by stewards, and to promoted versions only. `target` None takes it away.

    A version whose files lie elsewhere, where this server does not look, counts as promoted once the contract file pins
    what lies there. Answers what it says then, for the alias's history. Raises FORBIDDEN, CONFLICT; also for what looks
    like a managed alias and is spelt in another way.
    """
    spellings = aliases_of(tx, name, told, model_id=model_id)
    alike = sorted(one for one in spellings if folded(one) == folded(alias))
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
        return f"pinned by the contract file as {_pinned(tx, target, alias)}"
    raise conflict(
        f"{target.model_name} {target.semver} was registered by hand and never promoted, so it can't become "
        f"'{alias}'. Promote the run that it came from: its job, gate and files are checked then."
    )


def _pinned(tx: Transaction, target: Version, alias: str) -> str:
    """Find the digest that the contract file names for a place elsewhere. Raises CONFLICT where it names none."""
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


def check_new_name(tx: Transaction, scope: Scope, model_id: int, new_name: str, told: Promoting) -> None:
    """Refuse to bring versions that were never promoted under a name, by an alias that promotions move there.

    Raises FORBIDDEN for everybody but stewards where versions were promoted under that name before.
    """
    if promotions.any_in(tx, name=new_name):
        check(scope, f"Giving another model the name {new_name}, which promoted versions have had,")
    spellings = aliases_of(tx, new_name, told, model_id=model_id)
    spelt = {folded(one) for one in spellings}
    for alias, number in aliases.of_models(tx, [model_id]).get(model_id, []):
        version = version_store.get(tx, model_id, number)
        if folded(alias) in spelt and (version is None or not version.promoted):
            raise conflict(
                f"The model has the alias '{alias}' on a version that was never promoted, and promotions move that "
                f"alias for models named {new_name}. Remove the alias first."
            )


def check_stage(tx: Transaction, scope: Scope, version: Version, stage: VersionStage, told: Promoting) -> None:
    """Refuse to call a version Production that was never promoted, in a project that promotes.

    Raises FORBIDDEN for everybody but stewards, CONFLICT for them.
    """
    if stage is VersionStage.PRODUCTION and not version.promoted and in_use(tx, told):
        check(scope, "Moving a version to the stage Production, in which only promoted versions are,")
        if version.elsewhere:
            _pinned(tx, version, stage)
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


def check_may_hide(tx: Transaction, scope: Scope, experiment_iid: int) -> None:
    """Refuse to delete an experiment with runs of protected refs, which merge requests are compared with.

    Raises FORBIDDEN for everybody but stewards. (What stewards delete stays evidence, too.)
    """
    if not scope.actor.has_maintainer_rights and jobs.any_protected_in(tx, experiment_iid):
        raise forbidden(
            "Deleting an experiment that holds runs of a protected branch or tag takes the Maintainer role, or a job "
            "on a protected branch or tag, since merge requests are compared with them. Delete runs of your own "
            "instead."
        )


def check_name_is_free_to_change(tx: Transaction, scope: Scope, experiment_iid: int) -> None:
    """Refuse to rename an experiment with runs of CI jobs: reports, gates and promotions take its name for the model's.

    Raises FORBIDDEN for everybody but stewards.
    """
    if not scope.actor.has_maintainer_rights and jobs.any_verified_in(tx, experiment_iid):
        raise forbidden(
            "Renaming an experiment that holds runs of CI jobs takes the Maintainer role, or a job on a protected "
            "branch or tag, since its name says which model they are of. Log to an experiment of another name instead."
        )
