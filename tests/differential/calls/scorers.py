import json
from typing import Any

from tests.differential.model import Call, World

from .base import get3, post3, send3

NAMES = ("tone", "correct")
WORN = "worn"
"""Single versions are deleted of such scorers only, which nothing registers again: MLflow gives their numbers out again
and we don't. All are in the experiment 0, which is never deleted."""
GONE = "worn, without a version"
DEFAULT = "⟦exp0⟧"


def register(world: World) -> Call:
    rng = world.rng
    scorer: dict[str, Any] = {"name": "x", "strict": rng.random() < 0.5}
    if rng.random() < 0.3:
        model = rng.choice(["openai:/gpt-4.1", " "])
        scorer["instructions_judge_pydantic_data"] = {"instructions": "{{ outputs }}", "model": model}
    if rng.random() < 0.1:
        scorer = {"call_source": "return 1", "call_signature": "()", "original_func_name": "f"}
    fields = {"experiment_id": world.some("exp"), "name": rng.choice(NAMES)}
    if rng.random() < 0.3:
        name = world.name(WORN) if rng.random() < 0.6 and world.names.get(WORN) else world.new_name(WORN)
        fields = {"experiment_id": DEFAULT, "name": name}
    keep = "experiment_id name serialized_scorer"
    fields["serialized_scorer"] = json.dumps(scorer)
    return post3("scorers/register", keep=keep, learns=("scorer", ("scorer_id",)), **fields)


def _which(world: World) -> dict[str, Any]:
    if world.rng.random() < 0.3:
        return {"experiment_id": DEFAULT, "name": world.name(world.rng.choice([WORN, GONE]))}
    return {"experiment_id": world.some("exp"), "name": world.rng.choice([*NAMES, "nobody"])}


def listing(world: World) -> Call:
    rng = world.rng
    if rng.random() < 0.2:
        return get3("scorers/list")
    if rng.random() < 0.3:
        return get3("scorers/list", experiment_ids=[world.some("exp"), world.some("exp")])
    return get3("scorers/list", experiment_id=world.some("exp"))


def versions(world: World) -> Call:
    return get3("scorers/versions", **_which(world))


def get_one(world: World) -> Call:
    query = _which(world)
    if world.rng.random() < 0.4:
        query["version"] = world.rng.choice([1, 1, 2, 99])
    return get3("scorers/get", **query)


def delete(world: World) -> Call:
    fields = {"experiment_id": world.some("exp"), "name": world.rng.choice(NAMES)}
    return send3("DELETE", "scorers/delete", keep="experiment_id name", **fields)


def delete_version(world: World) -> Call:
    known = world.names.get(WORN) or ["nobody"]
    name = known.pop(world.rng.randrange(len(known)))
    world.names.setdefault(GONE, []).append(name)
    fields = {"experiment_id": DEFAULT, "name": name, "version": world.rng.choice([1, 1, 2, 99])}
    call = send3("DELETE", "scorers/delete", keep="experiment_id name version", **fields)
    call.endpoint += " (one version)"
    return call


def online_configs(world: World) -> Call:
    return get3("scorers/online-configs", scorer_ids=[world.some("scorer")])


GENERATORS = (*(register, register, register, listing, versions, get_one, delete, delete_version, online_configs),)
