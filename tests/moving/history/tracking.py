"""Experiments and runs with all that is logged to them."""

import dataclasses
import json
from typing import Any

from history import copies
from history.hostile import EXPERIMENTS, KEYS, PATHS, TIMES_MS, USERS, VALUES, keys, text
from history.place import DELETED, Place
from mlflow.entities import ExperimentTag, Metric, Param, RunStatus, RunTag

STATES = (*("FINISHED",) * 6, "FAILED", "KILLED", "RUNNING", "SCHEDULED")
METRICS = ("loss", "val/loss", "accuracy", "f1 score", "métrique β", "m" * 250)
LEAST_BY_STORE, MOST_BY_STORE = 48, 150
"""How many runs the store itself makes, a third of them rich; all others are copies of the plain ones."""


@dataclasses.dataclass
class Plan:
    """What becomes of a run."""

    experiment: str
    name: str
    rich: bool
    status: str
    began_ms: int
    parent: str | None


def fill(place: Place, runs: int) -> None:
    rng = place.rng
    names = [*EXPERIMENTS[: max(4, min(len(EXPERIMENTS), runs // 5))], *DELETED]
    place.experiments["0"] = "Default"
    for number, name in enumerate(names):
        tags = [ExperimentTag(key, text(rng, 5000)) for key in keys(rng, 4)] if number % 3 else []
        if number == 1:
            tags.append(ExperimentTag("mlflow.note.content", "# Notes\n\n" + "long " * 900))
        location = f"mlflow-artifacts:/elsewhere/{number}" if number == 3 else None
        place.experiments[place.tracking.create_experiment(name, location, tags)] = name
    ids = list(place.experiments)
    plain = []
    by_store = min(runs, max(LEAST_BY_STORE, min(runs // 4, MOST_BY_STORE)))
    for number in range(by_store):
        # Half of the runs are in two experiments, so that these have several pages.
        experiment = rng.choice(ids[:2]) if place.chance(0.5) else rng.choice(ids)
        run_id = add_run(place, experiment, rich=number % 3 == 0)
        if number % 3:
            plain.append(run_id)
    if runs > by_store:
        copies.multiply(place, plain, runs - by_store)
    for experiment, name in list(place.experiments.items()):
        if name in DELETED:
            place.tracking.delete_experiment(experiment)
    renamed, _ = place.tracking.create_experiment("old name", None, []), place.counts.update(renamed=1)
    place.tracking.rename_experiment(renamed, "new name")
    place.experiments[renamed] = "new name"
    place.counts["experiments"] = len(place.experiments)


def add_run(place: Place, experiment: str, *, rich: bool) -> str:
    rng = place.rng
    parent = rng.choice(place.runs) if place.runs and place.chance(0.15) else None
    name = rng.choice(("", "", "baseline", text(rng, 250), "x" * 250))
    began = rng.choice(TIMES_MS) if place.chance(0.1) else 1_650_000_000_000 + rng.randrange(10**11)
    plan = Plan(experiment, name, rich, rng.choice(STATES), began, parent)
    run_id = _created(place, plan)
    _log(place, run_id, plan)
    has_model = rich and _write_files(place, run_id)
    if place.since(2, 4) and place.chance(0.1):
        log_datasets(place, run_id)
    ended = None if plan.status in ("RUNNING", "SCHEDULED") else plan.began_ms + rng.choice((0, 1, 61_000, -1, 10**9))
    if plan.status != "RUNNING" or place.chance(0.5):
        last = (None,) if place.since(1, 30) else ()
        place.tracking.update_run_info(run_id, RunStatus.from_string(plan.status), ended, *last)
    doomed = place.experiments[experiment] in DELETED
    if not doomed and place.chance(0.08):
        place.tracking.delete_run(run_id)
        if place.chance(0.3):
            place.tracking.restore_run(run_id)
            place.runs.append(run_id)
        else:
            place.counts["deleted runs"] += 1
    elif not doomed:
        place.runs.append(run_id)
    if has_model and run_id in place.runs[-1:]:
        place.with_model.append(run_id)
    place.counts["runs"] += 1
    return run_id


def _created(place: Place, plan: Plan) -> str:
    rng = place.rng
    tags = [RunTag("mlflow.user", rng.choice(USERS)), RunTag("mlflow.source.type", "LOCAL")]
    if plan.parent:
        tags.append(RunTag("mlflow.parentRunId", plan.parent))
    if plan.rich:
        tags += [
            RunTag("mlflow.source.name", "train.py"),
            RunTag("mlflow.source.git.commit", f"{rng.getrandbits(160):040x}"),
            RunTag("mlflow.note.content", text(rng, 5000)),
            RunTag("gitlab.CI_JOB_ID", str(rng.randrange(1, 10**9))),
        ]
    if place.since(1, 30):
        run = place.tracking.create_run(plan.experiment, rng.choice(USERS), plan.began_ms, tags, plan.name)
    else:
        tags += [RunTag("mlflow.runName", plan.name)] if plan.name else []
        run = place.tracking.create_run(plan.experiment, rng.choice(USERS), plan.began_ms, tags)
    return str(run.info.run_id)


def _log(place: Place, run_id: str, plan: Plan) -> None:
    rng = place.rng
    longest = 6000 if place.since(2, 10) else 500
    few = not plan.rich
    params = [Param(key, text(rng, longest)) for key in keys(rng, 3 if few else len(KEYS))]
    params += [Param("seed", str(rng.randrange(5)))]
    tags = [RunTag(key, text(rng, 5000)) for key in keys(rng, 2 if few else len(KEYS))]
    metrics = [one for key in METRICS[: 1 + rng.randrange(2)] for one in curve(place, key, plan, 1 + rng.randrange(6))]
    if plan.rich:
        metrics += [one for key in METRICS[2:] for one in curve(place, key, plan, rng.choice((1, 20, 100)))]
        metrics += odd_points(place, plan)
    place.tracking.log_batch(run_id, metrics[:800], params, tags)
    place.counts.update({"params": len(params), "points": len(metrics[:800])})


def curve(place: Place, key: str, plan: Plan, steps: int) -> list[Any]:
    rng = place.rng
    begin = max(0, plan.began_ms)
    return [Metric(key, rng.gauss(0.5, 0.2), begin + step * 1000, step) for step in range(steps)]


def odd_points(place: Place, plan: Plan) -> list[Any]:
    """Every odd value; equal steps and times in any combination; steps below zero and beyond 32 bits; points out of
    order.
    """
    rng = place.rng
    begin = max(plan.began_ms, 0)
    points = [Metric("odd", value, begin + number, number) for number, value in enumerate(VALUES)]
    points += [Metric("only NaN", float("nan"), begin, 0), Metric("ends in NaN", 1.0, begin, 0)]
    points += [Metric("ends in NaN", float("nan"), begin, 1), Metric("zero", -0.0, begin, 0)]
    for _ in range(12):
        points.append(Metric("same", rng.choice((1.0, 2.0)), begin + rng.randrange(2), rng.randrange(-1, 2)))
    points += [Metric("far", 1.0, begin, step) for step in (-(2**62), -1, 0, 2**31, 2**53 + 1, 2**62)]
    points += [
        Metric("backwards", float(step), begin - step if begin > 10 else 10 - step, 10 - step) for step in range(10)
    ]
    unique = {(one.key, str(one.value + 0), one.timestamp, one.step): one for one in points}
    return list(unique.values())


def log_datasets(place: Place, run_id: str) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag  # noqa: PLC0415 - not in MLflow 1

    rng = place.rng
    inputs = []
    for number in rng.sample(range(8), rng.randrange(1, 4)):
        schema = json.dumps({"mlflow_colspec": [{"type": "double", "name": text(rng, 300)}]}) if number % 2 else None
        profile = json.dumps({"num_rows": number, "text": text(rng, 300)}) if number % 3 else None
        name = ("iris", "ä ö", "🚀", "x" * 400, "a/b", "it's", "100%", " blanks ")[number]
        dataset = Dataset(name, f"{number:08x}", "local", json.dumps({"uri": f"file:///{number}"}), schema, profile)
        tags = [InputTag("mlflow.data.context", rng.choice(("training", "evaluation")))] if place.chance(0.7) else []
        tags += [InputTag("odd key β", text(rng, 400))] if place.chance(0.3) else []
        inputs.append(DatasetInput(dataset, tags))
    place.tracking.log_inputs(run_id, inputs)
    place.counts["dataset inputs"] += len(inputs)


def _write_files(place: Place, run_id: str) -> bool:
    """Write files, and return whether a model is among them."""
    rng = place.rng
    uri = place.tracking.get_run(run_id).info.artifact_uri
    paths = rng.sample(PATHS, rng.randrange(len(PATHS)))
    for path in paths:
        content = b"" if path.startswith("empty") else rng.randbytes(rng.choice((1, 10, 5000)))
        if path.endswith("MLmodel"):
            content = b"flavors:\n  python_function:\n    loader_module: mlflow.sklearn\nrun_id: %s\n" % run_id.encode()
        place.write(uri, path, content)
    return "model/MLmodel" in paths
