"""Imported runs as a baseline: only if the contract of the target branch says so, and only instead of none.

A pipeline holds the runs of one training together. Imported runs have none, so those count together that began in the
same experiment and at the same commit, and differ only by chance; where no commit is known, those of one day.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mltrail_contract import BaselineKind, Contract, Model
from mltrail_server.domain import selection
from mltrail_server.domain.evaluations import with_their_evaluations
from mltrail_server.domain.grouping import Run, RunState, choice
from mltrail_server.domain.origins import Origin
from mltrail_server.domain.run_tags import PARENT_TAG
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.imports import origins
from mltrail_server.store.registry.versions import Version
from mltrail_server.store.review import imported_runs
from mltrail_server.store.tracking import candidate_tags, candidates, experiments
from mltrail_server.store.tracking.candidates import Candidate

from . import pipeline_runs

_MOST_RUNS = 1_000
_MOST_EXPERIMENTS = 5_000
_DAY_MS = 24 * 60 * 60_000
_COMMIT_TAGS = ("gitlab.CI_COMMIT_SHA", "mlflow.source.git.commit")


@dataclass(frozen=True, slots=True)
class ImportedBaseline:
    """What a model could be compared with. `origin` is where it was imported from, and `found` how many imported runs
    of the model there are; `cut` if there may be more. `runs` are those that count: none unless the contract says so.
    """

    origin: Origin | None = None
    found: int = 0
    runs: Sequence[Run] = ()
    cut: bool = False


@dataclass(slots=True)
class ImportedBaselines:
    """Finds imported baselines. Of a project that has imported nothing it asks once, in one statement."""

    tx: Transaction
    contract: Contract | None
    _names: Mapping[int, str] | None = field(default=None, init=False)

    def of(self, model: Model, version: Version | None) -> ImportedBaseline:
        """Find the imported runs for a model that has no baseline. `version` is the one that the contract names."""
        if model.baseline.kind is not BaselineKind.TARGET:
            found = of_version(self.tx, model, version)
            return found if model.imported.baseline else replace(found, runs=())
        if self._names is None:
            self._names = experiments.all_names(self.tx) if origins.any_in(self.tx) else {}
        return self._of_target(model) if self._names else ImportedBaseline()

    def _of_target(self, model: Model) -> ImportedBaseline:
        names = {
            iid: name
            for iid, name in (self._names or {}).items()
            if selection.may_be_of(self.contract, model.name, name)
        }
        listed = imported_runs.newest(self.tx, list(names)[:_MOST_EXPERIMENTS], limit=_MOST_RUNS) if names else []
        if not listed:
            return ImportedBaseline()
        known = _Known(listed, candidate_tags.own(self.tx, [one.iid for one in listed]), names)
        selected = selection.select(self.contract, known.runs()).get(model.name, [])
        if not selected:
            return ImportedBaseline()
        newest = known.by_iid[selected[0].iid]
        origin = origins.get(self.tx, newest.origin_id)
        if not model.imported.baseline:
            return ImportedBaseline(origin, len(selected), cut=len(listed) == _MOST_RUNS)
        return ImportedBaseline(origin, len(selected), _one_training(self.tx, known, selected, model))


def of_version(tx: Transaction, model: Model, version: Version | None) -> ImportedBaseline:
    """Find the runs of an imported version, or of a version of an imported run: its own and those that differ from it
    only by chance. None if the run was not imported with it.
    """
    if version is None:
        return ImportedBaseline()
    candidate = candidates.get_by_iid(tx, version.candidate_iid) if version.candidate_iid is not None else None
    origin_id = candidate.origin_id if candidate is not None else None
    origin = origins.get(tx, version.origin_id or origin_id)
    if candidate is None or origin_id is None:
        return ImportedBaseline(origin)
    names = experiments.names_of(tx, [candidate.experiment_iid])
    beside = imported_runs.newest(tx, [candidate.experiment_iid], limit=_MOST_RUNS)
    listed = [candidate, *(one for one in beside if one.iid != candidate.iid)]
    known = _Known(listed, candidate_tags.own(tx, [one.iid for one in listed]), names)
    alike = [run for run in known.runs() if known.is_of_training(run, of=candidate)]
    return ImportedBaseline(origin, 1, _like_first(pipeline_runs.filled(tx, alike), _chance(model)))


@dataclass(frozen=True, slots=True)
class _Known:
    """Imported candidates, the newest first, with their tags and the names of their experiments."""

    listed: Sequence[Candidate]
    tags: Mapping[int, Mapping[str, str]]
    names: Mapping[int, str]

    @property
    def by_iid(self) -> dict[int, Candidate]:
        return {one.iid: one for one in self.listed}

    def runs(self) -> list[Run]:
        iids = {one.eid: one.iid for one in self.listed}
        return [self._run(one, iids) for one in self.listed]

    def _run(self, candidate: Candidate, iids: Mapping[str, int]) -> Run:
        tags = dict(self.tags.get(candidate.iid, {}))
        return Run(
            candidate.iid,
            candidate.name,
            RunState.SUCCEEDED,
            {},
            {},
            experiment=self.names[candidate.experiment_iid],
            tags=tags,
            parent_iid=iids.get(tags.get(PARENT_TAG, "")),
            eid=candidate.eid,
            amended=candidate.amendment_iid is not None,
        )

    def is_of_training(self, run: Run, *, of: Candidate) -> bool:
        """Whether a run is of the same training as another."""
        candidate = self.by_iid[run.iid]
        if (candidate.experiment_iid, candidate.origin_id) != (of.experiment_iid, of.origin_id):
            return False
        commit = self._commit(of)
        if commit != self._commit(candidate):
            return False
        return bool(commit) or abs(candidate.started_ms - of.started_ms) < _DAY_MS

    def _commit(self, candidate: Candidate) -> str:
        tags = self.tags.get(candidate.iid, {})
        return next((tags[key] for key in _COMMIT_TAGS if tags.get(key)), "")


def _one_training(tx: Transaction, known: _Known, selected: Sequence[Run], model: Model) -> list[Run]:
    """Return the newest of the selected runs with those that differ from it only by chance, and the trials of each; if
    it is a trial whose parent does not count, all trials of that parent.
    """
    iids = {run.iid for run in selected}
    roots = [run for run in selected if run.parent_iid not in iids] or selected
    if parent := roots[0].tags.get(PARENT_TAG):
        trials = [run for run in selected if run.tags.get(PARENT_TAG) == parent]
        return with_their_evaluations(pipeline_runs.filled(tx, [*trials, *_below(trials, selected)]))
    newest = known.by_iid[roots[0].iid]
    alike = [run for run in roots if known.is_of_training(run, of=newest)]
    filled = {run.iid: run for run in pipeline_runs.filled(tx, alike)}
    chosen = _like_first([filled[run.iid] for run in alike], _chance(model))
    return with_their_evaluations([*chosen, *pipeline_runs.filled(tx, _below(chosen, selected))])


def _like_first(runs: Sequence[Run], chance: frozenset[str]) -> list[Run]:
    return [run for run in runs if choice(run, chance) == choice(runs[0], chance)]


def _below(roots: Sequence[Run], runs: Sequence[Run]) -> list[Run]:
    """List the trials below some runs, and the trials of these."""
    above = {run.iid for run in roots}
    found: list[Run] = []
    left = [run for run in runs if run.iid not in above]
    while step := [run for run in left if run.parent_iid in above]:
        found += step
        above |= {run.iid for run in step}
        left = [run for run in left if run.iid not in above]
    return found


def _chance(model: Model) -> frozenset[str]:
    return model.repeat_over | frozenset(model.pair_by)
