from typing import Any

from tests.differential.model import Call, World

from .base import get, post

KEYS = ("loss", "val/acc", "f1.macro", "a b")
VALUES: tuple[Any, ...] = (0.5, 1, -2.5, 0, 1e-9, "NaN", "Infinity", "-Infinity", 3, 4)


def point(world: World) -> dict[str, Any]:
    return {
        "key": world.rng.choice(KEYS),
        "value": world.rng.choice(VALUES),
        "timestamp": world.rng.choice([world.tick(), 5]),
        "step": world.rng.randrange(-1, 6),
    }


def param(world: World) -> dict[str, str]:
    return {"key": world.rng.choice(["lr", "depth", "opt/name"]), "value": world.rng.choice(["0.1", "3", "adam"])}


def tag(world: World) -> dict[str, str]:
    return {
        "key": world.rng.choice(["kind", "stage", "mlflow.note.content", "mlflow.runName"]),
        "value": world.rng.choice(["a", "b", "long " * 5]),
    }


def log_metric(world: World) -> Call:
    return post("runs/log-metric", run_id=world.some("run"), **point(world))


def log_param(world: World) -> Call:
    return post("runs/log-parameter", run_id=world.some("run"), **param(world))


def set_tag(world: World) -> Call:
    return post("runs/set-tag", run_id=world.some("run"), **tag(world))


def delete_tag(world: World) -> Call:
    return post("runs/delete-tag", run_id=world.some("run"), key=world.rng.choice(["kind", "stage", "nothing"]))


def log_batch(world: World) -> Call:
    rng = world.rng
    return post(
        "runs/log-batch",
        keep="metrics params tags",
        run_id=world.some("run"),
        metrics=[point(world) for _ in range(rng.randrange(4))],
        params=[param(world) for _ in range(rng.randrange(2))],
        tags=[tag(world) for _ in range(rng.randrange(3))],
    )


def log_inputs(world: World) -> Call:
    rng = world.rng
    dataset = {"name": rng.choice(["d", "e"]), "digest": rng.choice("12"), "source_type": "local", "source": "s"}
    tags = [{"key": "mlflow.data.context", "value": rng.choice(["train", "eval"])}]
    return post(
        "runs/log-inputs", keep="dataset tags", run_id=world.some("run"), datasets=[{"dataset": dataset, "tags": tags}]
    )


def log_model(world: World) -> Call:
    run = world.some("run")
    text = f'{{"run_id": "{run}", "artifact_path": "m", "flavors": {{}}, "utc_time_created": "now"}}'
    return post("runs/log-model", run_id=run, model_json=text)


def history(world: World) -> Call:
    query: dict[str, Any] = {"run_id": world.some("run"), "metric_key": world.rng.choice(KEYS)}
    if world.rng.random() < 0.3:
        query["max_results"] = world.rng.choice([1, 2, 100])
    return get("metrics/get-history", **query)


def interval(world: World) -> Call:
    query: dict[str, Any] = {
        "run_ids": sorted({world.some("run") for _ in range(2)}),
        "metric_key": world.rng.choice(KEYS),
        "max_results": world.rng.choice([1, 2, 100]),
    }
    if world.rng.random() < 0.3:
        query |= {"start_step": 0, "end_step": 3}
    return get("metrics/get-history-bulk-interval", **query)


def datasets(world: World) -> Call:
    return Call("POST", "ajax-api/2.0/mlflow/experiments/search-datasets", json={"experiment_ids": [world.some("exp")]})


GENERATORS = (
    *(log_metric, log_metric, log_param, set_tag, delete_tag, log_batch, log_batch),
    *(log_inputs, log_model, history, interval, datasets),
)
