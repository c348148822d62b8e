from typing import Any

from tests.differential.model import Call, World

from .base import get, post, send


def which(world: World) -> dict[str, Any]:
    return {"name": world.name("model"), "version": str(world.rng.randrange(1, 4))}


def create(world: World) -> Call:
    rng, run, exp = world.rng, world.some("run"), world.some("exp")
    fields: dict[str, Any] = {"name": world.name("model")}
    source = rng.choice(
        [
            f"runs:/{run}/model",
            f"runs:/{run}/model",
            f"runs:/{run}/model",
            f"runs:/{run}",
            f"mlflow-artifacts:/{exp}/{run}/artifacts/model",
            "file:///etc/passwd",
            "/etc/passwd",
            "http://example.com/model",
            "../model",
            f"models:/{world.name('model')}/1",
            "s3://bucket/model",
            "dbfs:/a/../model",
            "hf://owner/model",
        ]
    )
    fields["source"] = source
    if "no_run" in run:
        source = fields["source"] = "../model"
    if run in source or source.startswith(("s3:", "dbfs:", "hf:")):
        fields["run_id"] = run
    if rng.random() < 0.3:
        fields |= {"description": "text", "tags": [{"key": "stage", "value": rng.choice("ab")}]}
    return post("model-versions/create", keep="source run_id", **fields)


def get_one(world: World) -> Call:
    return get("model-versions/get", **which(world))


def update(world: World) -> Call:
    return send("PATCH", "model-versions/update", **which(world), description="changed")


def transition(world: World) -> Call:
    stage = world.rng.choice(["Staging", "production", "Archived", "None", "nonsense"])
    archive = stage.lower() in ("staging", "production") and world.rng.random() < 0.5
    return post("model-versions/transition-stage", **which(world), stage=stage, archive_existing_versions=archive)


def delete(world: World) -> Call:
    return send("DELETE", "model-versions/delete", **which(world))


def search(world: World) -> Call:
    rng = world.rng
    text = rng.choice(
        [
            "",
            "name = 'model 2'",
            "name LIKE 'model%'",
            "name != 'model 1'",
            "run_id = '⟦run2⟧'",
            "run_id IN ('⟦run2⟧', '⟦run4⟧')",
            "version_number > 1",
            "version_number = 1",
            "tags.stage = 'a'",
            "nonsense = 'x'",
        ]
    )
    orders = rng.choice([["name ASC", "version_number ASC"], ["name DESC", "version_number DESC"], ["nonsense"]])
    call = get("model-versions/search", filter=text, order_by=orders, max_results=rng.choice([3, 1000]))
    call.keep = frozenset({"order_by"})  # without one MLflow sorts by times that differ between the sides
    return call


def download_uri(world: World) -> Call:
    return get("model-versions/get-download-uri", **which(world))


def set_tag(world: World) -> Call:
    return post("model-versions/set-tag", **which(world), key="stage", value=world.rng.choice("xyz"))


def delete_tag(world: World) -> Call:
    return send("DELETE", "model-versions/delete-tag", **which(world), key="stage")


GENERATORS = (
    *(create, create, create, get_one, get_one, update, transition, transition),
    *(delete, search, search, download_uri, set_tag, delete_tag),
)
