"""Create, find, rename, delete and restore experiments."""

from collections.abc import Iterable, Sequence

from mltrail_server.domain import limits
from mltrail_server.domain.artifact_location import UNUSED_TAG, allowed, shortened_for_tag
from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.errors import MltrailError, already_exists, invalid, not_found
from mltrail_server.domain.model import model_of_experiment
from mltrail_server.domain.reasons import Reason
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.contract import protection
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.registry import models
from mltrail_server.store.tracking import experiments as store
from mltrail_server.store.tracking import inputs
from mltrail_server.store.tracking.experiments import Experiment
from mltrail_server.store.tracking.inputs import DatasetSummary

from . import quotas

MOST_FOR_DATASETS = 20
_MOST_DATASETS = 1000
_SAME_EXPERIMENT_MS = 60_000
"""Two jobs of a matrix may create their experiment at the same time, or a client may ask again after a lost answer. If
the answer is that the name is taken, MLflow's `set_experiment()` logs to the Default experiment without an error.
"""


def create(
    scope: Scope, *, name: str, tags: Iterable[tuple[str, str]] = (), artifact_location: str | None = None
) -> int:
    """Create an experiment and return its number in the project.

    If the operator allows `artifact_location`, clients put its files there themselves; otherwise a tag says that the
    location is not used.

    A CI job that names an experiment of the last minute gets that experiment's number: see `_SAME_EXPERIMENT_MS`.
    Otherwise raises ALREADY_EXISTS for a name that is taken, also by a deleted experiment.
    """
    limits.check_experiment_name(name)
    tags = list(tags)
    for key, value in tags:
        limits.check_tag(key, value)
    place = allowed(artifact_location or "", scope.deps.settings.locations)
    if artifact_location and place is None:
        tags.append((UNUSED_TAG, shortened_for_tag(artifact_location)))
    with scope.project.write() as tx:
        iid = store.create(tx, name=name, artifact_location=place)
        if iid is None:
            taken = existing_by_name(tx, name)
            if (
                scope.actor.job is None
                or taken.stage is not Stage.ACTIVE
                or tx.now - taken.created_ms > _SAME_EXPERIMENT_MS
            ):
                raise _taken(taken)
            return taken.iid
        store.set_tags(tx, iid, tags)
    return iid


def get(scope: Scope, iid: int) -> Experiment:
    with scope.project.read(once=True) as tx:
        return existing(tx, iid)


def get_by_name(scope: Scope, name: str) -> Experiment:
    with scope.project.read(once=True) as tx:
        return existing_by_name(tx, name)


def rename(scope: Scope, iid: int, name: str) -> None:
    limits.check_experiment_name(name)
    with scope.project.write() as tx:
        experiment = existing(tx, iid)
        check_active(experiment)
        if experiment.name != name:
            check_renamable(tx, scope, experiment)
            # Reports take an experiment's name for its model's, so they must find what was logged under the old one.
            store.keep_name(tx, iid, experiment.name)
        taken = store.get_by_name(tx, name)
        if taken is not None and taken.iid != iid:
            raise _taken(taken)
        store.change(tx, iid, name=name)


def change_stage(scope: Scope, iid: int, stage: Stage) -> None:
    """Delete or restore an experiment with its candidates, except those that a promoted version rests on.

    Candidates that are not deleted by their own job are only hidden, and stay evidence. Raises NOT_FOUND if the
    experiment is in that stage already, as MLflow does, and FORBIDDEN for everybody except Maintainers if it holds runs
    of protected refs.
    """
    with scope.project.write() as tx:
        experiment = existing(tx, iid)
        if experiment.stage is stage:
            expected = "active" if stage is Stage.DELETED else "deleted"
            raise not_found(Reason.EXPERIMENT_NOT_IN_STAGE, iid=iid, expected=expected)
        if stage is Stage.DELETED:
            check_deletable(tx, scope, experiment)
        if scope.actor.job is not None and not scope.actor.unchecked:
            discarded = stage is Stage.DELETED
            store.discard(tx, iid, job_id=scope.actor.job.job_id, discarded=discarded)
        store.change(tx, iid, stage=stage)
        freezes = protection.freezes(scope)
        store.change_candidates(tx, iid, stage=stage, but_promoted=freezes)
        if stage is Stage.ACTIVE:
            quotas.check_restored(tx, scope)


def check_renamable(tx: Transaction, scope: Scope, experiment: Experiment) -> None:
    """Raises INVALID for a model's own experiment, FORBIDDEN for everybody except Maintainers if it holds runs of CI
    jobs or imported ones.
    """
    _check_no_models(tx, experiment, "rename")
    protection.check_name_is_free_to_change(tx, scope, experiment.iid)


def check_deletable(tx: Transaction, scope: Scope, experiment: Experiment) -> None:
    """Raises INVALID for a model's own experiment, FORBIDDEN as `protection.check_may_hide`."""
    _check_no_models(tx, experiment, "delete")
    protection.check_may_hide(tx, scope, experiment.iid)


def set_tag(scope: Scope, iid: int, key: str, value: str) -> None:
    limits.check_tag(key, value)
    with scope.project.write() as tx:
        check_active(existing(tx, iid))
        store.set_tags(tx, iid, [(key, value)])


def delete_tag(scope: Scope, iid: int, key: str) -> None:
    with scope.project.write() as tx:
        check_active(existing(tx, iid))
        if not store.delete_tag(tx, iid, key):
            raise not_found(Reason.NO_EXPERIMENT_TAG, iid=iid, key=key)


def datasets(scope: Scope, iids: Sequence[int]) -> list[DatasetSummary]:
    """Return which datasets the candidates of up to 20 experiments have used."""
    with scope.project.read() as tx:
        return inputs.summaries(tx, iids, limit=_MOST_DATASETS)


def existing(tx: Transaction, iid: int) -> Experiment:
    experiment = store.get(tx, iid)
    if experiment is None:
        raise _no_experiment(iid)
    return experiment


def existing_by_name(tx: Transaction, name: str) -> Experiment:
    experiment = store.get_by_name(tx, name)
    if experiment is None:
        raise not_found(Reason.NO_EXPERIMENT_NAMED, name=name)
    return experiment


def check_active(experiment: Experiment) -> None:
    _check_stage(experiment.iid, experiment.stage)


def check_accepts(tx: Transaction, iid: int) -> str | None:
    """Check that runs may begin in an experiment, and return where their files go if they are not stored here. Raises
    NOT_FOUND, and INVALID for a deleted experiment.
    """
    row = store.stage_of(tx, iid)
    if row is None:
        raise _no_experiment(iid)
    stage, place = row
    _check_stage(iid, stage)
    return place


def _check_stage(iid: int, stage: Stage) -> None:
    if stage is Stage.DELETED:
        raise invalid(Reason.EXPERIMENT_DELETED, iid=iid)


def _no_experiment(iid: int) -> MltrailError:
    return not_found(Reason.NO_EXPERIMENT, iid=iid)


def _check_no_models(tx: Transaction, experiment: Experiment, doing: str) -> None:
    """Refuse to delete or rename an experiment that belongs to a model: both change only with the model."""
    model = model_of_experiment(experiment.name)
    if model is not None and models.id_of(tx, model) is not None:
        raise invalid(Reason.EXPERIMENT_OF_MODEL, doing=doing, model=model)


def _taken(experiment: Experiment) -> MltrailError:
    if experiment.stage is Stage.DELETED:
        return already_exists(f"Experiment '{experiment.name}' is deleted; restore it, or use another name.")
    return already_exists(f"Experiment '{experiment.name}' already exists.")
