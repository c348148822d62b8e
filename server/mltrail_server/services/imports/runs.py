"""Import the runs of an experiment, several per transaction, each with everything that was logged to it."""

from collections.abc import Iterator, Sequence

from mltrail_server.domain.batches import batches
from mltrail_server.domain.ids import is_eid
from mltrail_server.domain.transfer import Entity, ExperimentRecord, Loss, RunRecord
from mltrail_server.store.imports import imported, runs
from mltrail_server.store.imports.imported import Imported
from mltrail_server.store.imports.runs import DatasetKey, RunHere

from . import files, history, run_facts, run_rows
from .files import Before
from .run_rows import Prepared
from .target import Target
from .written_values import WrittenValues

_MAX_EID = 64
_LOOKED_UP_AT_ONCE = 200
_POINTS_AT_ONCE = 50_000
_BYTES_AT_ONCE = 64 * 1024**2
"""What is written in one transaction, at most, unless a single run has more: the web server waits for it."""


def bring(target: Target, experiment: ExperimentRecord, iid: int | None) -> None:
    """Import an experiment's runs, except those that are unchanged. `iid` is its number here, None in a dry run without
    it.
    """
    known_datasets: dict[DatasetKey, int] = {}
    for batch in batches(target.source.runs(experiment), _LOOKED_UP_AT_ONCE):
        changed = [one for one in _looked_up(target, batch, iid) if not _is_unchanged(target, one)]
        waiting: list[Prepared] = []
        points = copied = 0
        for prepared in _with_contents(target, [one for one in changed if _may_come(target, one)]):
            waiting.append(prepared)
            points += prepared.history.kept
            copied += prepared.files.copied if prepared.files is not None else 0
            if points >= _POINTS_AT_ONCE or copied >= _BYTES_AT_ONCE:
                run_rows.write(target, waiting, known_datasets)
                waiting, points, copied = [], 0, 0
        if waiting:
            run_rows.write(target, waiting, known_datasets)


def _looked_up(target: Target, batch: Sequence[RunRecord], iid: int | None) -> list[Prepared]:
    """Find what is known about runs, and what they are here."""
    ids = [record.id for record in batch]
    with target.project.read() as tx:
        known = imported.of(tx, Entity.RUN, ids)
        there = runs.iids_of(tx, ids)
        here = runs.here(tx, [int(one.here) for one in known.values()])
    return [_prepared(target, record, iid, known.get(record.id), here, there) for record in batch]


def _prepared(
    target: Target,
    record: RunRecord,
    iid: int | None,
    known: Imported | None,
    here: dict[int, RunHere],
    there: dict[str, int],
) -> Prepared:
    fit = target.fit(f"run {record.id}")
    of_run = here.get(int(known.here)) if known is not None else None
    prepared = Prepared(record, fit, run_facts.fingerprint_of(record), iid or 0)
    if known is not None and of_run is not None:
        prepared.known, prepared.here, prepared.iid = known, of_run, of_run.iid
        prepared.experiment_iid = of_run.experiment_iid
        if target.experiments.get(record.experiment_id) not in (None, of_run.experiment_iid):
            fit.say(
                Loss.NOTE,
                Entity.RUN,
                "it is in another experiment at the source now, or that was renamed; here it stays where it is",
            )
    prepared.clashes = of_run is None and record.id in there
    return prepared


def _is_unchanged(target: Target, one: Prepared) -> bool:
    """Skip a run that is as it was when it was imported; a run that had not ended then may have gone on since."""
    if one.known is None or one.here is None or not target.is_same(one.known, one.fingerprint):
        return False
    points = one.record.points
    if points not in (None, one.known.counts.get(Entity.POINT, 0)) and not WrittenValues(one.known.written).has(
        "points", str(points)
    ):
        return False
    target.tally.note(Entity.RUN, one.known.here, one.fit.owner, one.known.counts, folder=one.folder)
    target.progress.skipped += 1
    for entity in (Entity.RUN, Entity.POINT, Entity.BYTES, Entity.FILE):
        target.progress.advance(entity, one.known.counts.get(entity, 0))
    return True


def _may_come(target: Target, one: Prepared) -> bool:
    """Refuse a run that can't have its id here."""
    record = one.record
    if one.clashes:
        one.fit.say(
            Loss.CLASH,
            Entity.RUN,
            "a run with this ID already existed here that was not imported. It was not changed; import into another "
            "project",
        )
    elif not is_eid(record.id) or len(record.id) > _MAX_EID or record.id in ("models", "traces"):
        one.fit.say(
            Loss.REFUSED, Entity.RUN, "its ID has characters other than letters, digits, '-' and '_', or more than 64"
        )
    else:
        return True
    target.tally.note(Entity.RUN, None, one.fit.owner, run_facts.counts_of(record, record.points or 0))
    target.progress.advance(Entity.RUN)
    return False


def _with_contents(target: Target, some: Sequence[Prepared]) -> Iterator[Prepared]:
    """Read the histories and files of runs."""
    if not some:
        return
    by_id = {one.record.id: one for one in some}
    for record, points in history.of_runs(target.source, [one.record for one in by_id.values()]):
        one = by_id[record.id]
        one.history = points
        target.progress.advance(Entity.POINT, points.count)
        if record.points is not None and record.points != points.count:
            one.fit.say(
                Loss.MISSING,
                Entity.POINT,
                f"the source has {record.points:,} points, but only {points.count:,} could be read",
                count=abs(record.points - points.count),
            )
        points.fitted(one.fit)
        one.facts = run_facts.fitted(target, record, one.fit)
        _bring_files(target, one)
        target.progress.advance(Entity.RUN)
        yield one


def _bring_files(target: Target, one: Prepared) -> None:
    if one.here is not None and one.here.elsewhere:
        return
    before = Before()
    if one.known is not None and one.here is not None:
        with target.project.read() as tx:
            there = files.here(tx, one.folder)
        before = Before(there, WrittenValues(one.known.written), again=not one.here.status.ended)
    uri = one.record.artifact_uri
    one.files = files.bring(target, one.record, one.fit, uri=uri, folder=one.folder, before=before)
