import json
from typing import Any

from tests.differential.model import Call, World

from .base import get3, post3, send3

DATASET = ("ds", ("dataset", "dataset_id"))
RECORD = ("record", ("records", 0, "dataset_record_id"))
QUESTIONS = ({"q": "a"}, {"q": "b", "n": 1}, {"q": "c", "deep": {"x": [1, None]}}, {"q": 1.5, "b": True, "l": ["x"]})
FILTERS = (
    "",
    "name = 'golden'",
    'name = "silver"',
    "name LIKE 'g%'",
    "name ILIKE 'S%'",
    "name IN ('golden', 'bronze')",
    "name != 'golden'",
    "tags.team = 'a'",
    "tags.team != 'a'",
    "tags.team LIKE 'b%' AND name = 'silver'",
    "created_time > 1",
    "last_update_time < 1",
    "created_by = 'ann'",
    "last_updated_by != 'ann'",
    "digest = 'x'",
    "metrics.x > 1",
    "name",
    "created_time > 'x'",
    "tags.team IS NULL",
)


def create(world: World) -> Call:
    rng = world.rng
    fields: dict[str, Any] = {"name": rng.choice(["golden", "silver", "bronze"])}
    if rng.random() < 0.7:
        tags = {"team": rng.choice("ab")} | ({"mlflow.user": rng.choice(["ann", "bob"])} if rng.random() < 0.5 else {})
        fields["tags"] = json.dumps(tags)
    if rng.random() < 0.6:
        fields["experiment_ids"] = [world.some("exp")]
    return post3("datasets/create", learns=DATASET, keep="name tags experiment_ids", **fields)


def get_one(world: World) -> Call:
    return get3(f"datasets/{world.some('ds')}")


def delete(world: World) -> Call:
    found = world.known.get("ds", ["⟦no_ds⟧"])
    return send3("DELETE", f"datasets/{found[world.rng.randrange(len(found))]}")


def search(world: World) -> Call:
    rng = world.rng
    fields: dict[str, Any] = {"filter_string": rng.choice(FILTERS), "max_results": rng.choice([1, 3, 1000])}
    # Two datasets may have begun in the same millisecond, and then only their ids decide.
    fields["order_by"] = rng.choice([["created_time"], ["created_time DESC"], ["digest"]])
    if rng.random() < 0.4:
        fields["experiment_ids"] = [world.some("exp"), "987654321"]
    return post3("datasets/search", **fields)


def set_tags(world: World) -> Call:
    tags = {"team": world.rng.choice(["a", "b", "b2"]), "none": None, "number": 1}
    return send3("PATCH", f"datasets/{world.some('ds')}/tags", keep="tags", tags=json.dumps(tags))


def delete_tag(world: World) -> Call:
    call = send3("DELETE", f"datasets/{world.some('ds')}/tags/{world.rng.choice(['team', 'none'])}")
    call.endpoint = "DELETE api/3.0/mlflow/datasets/<id>/tags/<key>"
    return call


def experiments(world: World) -> Call:
    return get3(f"datasets/{world.some('ds')}/experiment-ids")


def add_experiments(world: World) -> Call:
    return post3(
        f"datasets/{world.some('ds')}/add-experiments", keep="experiment_ids", experiment_ids=[world.some("exp")]
    )


def remove_experiments(world: World) -> Call:
    wanted = [world.some("exp"), world.some("exp")]
    return post3(f"datasets/{world.some('ds')}/remove-experiments", keep="experiment_ids", experiment_ids=wanted)


def upsert(world: World) -> Call:
    """Send one record, perhaps twice, so that all records of a dataset have an order."""
    rng = world.rng
    record: dict[str, Any] = {"inputs": rng.choice(QUESTIONS)}
    # MLflow fails to change outputs to an object, and where expectations are null.
    more: dict[str, Any] = {
        "expectations": rng.choice([{"answer": "x"}, {"facts": ["a", "b"]}, {}]),
        "outputs": rng.choice(["text", 3, None, ["l"]]),
        "tags": rng.choice([{"k": "v"}, {"mlflow.user": "ann"}, {}, None]),
        "source": rng.choice(
            [
                {"source_type": "HUMAN", "source_data": {}},
                {"source_type": "trace", "source_data": {"trace_id": "tr-1"}},
                {"source_type": "DOCUMENT"},
            ]
        ),
    }
    record |= {key: value for key, value in more.items() if rng.random() < 0.4}
    records = json.dumps([record] * rng.choice([1, 1, 2]))
    return post3(f"datasets/{world.some('ds')}/records", keep="records", records=records)


def records(world: World) -> Call:
    call = get3(f"datasets/{world.some('ds')}/records", max_results=world.rng.choice([1, 2, 1000]))
    call.learns = RECORD
    return call


def delete_records(world: World) -> Call:
    ids = [world.some("record"), "dr-unknown"]
    return send3("DELETE", f"datasets/{world.some('ds')}/records", keep="dataset_record_ids", dataset_record_ids=ids)


GENERATORS = (
    *(create, create, get_one, delete, search, search, set_tags, delete_tag, experiments, add_experiments),
    *(remove_experiments, upsert, upsert, records, delete_records),
)
