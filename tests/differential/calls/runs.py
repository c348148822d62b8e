from tests.differential.model import Call, World

from .base import get, post

RUN = ("run", ("run", "info", "run_id"))


def create(world: World) -> Call:
    rng = world.rng
    fields = {"experiment_id": world.some("exp"), "start_time": world.tick(), "user_id": "somebody"}
    if rng.random() < 0.5:
        fields["run_name"] = world.new_name("run")
    if rng.random() < 0.5:
        fields["tags"] = [{"key": "kind", "value": rng.choice("ab")}]
    return post("runs/create", learns=RUN, keep="start_time tags", **fields)


def get_one(world: World) -> Call:
    name = world.rng.choice(["run_id", "run_id", "run_uuid"])
    return get("runs/get", **{name: world.some("run")})


def update(world: World) -> Call:
    rng = world.rng
    fields: dict[str, object] = {"run_id": world.some("run")}
    if rng.random() < 0.8:
        fields["status"] = rng.choice(["FINISHED", "FAILED", "KILLED", "RUNNING", "SCHEDULED", 3])
    if rng.random() < 0.5:
        fields["end_time"] = world.tick()
    if rng.random() < 0.3:
        fields["run_name"] = world.new_name("run")
    return post("runs/update", keep="end_time status", **fields)


def delete(world: World) -> Call:
    runs = world.known.get("run", ["⟦no_run⟧"])
    return post("runs/delete", run_id=runs[world.rng.randrange(len(runs))])


def restore(world: World) -> Call:
    return post("runs/restore", run_id=world.some("run"))


GENERATORS = (create, create, get_one, update, delete, restore)
