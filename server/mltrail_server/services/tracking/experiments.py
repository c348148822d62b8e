"""Make, find, rename, delete and restore experiments."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from mltrail_server.domain import limits
from mltrail_server.domain.artifact_location import UNUSED_TAG, allowed, told_in_a_tag
from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.errors import Code, MltrailError, invalid, not_found
from mltrail_server.domain.model import model_of_experiment
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.contract import protection
from mltrail_server.store.registry import models
from mltrail_server.store.tracking import experiments as store
from mltrail_server.store.tracking import inputs
from mltrail_server.store.tracking.experiments import Experiment
from mltrail_server.store.tracking.inputs import Summary

from . import quotas

_CONTEXT_TAG = "mlflow.data.context"
MOST_FOR_DATASETS = 20
_MOST_SUMMARIES = 1000
_SAME_MS = 60_000
"""Two jobs of a matrix make their experiment at the same time, or a lost answer makes a client ask again. Told that the
name is taken, MLflow's `set_experiment()` goes on without an error and logs to the Default experiment.
"""


def create(
    scope: Scope, *, name: str, tags: Iterable[tuple[str, str]] = (), artifact_location: str | None = None
) -> int:
    """Make an experiment and answer its number in the project.

    Its files go to `artifact_location` where the operator allows that place, and clients put them there by themselves;
    else a tag tells that the place is not used.

    A CI job that names one of the last minute gets that one's number: see `_SAME_MS`. Raises ALREADY_EXISTS for a taken
    name otherwise, also for one that a deleted experiment holds.
    """
    limits.check_experiment_name(name)
    tags = list(tags)
    for key, value in tags:
        limits.check_tag(key, value)
    place = allowed(artifact_location or "", scope.deps.settings.locations)
    if artifact_location and place is None:
        tags.append((UNUSED_TAG, told_in_a_tag(artifact_location)))
    with scope.deps.db.write() as connection:
        iid = store.create(connection, scope.project_id, name=name, now=scope.now, artifact_location=place)
        if iid is None:
            taken = existing_name(connection, scope, name)
            if scope.actor.job is None or taken.stage is not Stage.ACTIVE or scope.now - taken.created_ms > _SAME_MS:
                raise _taken(taken)
            return taken.iid
        store.set_tags(connection, scope.project_id, iid, tags)
    return iid


def get(scope: Scope, iid: int) -> Experiment:
    with scope.deps.db.read() as connection:
        return existing(connection, scope, iid)


def get_by_name(scope: Scope, name: str) -> Experiment:
    if not name:
        raise invalid("Missing value for required parameter 'experiment_name': name the experiment.")
    with scope.deps.db.read() as connection:
        return existing_name(connection, scope, name)


def rename(scope: Scope, iid: int, name: str) -> None:
    limits.check_experiment_name(name)
    with scope.deps.db.write() as connection:
        experiment = existing(connection, scope, iid)
        check_active(experiment)
        if experiment.name != name:
            _check_no_models(connection, scope, experiment, "rename")
            protection.check_name_is_free_to_change(connection, scope, iid)
            # Reports take the name for the model's, and compare what was logged under it with what is.
            store.keep_name(connection, scope.project_id, iid, experiment.name)
        taken = store.get_by_name(connection, scope.project_id, name)
        if taken is not None and taken.iid != iid:
            raise _taken(taken)
        store.change(connection, scope.project_id, iid, now=scope.now, name=name)


def change_stage(scope: Scope, iid: int, stage: Stage) -> None:
    """Delete or restore an experiment; its candidates go and come back with it. What a promoted version rests on stays.

    What others than the candidates' own job delete is hidden, and stays evidence. Raises NOT_FOUND when it is in that
    stage already, as MLflow does, FORBIDDEN for all but stewards where it holds runs of protected refs.
    """
    with scope.deps.db.write() as connection:
        experiment = existing(connection, scope, iid)
        if experiment.stage is stage:
            word = "active" if stage is Stage.DELETED else "deleted"
            raise not_found(f"No {word} Experiment with id={iid} exists")
        if stage is Stage.DELETED:
            _check_no_models(connection, scope, experiment, "delete")
            protection.check_may_hide(connection, scope, iid)
        if scope.actor.job is not None and not scope.actor.unchecked:
            discarded = stage is Stage.DELETED
            store.discard(connection, scope.project_id, iid, job_id=scope.actor.job.job_id, discarded=discarded)
        store.change(connection, scope.project_id, iid, now=scope.now, stage=stage)
        freezes = protection.freezes(scope)
        store.change_candidates(connection, scope.project_id, iid, now=scope.now, stage=stage, but_promoted=freezes)
        if stage is Stage.ACTIVE:
            quotas.check_restored(connection, scope)


def set_tag(scope: Scope, iid: int, key: str, value: str) -> None:
    limits.check_tag(key, value)
    with scope.deps.db.write() as connection:
        check_active(existing(connection, scope, iid))
        store.set_tags(connection, scope.project_id, iid, [(key, value)])


def delete_tag(scope: Scope, iid: int, key: str) -> None:
    with scope.deps.db.write() as connection:
        check_active(existing(connection, scope, iid))
        if not store.delete_tag(connection, scope.project_id, iid, key):
            raise not_found(f"No tag with name: {key} in experiment with id {iid}")


def datasets(scope: Scope, iids: Sequence[int]) -> list[Summary]:
    """Tell which datasets the candidates of up to 20 experiments have used."""
    if not iids:
        raise invalid("SearchDatasets request must specify at least one experiment_id.")
    with scope.deps.db.read() as connection:
        return inputs.summaries(connection, scope.project_id, iids, context_key=_CONTEXT_TAG, limit=_MOST_SUMMARIES)


def existing(connection: sa.Connection, scope: Scope, iid: int) -> Experiment:
    found = store.get(connection, scope.project_id, iid)
    if found is None:
        raise _no_experiment(iid)
    return found


def existing_name(connection: sa.Connection, scope: Scope, name: str) -> Experiment:
    found = store.get_by_name(connection, scope.project_id, name)
    if found is None:
        raise not_found(f"Could not find experiment with name '{name}'")
    return found


def check_active(experiment: Experiment) -> None:
    _check_stage(experiment.iid, experiment.stage)


def check_accepts(connection: sa.Connection, scope: Scope, iid: int) -> str | None:
    """Make sure that runs may begin in an experiment, and answer where their files go, if not here. Raises NOT_FOUND,
    INVALID for a deleted one.
    """
    found = store.stage_of(connection, scope.project_id, iid)
    if found is None:
        raise _no_experiment(iid)
    stage, place = found
    _check_stage(iid, stage)
    return place


def _check_stage(iid: int, stage: Stage) -> None:
    if stage is Stage.DELETED:
        raise invalid(
            f"The experiment {iid} must be in the 'active' state. Current state is deleted. "
            "Restore it first, or use another."
        )


def _no_experiment(iid: int) -> MltrailError:
    return not_found(f"No Experiment with id={iid} exists")


def _check_no_models(connection: sa.Connection, scope: Scope, experiment: Experiment, doing: str) -> None:
    """Refuse to delete or rename an experiment that is a model's: it goes with its model."""
    model = model_of_experiment(experiment.name)
    if model is not None and models.id_of(connection, scope.project_id, model) is not None:
        raise invalid(f"Cannot {doing} an experiment associated to a model; {doing} the model '{model}' instead.")


def _taken(experiment: Experiment) -> MltrailError:
    how = "is deleted; restore it, or use another name" if experiment.stage is Stage.DELETED else "exists"
    return MltrailError(
        Code.ALREADY_EXISTS, f"Experiment '{experiment.name}' already {how}.".replace("already is", "is")
    )
