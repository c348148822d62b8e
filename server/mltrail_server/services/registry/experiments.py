"""Each model has an experiment of its own, `[model]<name>`, as GitLab has it: versions without a run get one there.

https://docs.gitlab.com/user/project/ml/model_registry/
"""

from mltrail_server.domain.candidate import Stage, Status
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.model import experiment_name
from mltrail_server.domain.random_names import random_name
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.contract import protection
from mltrail_server.services.tracking import candidates as candidate_service
from mltrail_server.services.tracking import experiments as experiment_service
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.tracking import candidates, experiments
from mltrail_server.store.tracking.candidates import Candidate


def make(tx: Transaction, model: str) -> int:
    """Make a model's experiment, or take the one of that name that is there, and answer its number."""
    name = experiment_name(model)
    made = experiments.create(tx, name=name)
    if made is not None:
        return made
    found = experiment_service.existing_by_name(tx, name)
    if found.stage is Stage.DELETED:
        experiments.change(tx, found.iid, stage=Stage.ACTIVE)
    return found.iid


def rename(tx: Transaction, scope: Scope, model: str, new_name: str) -> None:
    """Let the experiment follow its model. Raises ALREADY_EXISTS where another experiment has the name."""
    found = experiments.get_by_name(tx, experiment_name(model))
    if found is None or model == new_name:
        return
    name = experiment_name(new_name)
    if experiments.get_by_name(tx, name) is not None:
        raise MltrailError(
            Code.ALREADY_EXISTS, f"The model can't be renamed, since the experiment '{name}' exists already."
        )
    protection.check_name_is_free_to_change(tx, scope, found.iid)
    experiments.keep_name(tx, found.iid, found.name)
    experiments.change(tx, found.iid, name=name)


def delete(tx: Transaction, scope: Scope, model: str) -> None:
    """Delete a model's experiment with its candidates. It gives its name away, so that the model can come again."""
    found = experiments.get_by_name(tx, experiment_name(model))
    if found is None:
        return
    protection.check_may_hide(tx, scope, found.iid)
    experiments.keep_name(tx, found.iid, found.name)
    name = f"{found.name} (deleted, {found.iid})"
    experiments.change(tx, found.iid, name=name, stage=Stage.DELETED)
    freezes = protection.freezes(scope)
    experiments.change_candidates(tx, found.iid, stage=Stage.DELETED, but_promoted=freezes)


def candidate_for_version(tx: Transaction, scope: Scope, model: str) -> Candidate:
    """Make the candidate that a version without a run is: metrics, parameters, tags and files can be logged to it."""
    iid = make(tx, model)
    made = candidate_service.make(tx, scope, experiment_iid=iid, name=random_name()).candidate
    candidates.change(tx, made.iid, status=Status.FINISHED, ended_ms=tx.now)
    return made
