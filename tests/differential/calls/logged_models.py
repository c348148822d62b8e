from typing import Any

from tests.differential.model import Call, World

from .base import get, post, send

MODEL = ("lm", ("model", "info", "model_id"))


def create(world: World) -> Call:
    rng = world.rng
    fields: dict[str, Any] = {"experiment_id": world.some("exp"), "name": rng.choice(["m", "n", "long name"])}
    if rng.random() < 0.6 and "run" in world.known:
        fields["source_run_id"] = world.some("run")
    if rng.random() < 0.5:
        fields |= {"params": [{"key": "depth", "value": "3"}], "tags": [{"key": "a", "value": rng.choice("xy")}]}
    if rng.random() < 0.3:
        fields["model_type"] = "agent"
    return post("logged-models", learns=MODEL, keep="name source_run_id params tags", **fields)


def get_one(world: World) -> Call:
    return get(f"logged-models/{world.some('lm')}")


def finish(world: World) -> Call:
    status = world.rng.choice(["LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED", "LOGGED_MODEL_PENDING"])
    model = world.some("lm")
    return send("PATCH", f"logged-models/{model}", keep="status model_id", model_id=model, status=status)


def delete(world: World) -> Call:
    found = world.known.get("lm", ["⟦no_lm⟧"])
    return send("DELETE", f"logged-models/{found[world.rng.randrange(len(found))]}")


def search(world: World) -> Call:
    rng = world.rng
    text = rng.choice(
        ["", "name = 'm'", "tags.a = 'x'", "params.depth = '3'", "metrics.loss > 0.4", "status = 'READY'"]
    )
    orders = [{"field_name": rng.choice(["creation_timestamp", "name"]), "ascending": rng.random() < 0.5}]
    if orders[0]["field_name"] == "name":
        orders.append({"field_name": "creation_timestamp", "ascending": True})
    return post(
        "logged-models/search",
        experiment_ids=[world.some("exp") for _ in range(3)],
        filter=text,
        order_by=orders,
        max_results=rng.choice([2, 50]),
    )


def set_tags(world: World) -> Call:
    tags = [{"key": world.rng.choice("ab"), "value": "z"}]
    model = world.some("lm")
    return send("PATCH", f"logged-models/{model}/tags", keep="key model_id", model_id=model, tags=tags)


def delete_tag(world: World) -> Call:
    call = send("DELETE", f"logged-models/{world.some('lm')}/tags/{world.rng.choice('ab')}")
    call.endpoint = "DELETE api/2.0/mlflow/logged-models/<id>/tags/<key>"
    return call


def add_params(world: World) -> Call:
    params = [{"key": world.rng.choice(["p", "q"]), "value": "1"}]
    model = world.some("lm")
    return post(f"logged-models/{model}/params", keep="model_id params", model_id=model, params=params)


def outputs(world: World) -> Call:
    models = [{"model_id": world.some("lm"), "step": world.rng.randrange(3)}]
    return post("runs/outputs", keep="models", run_id=world.some("run"), models=models)


def log_metric(world: World) -> Call:
    fields = {"key": "loss", "value": 0.5, "timestamp": world.tick(), "step": 0}
    if "lm" in world.known:
        fields["model_id"] = world.some("lm")
    call = post("runs/log-metric", keep="model_id", run_id=world.some("run"), **fields)
    call.endpoint += " (of a logged model)"
    return call


def folder(world: World) -> Call:
    return get(f"logged-models/{world.some('lm')}/artifacts/directories")


GENERATORS = (
    *(create, create, get_one, finish, delete, search, set_tags, delete_tag, add_params, outputs, log_metric, folder),
)
