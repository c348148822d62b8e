from typing import Any

from tests.differential.model import Call, World

from .base import get, post, send


def create(world: World) -> Call:
    name = world.name("model") if world.rng.random() < 0.2 else world.new_name("model")
    fields: dict[str, Any] = {"name": name}
    if world.rng.random() < 0.5:
        fields |= {"description": "text", "tags": [{"key": "team", "value": world.rng.choice("ab")}]}
    return post("registered-models/create", **fields)


def get_one(world: World) -> Call:
    return get("registered-models/get", name=world.name("model"))


def rename(world: World) -> Call:
    old = world.name("model")
    new = world.name("model") if world.rng.random() < 0.3 else world.new_name("model")
    return post("registered-models/rename", name=old, new_name=new)


def update(world: World) -> Call:
    return send(
        "PATCH", "registered-models/update", keep="description", name=world.name("model"), description="changed"
    )


def delete(world: World) -> Call:
    return send("DELETE", "registered-models/delete", name=world.name("model"))


def search(world: World) -> Call:
    rng = world.rng
    text = rng.choice(
        ["", "name = 'model 3'", "name LIKE 'model%'", "name ILIKE 'MODEL 1%'", "tags.team = 'a'", "x = 1"]
    )
    orders = rng.choice([[], ["name DESC"], ["name ASC"], ["nonsense"], ""])
    return get("registered-models/search", filter=text, order_by=orders, max_results=rng.choice([2, 100, 1000]))


STAGES: tuple[list[str], ...] = ([], ["None"], ["Production"], ["staging", "Archived"], ["nonsense"], ["7"])


def latest(world: World) -> Call:
    path = "registered-models/get-latest-versions"
    return post(path, name=world.name("model"), stages=world.rng.choice(STAGES))


def latest_by_get(world: World) -> Call:
    path = "registered-models/get-latest-versions"
    return get(path, name=world.name("model"), stages=world.rng.choice(STAGES))


def set_tag(world: World) -> Call:
    return post("registered-models/set-tag", name=world.name("model"), key="team", value=world.rng.choice("xyz"))


def delete_tag(world: World) -> Call:
    return send("DELETE", "registered-models/delete-tag", name=world.name("model"), key="team")


def alias(world: World) -> str:
    return world.rng.choice(["champion", "challenger", "old", "v1", "latest", "a b"])


def set_alias(world: World) -> Call:
    version = str(world.rng.randrange(1, 4))
    return post("registered-models/alias", name=world.name("model"), alias=alias(world), version=version)


def delete_alias(world: World) -> Call:
    return send("DELETE", "registered-models/alias", name=world.name("model"), alias=alias(world))


def get_alias(world: World) -> Call:
    return get("registered-models/alias", name=world.name("model"), alias=alias(world))


GENERATORS = (
    *(create, create, create, get_one, rename, update, delete, search, latest, latest_by_get),
    *(set_tag, delete_tag, set_alias, set_alias, delete_alias, get_alias, get_alias),
)
