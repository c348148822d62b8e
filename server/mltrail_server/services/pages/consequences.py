"""What an edit on a page would do, said beside its button: whether the caller can, and whether it changes evidence.

The rules are those of the services that carry out the edits; a page shows their refusals before a person presses.
"""

from collections.abc import Callable
from dataclasses import dataclass

from mltrail_contract import Contract
from mltrail_server.domain import selection
from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.errors import MltrailError, conflict, forbidden, invalid
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.contract import directions, protection
from mltrail_server.services.contract.protection import ProjectPolicy
from mltrail_server.services.registry import models, versions
from mltrail_server.services.tracking import experiments, stamp
from mltrail_server.services.tracking.evidence import WriteKind
from mltrail_server.store.ci import jobs
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.registry.versions import Version
from mltrail_server.store.tracking import candidates
from mltrail_server.store.tracking.candidates import Candidate
from mltrail_server.store.tracking.experiments import Experiment

_NOTE = "This is a note: it does not change what counts."


@dataclass(frozen=True, slots=True)
class Edit:
    """`refused` says why the caller can't do it, "" if they can; `effect` what else it does or does not do."""

    refused: str = ""
    effect: str = ""


@dataclass(frozen=True, slots=True)
class RunEdits:
    """`selecting` are the tags by which runs are selected, if the run has evidence that they could be taken for."""

    note: Edit
    delete: Edit
    selecting: str = ""


@dataclass(frozen=True, slots=True)
class ExperimentEdits:
    rename: Edit
    delete: Edit


@dataclass(frozen=True, slots=True)
class ModelEdits:
    """`managed` says by what each alias is moved that not everybody can move."""

    rename: Edit
    delete: Edit
    managed: dict[str, str]
    may_move: bool

    def managed_by(self, alias: str) -> str:
        """Say who moves an alias, or one that looks like it; "" for one that everybody who may write can move."""
        look = protection.folded(alias)
        return next((by for spelt, by in self.managed.items() if protection.folded(spelt) == look), "")


@dataclass(frozen=True, slots=True)
class VersionEdits:
    """`files` is about uploading to it and deleting its files."""

    change: Edit
    delete: Edit
    files: Edit


def of_run(scope: Scope, run: Candidate) -> RunEdits:
    """Some five statements."""
    with scope.project.read() as tx:
        beside = stamp.is_evidence(tx, scope, run)
        contract = directions.newest_contract(tx) if beside else None
        note = Edit(
            _refusal(
                lambda: protection.check_frozen(scope, run),
                lambda: stamp.check_person(tx, scope, run, {WriteKind.TAGS, WriteKind.NAME}),
            ),
            _NOTE if beside else "",
        )
        delete = Edit(
            _refusal(
                lambda: protection.check_deletable(scope, run, Stage.DELETED),
                lambda: stamp.check_person(tx, scope, run, {WriteKind.STAGE}),
            ),
            _effect_of_deletion(run, beside=beside),
        )
    return RunEdits(note, delete, _selecting(contract) if beside else "")


def of_experiment(scope: Scope, experiment: Experiment) -> ExperimentEdits:
    """Some six statements."""
    with scope.project.read() as tx:
        contract = directions.newest_contract(tx)
        verified = jobs.any_verified_in(tx, experiment.iid)
        return ExperimentEdits(
            Edit(
                _refusal(lambda: experiments.check_renamable(tx, scope, experiment)),
                _effect_of_renaming(contract, experiment.name, verified=verified),
            ),
            Edit(
                _refusal(lambda: experiments.check_deletable(tx, scope, experiment)),
                "Its runs disappear from lists, but merge requests are still compared with them. While deleted, they "
                "can't be promoted."
                if verified
                else "",
            ),
        )


def of_model(tx: Transaction, scope: Scope, model_id: int, name: str, policy: ProjectPolicy) -> ModelEdits:
    """Some ten statements."""
    return ModelEdits(
        Edit(_refusal(lambda: models.check_renamable(tx, scope, model_id, name, policy))),
        Edit(_refusal(lambda: models.check_deletable(tx, scope, model_id, name, policy))),
        _managed(tx, model_id, name, policy),
        scope.actor.has_maintainer_rights,
    )


def of_version(tx: Transaction, scope: Scope, version: Version, policy: ProjectPolicy) -> VersionEdits:
    """Some five statements, and two for each of its aliases."""
    return VersionEdits(
        Edit(_refusal(lambda: protection.check_version(scope, version, "Changing"))),
        Edit(
            _refusal(lambda: versions.check_deletable(tx, scope, version, policy)),
            "It was promoted: its run and its provenance statement stay, but it can no longer be loaded."
            if version.promoted
            else "",
        ),
        Edit(
            _refusal(lambda: _check_files(tx, scope, version)),
            "A file with the same name is replaced."
            + (" The version shares its files with the run that it was made from." if version.source else ""),
        ),
    )


def check_upload(scope: Scope, version: Version) -> None:
    """Refuse to change the files of a version on its page. Raises FORBIDDEN, CONFLICT or INVALID.

    What people log to a run of CI jobs is kept beside the run, and so would be no part of the version.
    """
    with scope.project.read() as tx:
        _check_files(tx, scope, version)


def _check_files(tx: Transaction, scope: Scope, version: Version) -> None:
    if version.promoted:
        raise conflict("The files of a promoted version never change.")
    if version.elsewhere:
        raise invalid(f"Its files are stored at {version.elsewhere}, which this server does not read.")
    if not version.location:
        raise invalid("It was registered without a place for files. Create a new version on the model's page instead.")
    run = candidates.get_by_iid(tx, version.candidate_iid) if version.candidate_iid is not None else None
    if run is not None and stamp.is_evidence(tx, scope, run):
        raise forbidden(f"Its files are those of run {run.iid}, and stay as its CI jobs logged them.")
    if run is not None:
        protection.check_frozen(scope, run)


def known_policy(tx: Transaction, scope: Scope) -> ProjectPolicy:
    """Return what the contract says about promotions, as it was read for the newest pipeline: pages don't ask GitLab,
    the edit itself does.
    """
    return ProjectPolicy() if scope.deps.team is None else ProjectPolicy(directions.newest_contract(tx))


def _effect_of_deletion(run: Candidate, *, beside: bool) -> str:
    if run.origin_id is not None:
        return "Merge requests may be compared with this imported run; once it is deleted, they no longer are."
    if beside:
        return (
            "It disappears from lists, but merge requests are still compared with it. While deleted, it can't be "
            "promoted."
        )
    return ""


def _selecting(contract: Contract | None) -> str:
    keys = sorted(selection.tags_of(contract))
    if not keys:
        return ""
    names = ", ".join(f"“{key}”" for key in keys)
    return f"The contract file selects runs by {names}. Only what this run's own jobs set there counts, not a note."


def _effect_of_renaming(contract: Contract | None, name: str, *, verified: bool) -> str:
    named = selection.models_of(contract, [name])
    if named:
        model = f"the model “{named[0].name}”" if len(named) == 1 else f"{len(named)} models"
        return (
            f"The contract file assigns the runs of this experiment to {model} by the experiment's name. Runs logged "
            "so far still count under the old name. Jobs that keep logging to the old name start a new experiment."
        )
    if verified:
        return (
            "CI jobs have logged runs here. They still count under the old name, which reports use as the "
            "model's name. Jobs that keep logging to it start a new experiment."
        )
    return ""


def _managed(tx: Transaction, model_id: int, name: str, policy: ProjectPolicy) -> dict[str, str]:
    by_contract = policy.alias_of(name)
    spelt = protection.aliases_of(tx, name, policy, model_id=model_id)
    return {
        alias: "promotions, as the contract file says" if alias == by_contract else "promotions"
        for alias in sorted(spelt)
    }


def _refusal(*checks: Callable[[], object]) -> str:
    """Return the first refusal of some checks in words; "" if there is none."""
    for check in checks:
        try:
            check()
        except MltrailError as error:
            return error.message
    return ""
