"""Where the files of a version from elsewhere are here: with its run or logged model, or in a folder of its own."""

import hashlib
import re
from dataclasses import dataclass

from mltrail_server.domain import paths
from mltrail_server.domain import source as rules
from mltrail_server.domain.candidate import Stage, Status
from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.paths import Owner
from mltrail_server.domain.transfer import Entity, Loss, VersionRecord
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.imports import registry, runs
from mltrail_server.store.imports.runs import NewRun
from mltrail_server.store.registry import models
from mltrail_server.store.registry import sources as store
from mltrail_server.store.tracking import candidates

from . import files
from .files import Before, Brought
from .fit_to_limits import Fit
from .plan import FilesMode
from .target import USER, Target

_IN_LOGGED_MODEL = re.compile(r"/models/(?P<id>m-[\w-]+)/artifacts(?:/(?P<path>.*))?$", re.ASCII)
_IN_RUN = re.compile(r"/(?P<id>[\w-]+)/artifacts(?:/(?P<path>.*))?$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """`location` is a folder of the project's files, or a URI elsewhere; empty if there are no files."""

    location: str = ""
    candidate_iid: int | None = None
    logged_model_id: str | None = None
    source: str = ""


def find(tx: Transaction, target: Target, record: VersionRecord) -> Place | None:
    """Find the files of a version among those of imported runs, logged models and versions; None if they are not
    there.
    """
    run = candidates.get(tx, record.run_id) if record.run_id else None
    run_iid = run.iid if run is not None else None
    uris = [uri for uri in (record.source, record.storage_location) if uri]
    found = [
        _of_logged_model(tx, record, uri) or _of_run(tx, record, uri) or _of_version(tx, target, uri) for uri in uris
    ]
    # A run without files at that place has none at the source either.
    found += [_of_run(tx, record, uri, empty_too=True) for uri in uris]
    place = next((one for one in found if one is not None), None)
    if place is None:
        return None
    iid = run_iid if run_iid is not None else place.candidate_iid
    return Place(place.location, iid, place.logged_model_id, place.source)


def will_come(target: Target, record: VersionRecord) -> bool:
    """Return, for a dry run, whether the files of a version would come with a run, a logged model or a version."""
    for uri in filter(None, (record.source, record.storage_location)):
        parsed = _parsed(uri)
        if isinstance(parsed, rules.OfVersion):
            return True
        named = [getattr(parsed, name, None) for name in ("eid", "model_id")]
        named += [found["id"] for pattern in (_IN_LOGGED_MODEL, _IN_RUN) if (found := pattern.search(uri))]
        if any(one in target.coming for one in named):
            return True
    return False


def run_of(tx: Transaction, record: VersionRecord) -> int | None:
    """Return the number here of the run that a version names; None if that run is not here."""
    found = candidates.get(tx, record.run_id) if record.run_id else None
    return found.iid if found is not None else None


def _of_logged_model(tx: Transaction, record: VersionRecord, uri: str) -> Place | None:
    parsed = _parsed(uri)
    if isinstance(parsed, rules.OfLoggedModel):
        model_id, path = parsed.model_id, parsed.path
    elif (found := _IN_LOGGED_MODEL.search(uri)) is not None:
        model_id, path = found["id"], found["path"] or ""
    else:
        return None
    model = store.logged_model(tx, model_id)
    if model is None:
        return None
    folder = model.elsewhere or Owner(model.experiment_iid, logged_model_id=model.model_id).folder
    maker = candidates.get(tx, model.source_eid) if model.source_eid else None
    source = record.source if _is_portable(record.source) else f"models:/{model_id}"
    return Place(_join(folder, path), maker.iid if maker else None, model_id, source)


def _of_run(tx: Transaction, record: VersionRecord, uri: str, *, empty_too: bool = False) -> Place | None:
    parsed = _parsed(uri)
    if isinstance(parsed, rules.OfRun):
        eid, path = parsed.eid, parsed.path
    elif (found := _IN_RUN.search(uri)) is not None:
        eid, path = found["id"], found["path"] or ""
    else:
        return None
    run = candidates.get(tx, eid)
    if run is None:
        return None
    folder = run.elsewhere or Owner(run.experiment_iid, eid=eid).folder
    location = _join(folder, path)
    source = record.source if _is_portable(record.source) else f"runs:/{_join(eid, path)}"
    logged = record.logged_model_id
    if path and run.elsewhere is None and not empty_too and not store.has_files(tx, location):
        # MLflow 3 keeps what log_model(name="model") logs outside the run, but runs:/<id>/model still means it.
        model = store.logged_model_of_run(tx, eid, path)
        if model is None:
            return None
        folder = model.elsewhere or Owner(model.experiment_iid, logged_model_id=model.model_id).folder
        return Place(folder, run.iid, model.model_id, source)
    known = store.logged_model(tx, logged) if logged else None
    return Place(location, run.iid, known.model_id if known else None, source)


def _of_version(tx: Transaction, target: Target, uri: str) -> Place | None:
    """Find the version that this one is a copy of."""
    parsed = _parsed(uri)
    if not isinstance(parsed, rules.OfVersion) or not (parsed.version or "").isdigit():
        return None
    name = target.plan.renames.models.get(parsed.model_name, parsed.model_name)
    model_id = models.id_of(tx, name)
    other = registry.versions_here(tx, model_id).get(int(parsed.version or 0)) if model_id is not None else None
    if other is None or other.deleted:
        return None
    return Place(other.location, None, None, f"models:/{name}/{parsed.version}")


def bring_own(target: Target, record: VersionRecord, fit: Fit, *, iid: int) -> tuple[Place, Brought]:
    """Copy the files of a version that belong to nothing else here, or note where they lie. `iid` is the number of its
    model's experiment; they are in a run of their own there, whose id is always the same.
    """
    eid = own_eid(iid, record)
    brought = Brought(Owner(iid, eid=eid).folder)
    uri = record.storage_location or record.source
    if target.plan.files is FilesMode.IN_PLACE:
        place = files.in_place(target, fit, uri) if uri else None
        return Place(place or "", source=place or ""), brought
    # Clients can go on reading a place elsewhere by themselves, as they can with any version.
    stays = uri if isinstance(_parsed(uri), rules.Elsewhere) else ""
    if target.plan.files is FilesMode.LEAVE:
        return Place(stays, source=stays), brought
    with target.project.read() as tx:
        before = Before(files.here(tx, brought.folder))
    brought = files.bring(target, record, fit, uri=uri, folder=brought.folder, before=before)
    if not brought.there.get(Entity.FILE) and uri and not fit.lost and not stays:
        fit.say(
            Loss.MISSING,
            Entity.VERSION,
            "its files were not found, neither with an imported run or logged model nor where the source says. "
            "Import its experiment, too; otherwise the version can't be loaded",
        )
    has_files = bool(brought.new or before.files)
    if not has_files:
        return Place(stays, source=stays), brought
    return Place(brought.folder, source=f"mlflow-artifacts:/{brought.folder}"), brought


def own_eid(iid: int, record: VersionRecord) -> str:
    """Return the ID of the run that owns the files of a version. It does not depend on how the source was read."""
    return hashlib.sha256(f"{iid}\n{record.number}\n{record.created_ms}".encode()).hexdigest()[:32]


def own_run(tx: Transaction, target: Target, record: VersionRecord, *, iid: int, name: str) -> int:
    """Create the run that owns the files of a version, or find it."""
    eid = own_eid(iid, record)
    known = candidates.get(tx, eid)
    if known is not None:
        return known.iid
    number = tx.next_number("candidate")
    created_ms = record.created_ms or tx.now
    user = target.plan.user(record.user) or USER
    row = NewRun(number, eid, iid, name, user, Status.FINISHED, Stage.ACTIVE, created_ms, created_ms, None, None)
    runs.add(tx, [row], origin_id=target.origin_id)
    return number


def _parsed(uri: str) -> rules.Source | None:
    try:
        return rules.parse(uri)
    except MltrailError:
        return None


def _is_portable(source: str) -> bool:
    """Return whether a source means the same here as there."""
    return source.lower().startswith(("runs:/", "models:/")) and _parsed(source) is not None


def _join(folder: str, path: str) -> str:
    return paths.join(folder, path.strip("/"))
