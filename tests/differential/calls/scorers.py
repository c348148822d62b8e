import json
from typing import Any

from tests.differential.model import Call, World

from .base import get3, post3, send3

NAMES = ("tone", "correct")
LOSES_VERSIONS = "worn"
"""Single versions are deleted of this one only, since their numbers are given out again by MLflow and not by us."""


def register(world: World) -> Call:
    rng = world.rng
    scorer: dict[str, Any] = {"name": "x", "strict": rng.random() < 0.5}
    if rng.random() < 0.3:
        model = rng.choice(["openai:/gpt-4.1", " "])
        scorer["instructions_judge_pydantic_data"] = {"instructions": "{{ outputs }}", "model": model}
    if rng.random() < 0.1:
        scorer = {"call_source": "return 1", "call_signature": "()", "original_func_name": "f"}
    name = rng.choice([*NAMES, LOSES_VERSIONS])
    fields = {"experiment_id": world.some("exp"), "name": name, "serialized_scorer": json.dumps(scorer)}
    return post3("scorers/register", keep="name serialized_scorer", learns=("scorer", ("scorer_id",)), **fields)


def listing(world: World) -> Call:
    rng = world.rng
    if rng.random() < 0.2:
        return get3("scorers/list")
    if rng.random() < 0.3:
        return get3("scorers/list", experiment_ids=[world.some("exp"), world.some("exp")])
    return get3("scorers/list", experiment_id=world.some("exp"))


def versions(world: World) -> Call:
    return get3(
        "scorers/versions", experiment_id=world.some("exp"), name=world.rng.choice([*NAMES, LOSES_VERSIONS, "no"])
    )


def get_one(world: World) -> Call:
    query: dict[str, Any] = {"experiment_id": world.some("exp"), "name": world.rng.choice([*NAMES, "nobody"])}
    if world.rng.random() < 0.4:
        query["version"] = world.rng.choice([1, 1, 2, 99])
    return get3("scorers/get", **query)


def delete(world: World) -> Call:
    fields = {"experiment_id": world.some("exp"), "name": world.rng.choice([*NAMES, LOSES_VERSIONS])}
    return send3("DELETE", "scorers/delete", keep="experiment_id name", **fields)


def delete_version(world: World) -> Call:
    fields = {"experiment_id": world.some("exp"), "name": LOSES_VERSIONS, "version": world.rng.choice([1, 2, 99])}
    call = send3("DELETE", "scorers/delete", keep="experiment_id name version", **fields)
    call.endpoint += " (one version)"
    return call


def online_configs(world: World) -> Call:
    return get3("scorers/online-configs", scorer_ids=[world.some("scorer")])


GENERATORS = (*(register, register, register, listing, versions, get_one, delete, delete_version, online_configs),)
