"""What a model is compared with: the runs of the target branch's pipeline, or the version that the contract names, and
the target branch's pipelines before it, which show what chance does.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from mltrail_contract import Baseline, BaselineKind, Contract, Model
from mltrail_server.domain import selection
from mltrail_server.domain.comparison import NO_CONTRACT
from mltrail_server.domain.grouping import Gone, Run, RunState, choice
from mltrail_server.store.ci.pipelines import Pipeline
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.registry import aliases, models, versions
from mltrail_server.store.registry.versions import Version
from mltrail_server.store.review import pipeline_runs, tombstones
from mltrail_server.store.tracking import experiments

from . import pipeline_runs as pipeline_runs_service

HISTORY = 20
"""So many pipelines of the target branch, the baseline's among them, show what chance does."""

_MOST_PIPELINES = 30
_MOST_CANDIDATES = 5_000
_MOST_EXPERIMENTS = 5_000
_MOST_RUNS = 2_000
"""In all models' histories together: what is older is left out, so that sweeps on the target branch stay cheap."""


@dataclass(frozen=True, slots=True)
class Against:
    """`pipeline` holds the runs, None where there are none; `version` is the one that the contract names, if it names
    one. `history` are the target branch's pipelines before it with their runs of the model, newest first. `gone` tells
    who has removed the runs that it would have been, or some of them: then what they were is unknown.
    """

    pipeline: Pipeline | None = None
    runs: Sequence[Run] = ()
    version: Version | None = None
    history: Sequence[tuple[Pipeline, Sequence[Run]]] = ()
    gone: Gone | None = None


@dataclass(frozen=True, slots=True)
class Branch:
    """The target branch's pipelines, in the order in which they are taken as a baseline, and all their runs.

    `whole` is False where the branch has more pipelines than were looked at; `looked_for` is what was asked for.
    """

    pipelines: Sequence[Pipeline]
    runs: Mapping[int, Sequence[Run]]
    whole: bool
    looked_for: "LookedFor"


@dataclass(frozen=True, slots=True)
class LookedFor:
    """The pipelines of `target` before one, those at the commits `ancestors` first; `tags` of their runs are read."""

    target: str
    before: int
    ancestors: Sequence[str]
    tags: AbstractSet[str]


def branch(tx: Transaction, target: str, *, before: int, ancestors: Sequence[str], tags: set[str]) -> Branch:
    """Fetch the target branch's pipelines: those at and before the merge base first, by nearness to it, then others.

    What is deleted stays a baseline. Seven statements. The runs' parameters and metrics are not there yet.
    """
    return _branch(tx, LookedFor(target, before, ancestors, tags))


def _branch(tx: Transaction, looked_for: LookedFor, *, among: Mapping[int, str] | None = None) -> Branch:
    """The same, only of pipelines with runs in these experiments if some are given."""
    newest, at_base = (
        pipeline_runs.of_branch(
            tx, looked_for.target, before=looked_for.before, limit=_MOST_PIPELINES, shas=shas, experiments=among
        )
        for shas in (None, looked_for.ancestors)
    )
    age = {sha: number for number, sha in enumerate(looked_for.ancestors)}
    counted = {one.pipeline.id: one for one in (*at_base, *newest)}.values()
    ordered = sorted(counted, key=lambda one: (age.get(one.pipeline.sha, len(age)), -one.pipeline.id))
    kept: list[Pipeline] = []
    total = 0
    for one in ordered:
        total += one.candidates
        if kept and total > _MOST_CANDIDATES:
            break
        kept.append(one.pipeline)
    found = pipeline_runs_service.outlines(tx, [one.id for one in kept], tags=looked_for.tags, as_baseline=True)
    whole = len(kept) == len(ordered) and len(newest) < _MOST_PIPELINES
    return Branch(kept, found, whole, looked_for)


def choose(tx: Transaction, contract: Contract | None, names: Sequence[str], found: Branch) -> dict[str, Against]:
    """Choose each model's baseline and history, and fetch what their runs have logged: three statements for all models
    together, five or six for each that the contract compares with a version, and seven for each that none of the
    branch's newest pipelines has trained, where there are older ones, after one for all of those.
    """
    chosen: dict[str, Against] = {}
    known = contract.models if contract else {}
    by_pipeline = {one.id: selection.select(contract, found.runs.get(one.id, ())) for one in found.pipelines}
    every: Mapping[int, str] | None = None
    for name in names:
        trained, of_model = _trained(found, by_pipeline, name)
        model = known.get(name, NO_CONTRACT)
        if not trained and not found.whole and model.baseline.kind is BaselineKind.TARGET:
            # A repository of many models trains some of them rarely: what is old is no less a baseline.
            if every is None:
                every = experiments.all_names(tx)
            may_hold = {iid: one for iid, one in every.items() if selection.may_be_of(contract, name, one)}
            older = _with_runs_in(tx, may_hold, found.looked_for)
            selected = {one.id: selection.select(contract, older.runs.get(one.id, ())) for one in older.pipelines}
            trained, of_model = _trained(older, selected, name)
        if model.baseline.kind is BaselineKind.TARGET:
            pipeline = trained[0] if trained else None
            runs = of_model[pipeline.id] if pipeline else []
            gone = _gone(runs)
            against = Against(pipeline, () if gone else runs, gone=gone)
        else:
            against = _of_version(tx, name, model, contract)
        limit = against.pipeline.id if against.pipeline else 0
        whole = [one for one in trained if one.id < limit and _gone(of_model[one.id]) is None]
        earlier = sorted(whole, key=lambda one: -one.id)[: HISTORY - 1]
        history = [(one, of_model[one.id]) for one in earlier]
        chosen[name] = replace(against, history=history)
    return _filled(tx, chosen)


def _trained(
    found: Branch, selected: Mapping[int, Mapping[str, Sequence[Run]]], name: str
) -> tuple[list[Pipeline], dict[int, list[Run]]]:
    """Answer the pipelines that have trained a model, and its runs that count, by pipeline."""
    of_model = {
        number: [run for run in by_model.get(name, ()) if run.state in (RunState.SUCCEEDED, RunState.GONE)]
        for number, by_model in selected.items()
    }
    return [one for one in found.pipelines if of_model[one.id]], of_model


def _with_runs_in(tx: Transaction, newest_first: Mapping[int, str], looked_for: LookedFor) -> Branch:
    """Fetch the pipelines of a branch that have runs in these experiments."""
    if not newest_first:
        return Branch((), {}, whole=True, looked_for=looked_for)
    return _branch(tx, looked_for, among=dict(list(newest_first.items())[:_MOST_EXPERIMENTS]))


def of_alias(tx: Transaction, model: Model, alias: str, *, contract: Contract | None, branch_of: str) -> Against:
    """Find the runs of the version that an alias points at, and what its branch trained before it."""
    named = replace(model, baseline=Baseline(BaselineKind.ALIAS, alias))
    against = _of_version(tx, model.name, named, contract)
    if against.pipeline is None:
        return against
    tags = selection.tags_of(contract)
    before = branch(tx, branch_of, before=against.pipeline.id, ancestors=(), tags=tags)
    if contract is not None:
        contract = replace(contract, models={**contract.models, model.name: replace(model, baseline=Baseline())})
    found = choose(tx, contract, [model.name], before)[model.name]
    newest = [(found.pipeline, found.runs)] if found.pipeline is not None else []
    return replace(against, history=[*newest, *found.history][: HISTORY - 1])


def _filled(tx: Transaction, chosen: dict[str, Against]) -> dict[str, Against]:
    wanted = {run.iid: run for against in chosen.values() if not against.version for run in against.runs}
    left = _MOST_RUNS
    kept: dict[str, list[tuple[Pipeline, Sequence[Run]]]] = {name: [] for name in chosen}
    for place in range(HISTORY):
        for name, against in chosen.items():
            if place < len(against.history) and len(against.history[place][1]) <= left:
                kept[name].append(against.history[place])
                left -= len(against.history[place][1])
                wanted |= {run.iid: run for run in against.history[place][1]}
    filled = {run.iid: run for run in pipeline_runs_service.filled(tx, list(wanted.values()))}
    return {
        name: replace(
            against,
            runs=against.runs if against.version else [filled[run.iid] for run in against.runs],
            history=[(one, [filled[run.iid] for run in runs]) for one, runs in kept[name]],
        )
        for name, against in chosen.items()
    }


def _of_version(tx: Transaction, name: str, model: Model, contract: Contract | None) -> Against:
    """Find the runs of a version: its candidate, and those of the same pipeline that differ from it only by chance."""
    version = _version(tx, name, model.baseline)
    if version is None or version.candidate_iid is None:
        return Against(version=version)
    gone = tombstones.of_candidate(tx, version.candidate_iid)
    if gone is not None:
        return Against(version=version, gone=Gone(*gone))
    pipeline = pipeline_runs.pipeline_of(tx, version.candidate_iid)
    if pipeline is None:
        return Against(version=version)
    outlines = pipeline_runs_service.outlines(tx, [pipeline.id], tags=selection.tags_of(contract), as_baseline=True)
    runs = selection.select(contract, outlines.get(pipeline.id, [])).get(name, [])
    runs = pipeline_runs_service.filled(tx, [run for run in runs if run.state is RunState.SUCCEEDED])
    chance = model.repeat_over | frozenset(model.pair_by)
    winner = next((run for run in runs if run.iid == version.candidate_iid), None)
    if winner is None:
        return Against(version=version)
    same = [run for run in runs if choice(run, chance) == choice(winner, chance)]
    return Against(pipeline, same, version)


def _gone(runs: Sequence[Run]) -> Gone | None:
    """Tell who has removed runs of a baseline last: what the others would say without them was never judged."""
    return max((run.gone for run in runs if run.gone is not None), key=lambda gone: gone.removed_ms, default=None)


def _version(tx: Transaction, name: str, baseline: Baseline) -> Version | None:
    model_id = models.id_of(tx, name)
    if model_id is None:
        return None
    if baseline.kind is BaselineKind.VERSION:
        return versions.get_by_semver(tx, model_id, baseline.name)
    number = aliases.target(tx, model_id, baseline.name)
    return None if number is None else versions.get(tx, model_id, number)
