"""What a model is compared with: the runs of a pipeline of the target branch, or of the version that the contract
names. The target branch's earlier pipelines show how much results vary by chance.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from mltrail_contract import Baseline, BaselineKind, Contract, Model
from mltrail_server.domain import selection
from mltrail_server.domain.comparison import contract_of
from mltrail_server.domain.evaluations import with_their_evaluations
from mltrail_server.domain.grouping import Gone, Run, RunState, choice
from mltrail_server.domain.origins import Origin
from mltrail_server.store.ci.pipelines import Pipeline
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.registry import aliases, models, versions
from mltrail_server.store.registry.versions import Version
from mltrail_server.store.review import pipeline_runs as pipeline_runs_store
from mltrail_server.store.review import tombstones
from mltrail_server.store.tracking import experiments

from . import imported_baselines, pipeline_runs
from .imported_baselines import ImportedBaseline, ImportedBaselines

_MOST_HISTORY = 20
"""How many pipelines of the target branch, the baseline's included, show how much results vary by chance."""

_MOST_PIPELINES = 30
_MOST_CANDIDATES = 5_000
_MOST_EXPERIMENTS = 5_000
_MOST_RUNS = 2_000
"""In all models' histories together: older runs are left out, so that sweeps on the target branch stay cheap."""


@dataclass(frozen=True, slots=True)
class ModelBaseline:
    """The runs that a model is compared with. `pipeline` has made them, None if there are none; `version` is the one
    that the contract names, if it names one. `history` are the target branch's pipelines before it with their runs of
    the model, newest first. `gone` says who has removed the runs that would be the baseline, or some of them: then it
    is unknown what they were. `imported` is where the runs were imported from, if they were made elsewhere and the
    contract lets them count; else `unused` is what was imported and does not count.
    """

    pipeline: Pipeline | None = None
    runs: Sequence[Run] = ()
    version: Version | None = None
    history: Sequence[tuple[Pipeline, Sequence[Run]]] = ()
    gone: Gone | None = None
    imported: Origin | None = None
    unused: ImportedBaseline | None = None


@dataclass(frozen=True, slots=True)
class BranchQuery:
    """The pipelines of `target` before one, those at the commits `ancestors` first; `tags` of their runs are read."""

    target: str
    before: int
    ancestors: Sequence[str]
    tags: AbstractSet[str]


@dataclass(frozen=True, slots=True)
class Branch:
    """The target branch's pipelines, in the order in which they are preferred as a baseline, and all their runs.

    `whole` is False if the branch has more pipelines than were read.
    """

    pipelines: Sequence[Pipeline]
    runs: Mapping[int, Sequence[Run]]
    whole: bool
    query: BranchQuery


def branch(tx: Transaction, target: str, *, before: int, ancestors: Sequence[str], tags: set[str]) -> Branch:
    """Fetch the target branch's pipelines: those at and before the merge base first, by nearness to it, then others.

    Deleted runs remain a baseline. Seven statements. The runs' parameters and metrics are not read yet.
    """
    return _branch(tx, BranchQuery(target, before, ancestors, tags))


def choose(tx: Transaction, contract: Contract | None, names: Sequence[str], found: Branch) -> dict[str, ModelBaseline]:
    """Choose each model's baseline and history, and fetch what their runs have logged.

    Three statements for all models together; five or six for each model that the contract compares with a version; and
    if there are older pipelines, seven for each that none of the newest has trained, plus one for all of those models.
    One more if some model has no baseline, and in projects that have imported runs up to ten for each of these.
    """
    newest = _Trained(contract, found)
    elsewhere = ImportedBaselines(tx, contract)
    chosen: dict[str, ModelBaseline] = {}
    every: Mapping[int, str] | None = None
    for name in names:
        model = contract_of(contract, name)
        by_target = model.baseline.kind is BaselineKind.TARGET
        trained = newest.of(name)
        if not trained and not found.whole and by_target:
            # A repository of many models trains some of them rarely: an old baseline is a baseline, too.
            every = experiments.all_names(tx) if every is None else every
            trained = _trained_earlier(tx, contract, name, every, found.query)
        baseline = _of_target(trained) if by_target else _of_version(tx, name, model, contract)
        if not baseline.runs and baseline.gone is None:
            baseline = _or_imported(baseline, elsewhere.of(model, baseline.version))
        before = baseline.pipeline.id if baseline.pipeline else 0
        complete = [(pipeline, runs) for pipeline, runs in trained if pipeline.id < before and _gone(runs) is None]
        history = sorted(complete, key=lambda entry: -entry[0].id)[: _MOST_HISTORY - 1]
        chosen[name] = replace(baseline, history=history)
    return _filled(tx, chosen)


def of_alias(tx: Transaction, model: Model, alias: str, *, contract: Contract | None, branch_of: str) -> ModelBaseline:
    """Find the runs of the version that an alias points at, and those that its branch trained before it. Those of an
    imported version are returned whether or not the contract lets them count, with where it was imported from.
    """
    named = replace(model, baseline=Baseline(BaselineKind.ALIAS, alias))
    baseline = _of_version(tx, model.name, named, contract)
    if baseline.pipeline is None or (baseline.version is not None and baseline.version.origin_id is not None):
        found = imported_baselines.of_version(tx, model, baseline.version)
        return replace(baseline, imported=found.origin, runs=baseline.runs or found.runs)
    tags = selection.tags_of(contract)
    before = branch(tx, branch_of, before=baseline.pipeline.id, ancestors=(), tags=tags)
    if contract is not None:
        contract = replace(contract, models={**contract.models, model.name: replace(model, baseline=Baseline())})
    earlier = choose(tx, contract, [model.name], before)[model.name]
    newest = [(earlier.pipeline, earlier.runs)] if earlier.pipeline is not None else []
    return replace(baseline, history=[*newest, *earlier.history][: _MOST_HISTORY - 1])


def _branch(tx: Transaction, query: BranchQuery, *, among: Mapping[int, str] | None = None) -> Branch:
    """Fetch the pipelines of a branch; only those with runs in the experiments `among`, if some are given."""
    newest, at_base = (
        pipeline_runs_store.of_branch(
            tx, query.target, before=query.before, limit=_MOST_PIPELINES, shas=shas, experiments=among
        )
        for shas in (None, query.ancestors)
    )
    distance = {sha: number for number, sha in enumerate(query.ancestors)}
    found = {counted.pipeline.id: counted for counted in (*at_base, *newest)}.values()
    ordered = sorted(found, key=lambda it: (distance.get(it.pipeline.sha, len(distance)), -it.pipeline.id))
    kept: list[Pipeline] = []
    total = 0
    for counted in ordered:
        total += counted.candidates
        if kept and total > _MOST_CANDIDATES:
            break
        kept.append(counted.pipeline)
    runs = pipeline_runs.outlines(tx, [pipeline.id for pipeline in kept], tags=query.tags, as_baseline=True)
    whole = len(kept) == len(ordered) and len(newest) < _MOST_PIPELINES
    return Branch(kept, runs, whole, query)


class _Trained:
    """Which pipelines of a branch have trained which model."""

    def __init__(self, contract: Contract | None, found: Branch) -> None:
        self._pipelines = found.pipelines
        self._by_pipeline = {
            pipeline.id: selection.select(contract, found.runs.get(pipeline.id, ())) for pipeline in found.pipelines
        }

    def of(self, name: str) -> list[tuple[Pipeline, list[Run]]]:
        """List the pipelines that have trained a model, each with the runs of it that count."""
        counting = (RunState.SUCCEEDED, RunState.GONE)
        runs_of = {
            number: with_their_evaluations(run for run in by_model.get(name, ()) if run.state in counting)
            for number, by_model in self._by_pipeline.items()
        }
        return [(pipeline, runs_of[pipeline.id]) for pipeline in self._pipelines if runs_of[pipeline.id]]


def _trained_earlier(
    tx: Transaction, contract: Contract | None, name: str, experiment_names: Mapping[int, str], query: BranchQuery
) -> list[tuple[Pipeline, list[Run]]]:
    """Find the pipelines of a branch that have trained a model, among those with runs in experiments that may be of it.
    The experiments are given newest first.
    """
    may_be_of = [
        (iid, experiment)
        for iid, experiment in experiment_names.items()
        if selection.may_be_of(contract, name, experiment)
    ]
    if not may_be_of:
        return []
    return _Trained(contract, _branch(tx, query, among=dict(may_be_of[:_MOST_EXPERIMENTS]))).of(name)


def _of_target(trained: Sequence[tuple[Pipeline, Sequence[Run]]]) -> ModelBaseline:
    """Take the first pipeline that has trained the model; its runs don't count if some of them were removed."""
    if not trained:
        return ModelBaseline()
    pipeline, runs = trained[0]
    gone = _gone(runs)
    return ModelBaseline(pipeline, () if gone else runs, gone=gone)


def _or_imported(baseline: ModelBaseline, found: ImportedBaseline) -> ModelBaseline:
    """Take imported runs where there are no others, if the contract lets them count."""
    if found.runs:
        return replace(baseline, runs=found.runs, imported=found.origin)
    return replace(baseline, unused=found) if found.found else baseline


def _gone(runs: Iterable[Run]) -> Gone | None:
    """Return who has last removed runs of a baseline: what the others would show without them was never judged."""
    return max((run.gone for run in runs if run.gone is not None), key=lambda gone: gone.removed_ms, default=None)


def _of_version(tx: Transaction, name: str, model: Model, contract: Contract | None) -> ModelBaseline:
    """Find the runs of a version: its own, and those of the same pipeline that differ from it only by chance."""
    version = _version(tx, name, model.baseline)
    if version is None or version.candidate_iid is None:
        return ModelBaseline(version=version)
    gone = tombstones.of_candidate(tx, version.candidate_iid)
    if gone is not None:
        return ModelBaseline(version=version, gone=Gone(*gone))
    pipeline = pipeline_runs_store.pipeline_of(tx, version.candidate_iid)
    if pipeline is None:
        return ModelBaseline(version=version)
    outlines = pipeline_runs.outlines(tx, [pipeline.id], tags=selection.tags_of(contract), as_baseline=True)
    selected = selection.select(contract, outlines.get(pipeline.id, [])).get(name, [])
    counting = with_their_evaluations(run for run in selected if run.state is RunState.SUCCEEDED)
    runs = pipeline_runs.filled(tx, counting)
    own = next((run for run in runs if run.iid == version.candidate_iid), None)
    if own is None:
        return ModelBaseline(version=version)
    chance = model.repeat_over | frozenset(model.pair_by)
    return ModelBaseline(pipeline, [run for run in runs if choice(run, chance) == choice(own, chance)], version)


def _version(tx: Transaction, name: str, baseline: Baseline) -> Version | None:
    model_id = models.id_of(tx, name)
    if model_id is None:
        return None
    if baseline.kind is BaselineKind.VERSION:
        return versions.get_by_semver(tx, model_id, baseline.name)
    number = aliases.target(tx, model_id, baseline.name)
    return None if number is None else versions.get(tx, model_id, number)


def _filled(tx: Transaction, chosen: Mapping[str, ModelBaseline]) -> dict[str, ModelBaseline]:
    """Fetch what the chosen runs have logged, and leave out of the histories what would be too many runs."""
    kept = _shortened(chosen)
    to_fill = [
        run
        for name, baseline in chosen.items()
        for runs in ((() if _is_filled(baseline) else baseline.runs), *(runs for _, runs in kept[name]))
        for run in runs
    ]
    filled = {run.iid: run for run in pipeline_runs.filled(tx, list({run.iid: run for run in to_fill}.values()))}
    return {
        name: replace(
            baseline,
            runs=baseline.runs if _is_filled(baseline) else [filled[run.iid] for run in baseline.runs],
            history=[(pipeline, [filled[run.iid] for run in runs]) for pipeline, runs in kept[name]],
        )
        for name, baseline in chosen.items()
    }


def _is_filled(baseline: ModelBaseline) -> bool:
    return baseline.version is not None or baseline.imported is not None


def _shortened(chosen: Mapping[str, ModelBaseline]) -> dict[str, list[tuple[Pipeline, Sequence[Run]]]]:
    """Shorten the histories of all models alike, so that they hold no more than `_MOST_RUNS` runs together."""
    left = _MOST_RUNS
    kept: dict[str, list[tuple[Pipeline, Sequence[Run]]]] = {name: [] for name in chosen}
    for place in range(_MOST_HISTORY):
        for name, baseline in chosen.items():
            if place < len(baseline.history) and len(baseline.history[place][1]) <= left:
                kept[name].append(baseline.history[place])
                left -= len(baseline.history[place][1])
    return kept
