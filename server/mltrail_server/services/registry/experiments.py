"""Experiments of models: each has one, `[model]<name>`, as in GitLab. Versions without a run get a candidate there.

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
    """Create a model's experiment, or take the existing one of that name, and return its number."""
    name = experiment_name(model)
    iid = experiments.create(tx, name=name) if experiments.get_by_name(tx, name) is None else None
    if iid is not None:
        return iid
    experiment = experiment_service.existing_by_name(tx, name)
    if experiment.stage is Stage.DELETED:
        experiments.change(tx, experiment.iid, stage=Stage.ACTIVE)
    return experiment.iid


def rename(tx: Transaction, scope: Scope, model: str, new_name: str) -> None:
    """Rename the experiment with its model. Raises ALREADY_EXISTS if another experiment has the name."""
    experiment = experiments.get_by_name(tx, experiment_name(model))
    if experiment is None or model == new_name:
        return
    name = experiment_name(new_name)
    if experiments.get_by_name(tx, name) is not None:
        raise MltrailError(
            Code.ALREADY_EXISTS, f"The model can't be renamed, since the experiment '{name}' exists already."
        )
    protection.check_name_is_free_to_change(tx, scope, experiment.iid)
    experiments.keep_name(tx, experiment.iid, experiment.name)
    experiments.change(tx, experiment.iid, name=name)


def delete(tx: Transaction, scope: Scope, model: str) -> None:
    """Delete a model's experiment with its candidates. It gives up its name, so that the model can be created again."""
    experiment = experiments.get_by_name(tx, experiment_name(model))
    if experiment is None:
        return
    protection.check_may_hide(tx, scope, experiment.iid)
    experiments.keep_name(tx, experiment.iid, experiment.name)
    name = f"{experiment.name} (deleted, {experiment.iid})"
    experiments.change(tx, experiment.iid, name=name, stage=Stage.DELETED)
    freezes = protection.freezes(scope)
    experiments.change_candidates(tx, experiment.iid, stage=Stage.DELETED, but_promoted=freezes)


def candidate_for_version(tx: Transaction, scope: Scope, model: str) -> Candidate:
    """Create the candidate of a version without a run: metrics, parameters, tags and files can be logged to it."""
    iid = make(tx, model)
    candidate = candidate_service.make(tx, scope, experiment_iid=iid, name=random_name())
    candidates.change(tx, candidate.iid, status=Status.FINISHED, ended_ms=tx.now)
    return candidate
