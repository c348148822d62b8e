from tests.differential.model import Call, World

from .base import get, post


def create(world: World) -> Call:
    taken = world.rng.random() < 0.15
    name = world.name("experiment") if taken else world.new_name("experiment")
    tags = [{"key": "team", "value": world.rng.choice("ab")}] if world.rng.random() < 0.5 else []
    return post("experiments/create", name=name, tags=tags, learns=("exp", ("experiment_id",)))


def get_one(world: World) -> Call:
    return get("experiments/get", experiment_id=world.some("exp"))


def get_by_name(world: World) -> Call:
    return get("experiments/get-by-name", experiment_name=world.name("experiment"))


def update(world: World) -> Call:
    name = world.name("experiment") if world.rng.random() < 0.2 else world.new_name("experiment")
    return post("experiments/update", experiment_id=world.some("exp"), new_name=name)


def delete(world: World) -> Call:
    found = [one for one in world.known["exp"][1:] if world.rng.random() < 0.2] or ["⟦no_exp⟧"]
    return post("experiments/delete", experiment_id=found[0])


def restore(world: World) -> Call:
    return post("experiments/restore", experiment_id=world.some("exp"))


def set_tag(world: World) -> Call:
    key, value = world.rng.choice(["team", "stage", "a.b/c d"]), world.rng.choice(["x", "y", "ü"])
    return post("experiments/set-experiment-tag", experiment_id=world.some("exp"), key=key, value=value)


def delete_tag(world: World) -> Call:
    key = world.rng.choice(["team", "stage", "nothing"])
    return post("experiments/delete-experiment-tag", experiment_id=world.some("exp"), key=key)


def search(world: World) -> Call:
    rng = world.rng
    text = rng.choice(
        ["", "name LIKE 'experiment%'", "tags.team = 'a'", "name != 'Default'", "tags.stage != 'x'", "name = 'x' OR"]
    )
    orders = rng.choice([[], ["name ASC"], ["name DESC"], ["experiment_id ASC"], ["nonsense"]])
    view = rng.choice(["ACTIVE_ONLY", "ALL", "DELETED_ONLY"])
    return post(
        "experiments/search",
        keep="max_results",
        filter=text,
        order_by=orders,
        view_type=view,
        max_results=rng.choice([1000, 50000]),
    )


GENERATORS = (create, get_one, get_by_name, update, delete, restore, set_tag, delete_tag, search)
