"""Where the files of a new model version are: in this project, or in a location that only clients read."""

from dataclasses import dataclass

from mltrail_server.domain import paths
from mltrail_server.domain import source as rules
from mltrail_server.domain.errors import invalid, not_found
from mltrail_server.domain.paths import Owner
from mltrail_server.domain.reasons import Reason
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.registry import sources as store
from mltrail_server.store.registry.sources import SourceModel
from mltrail_server.store.tracking import candidates
from mltrail_server.store.tracking.candidates import Candidate

from . import aliases, models


@dataclass(frozen=True, slots=True)
class Origin:
    """`location` is a folder relative to the project's files, or a URI elsewhere; empty if there are no files."""

    location: str
    candidate_iid: int | None = None
    logged_model_id: str | None = None


def resolve(tx: Transaction, source: str, *, eid: str | None, logged_model_id: str | None) -> Origin:
    """Resolve what a client gives as source, run and logged model.

    Raises INVALID for a source that no version may have and for parts that do not belong together, NOT_FOUND for a run
    or logged model that the project does not have.
    """
    named = rules.parse(source)
    if isinstance(named, rules.OfVersion):
        return _of_version(tx, named, eid=eid, logged_model_id=logged_model_id)
    if isinstance(named, rules.OfLoggedModel):
        return _of_logged_model(tx, named, eid=eid, wanted=logged_model_id)
    if isinstance(named, rules.Elsewhere):
        return _elsewhere(tx, named, eid=eid, logged_model_id=logged_model_id)
    if isinstance(named, rules.OfRun):
        return _of_run(tx, named, eid=eid, logged_model_id=logged_model_id)
    return _without_source(tx, eid=eid, logged_model_id=logged_model_id)


def _without_source(tx: Transaction, *, eid: str | None, logged_model_id: str | None) -> Origin:
    if logged_model_id:
        return _of_logged_model(tx, rules.OfLoggedModel(logged_model_id), eid=eid, wanted=None)
    if eid:
        return _of_run(tx, rules.OfRun(eid, ""), eid=None, logged_model_id=None)
    return Origin("")


def _elsewhere(tx: Transaction, named: rules.Elsewhere, *, eid: str | None, logged_model_id: str | None) -> Origin:
    maker = _candidate(tx, eid) if eid else None
    model = _logged_model(tx, logged_model_id) if logged_model_id else None
    return Origin(named.uri, maker.iid if maker else None, model.model_id if model else None)


def _of_run(tx: Transaction, named: rules.OfRun, *, eid: str | None, logged_model_id: str | None) -> Origin:
    if named.experiment_iid is not None and candidates.get(tx, named.eid) is None:
        raise invalid(f"Invalid model version source: this project has no run {named.eid}.")
    candidate = _candidate(tx, named.eid)
    if named.experiment_iid not in (None, candidate.experiment_iid):
        raise invalid(f"Invalid model version source: the run {named.eid} is not in experiment {named.experiment_iid}.")
    if eid and eid != named.eid:
        raise invalid(Reason.SOURCE_IN_OTHER_RUN, eid=named.eid, claimed=eid)
    if logged_model_id:
        model = _logged_model(tx, logged_model_id)
        if model.source_eid != named.eid:
            raise invalid(f"Invalid model version source: the logged model {model.model_id} is not of run {named.eid}.")
    folder = candidate.elsewhere or Owner(candidate.experiment_iid, eid=named.eid).folder
    location = paths.join(folder, named.path)
    if named.path and not logged_model_id and not store.has_files(tx, location):
        # MLflow 3 keeps what log_model(name="model") logs outside the run, but runs:/<id>/model still means it.
        model_of_name = store.logged_model_of_run(tx, named.eid, named.path)
        if model_of_name is not None:
            return Origin(_folder(model_of_name), candidate.iid, model_of_name.model_id)
    return Origin(location, candidate.iid, logged_model_id)


def _of_logged_model(tx: Transaction, named: rules.OfLoggedModel, *, eid: str | None, wanted: str | None) -> Origin:
    model = _logged_model(tx, named.model_id)
    if named.experiment_iid not in (None, model.experiment_iid):
        raise invalid(
            f"Invalid model version source: the logged model {model.model_id} is not in experiment "
            f"{named.experiment_iid}."
        )
    if wanted and wanted != model.model_id:
        raise invalid(Reason.SOURCE_IN_OTHER_LOGGED_MODEL, model_id=model.model_id, claimed=wanted)
    if eid and eid != model.source_eid:
        raise invalid(f"Invalid model version source: the logged model {model.model_id} is not of run {eid}.")
    maker = _candidate(tx, model.source_eid) if model.source_eid else None
    return Origin(paths.join(_folder(model), named.path), maker.iid if maker else None, model.model_id)


def _of_version(tx: Transaction, named: rules.OfVersion, *, eid: str | None, logged_model_id: str | None) -> Origin:
    if named.alias is not None:
        version = aliases.find(tx, named.model_name, named.alias)
    else:
        model_id = models.id_of(tx, named.model_name)
        version = models.version_of(tx, model_id, named.model_name, named.version or "")
    if eid and eid != version.eid:
        raise invalid(f"Invalid model version source: that version is not of run {eid}.")
    if logged_model_id and logged_model_id != version.logged_model_id:
        raise invalid(f"Invalid model version source: that version is not of the logged model {logged_model_id}.")
    return Origin(version.elsewhere or version.location, version.candidate_iid, version.logged_model_id)


def _candidate(tx: Transaction, eid: str) -> Candidate:
    candidate = candidates.get(tx, eid)
    if candidate is None:
        raise not_found(Reason.NO_RUN, eid=eid)
    return candidate


def _logged_model(tx: Transaction, model_id: str) -> SourceModel:
    model = store.logged_model(tx, model_id)
    if model is None:
        raise not_found(Reason.NO_LOGGED_MODEL_TO_LINK, model_id=model_id)
    return model


def _folder(model: SourceModel) -> str:
    return model.elsewhere or Owner(model.experiment_iid, logged_model_id=model.model_id).folder
