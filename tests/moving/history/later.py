"""What happened on the old server after its history was first imported."""

from history.place import Place
from history.registry import add_version
from history.tracking import add_run
from mlflow.entities import ExperimentTag, Metric, Param, RunStatus, RunTag, ViewType


def add(place: Place) -> None:
    store, registry = place.tracking, place.registry
    for one in _experiments(place):
        place.experiments[one.experiment_id] = one.name
    runs = _runs(place)
    place.runs = [one.info.run_id for one in runs]
    for _ in range(5):
        add_run(place, place.rng.choice(list(place.experiments)), rich=True)
    new = store.create_experiment("made later", None, [ExperimentTag("late", "yes")])
    place.experiments[new] = "made later"
    add_run(place, new, rich=False)
    going = [one for one in runs if one.info.status == "RUNNING"][:3]
    for one in going:
        run_id = one.info.run_id
        points = [Metric("loss", 0.01, 1_999_999_999_999, 10**6)]
        store.log_batch(run_id, points, [Param("added later", "1")], [RunTag("late", "yes")])
    last = (None,) if place.since(1, 30) else ()
    store.update_run_info(going[0].info.run_id, RunStatus.FINISHED, 2_000_000_000_000, *last)
    done = [one for one in runs if one.info.status == "FINISHED"]
    store.delete_run(done[0].info.run_id)
    store.set_tag(done[1].info.run_id, RunTag("mlflow.note.content", "noted later"))
    _registry(place, [one.name for one in registry.search_registered_models()])


def _registry(place: Place, names: list[str]) -> None:
    registry = place.registry
    model = registry.get_registered_model(names[0])
    add_version(place, model.name)
    add_version(place, model.name)
    numbers = [int(one.version) for one in registry.get_registered_model(model.name).latest_versions]
    registry.transition_model_version_stage(model.name, str(max(numbers)), "Production", False)
    registry.update_registered_model(model.name, "described later")
    registry.update_model_version(model.name, str(min(numbers)), "described later")
    if place.since(2, 3):
        for alias in {"champion", *model.aliases}:
            registry.set_registered_model_alias(model.name, alias, str(max(numbers)))


def _experiments(place: Place) -> list[object]:
    return list(place.tracking.search_experiments(ViewType.ACTIVE_ONLY, 1000))


def _runs(place: Place) -> list[object]:
    ids = list(place.experiments)
    return list(place.tracking.search_runs(ids, "", ViewType.ACTIVE_ONLY, 5000, ["attributes.start_time"], None))
