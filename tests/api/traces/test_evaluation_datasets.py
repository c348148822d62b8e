"""Evaluation datasets and their records: https://mlflow.org/docs/latest/genai/datasets/."""

import json
from typing import Any

import pytest

from mltrail_server.domain import limits
from tests.api.traces.calls import delete, error, get, patch, post
from tests.clock import FrozenClock
from tests.mlflow_client import INVALID, MISSING, Mlflow

REFUND = {"inputs": {"question": "Refund?"}, "expectations": {"answer": "30 days"}, "tags": {"set": "golden"}}
HOURS = {"inputs": {"question": "Open?"}, "expectations": {"answer": "9 to 5"}}


@pytest.fixture
def golden(mlflow: Mlflow) -> Any:
    tags = json.dumps({"team": "support", "mlflow.user": "ann"})
    return post(mlflow, "datasets/create", name="golden", experiment_ids=["0"], tags=tags)["dataset"]


def upsert(mlflow: Mlflow, dataset: Any, *rows: Any) -> tuple[int, int]:
    done = post(mlflow, f"datasets/{dataset['dataset_id']}/records", records=json.dumps(rows))
    return done["inserted_count"], done["updated_count"]


def records(mlflow: Mlflow, dataset: Any) -> list[Any]:
    found: list[Any] = json.loads(get(mlflow, f"datasets/{dataset['dataset_id']}/records")["records"])
    return found


def test_a_dataset_is_created_and_read(mlflow: Mlflow, golden: Any) -> None:
    assert golden["dataset_id"].startswith("d-")
    assert (golden["name"], golden["created_by"], golden["experiment_ids"]) == ("golden", "ann", ["0"])
    assert json.loads(golden["tags"]) == {"team": "support", "mlflow.user": "ann"}
    read = get(mlflow, f"datasets/{golden['dataset_id']}")["dataset"]
    assert {key: golden[key] for key in golden.keys() - {"experiment_ids", "tags"}} == {
        key: read[key] for key in read.keys() - {"tags"}
    }
    assert "schema" not in read
    assert get(mlflow, f"datasets/{golden['dataset_id']}/experiment-ids") == {"experiment_ids": ["0"]}


def test_records_with_the_same_inputs_are_one(mlflow: Mlflow, golden: Any) -> None:
    assert upsert(mlflow, golden, REFUND, HOURS) == (2, 0)
    more = {"inputs": dict(REFUND["inputs"]), "expectations": {"tone": "kind"}, "outputs": "x", "tags": {"set": "a"}}
    assert upsert(mlflow, golden, more, more, {"inputs": {"question": "New?"}}) == (1, 2)
    found = {one["inputs"]["question"]: one for one in records(mlflow, golden)}
    assert set(found) == {"Refund?", "Open?", "New?"}
    assert found["Refund?"]["expectations"] == {"answer": "30 days", "tone": "kind"}
    assert (found["Refund?"]["outputs"], found["Refund?"]["tags"]) == ("x", {"set": "a"})
    assert (found["New?"]["outputs"], found["New?"]["tags"]) == ({}, {})
    assert "expectations" not in found["New?"]
    read = get(mlflow, f"datasets/{golden['dataset_id']}")["dataset"]
    assert json.loads(read["profile"]) == {"num_records": 3}
    assert json.loads(read["schema"]) == {
        "inputs": {"question": "string"},
        "outputs": "string",
        "expectations": {"answer": "string", "tone": "string"},
        "version": "1.0",
    }


def test_the_order_of_keys_makes_no_other_case(mlflow: Mlflow, golden: Any) -> None:
    assert upsert(mlflow, golden, {"inputs": {"a": 1, "b": {"c": 2, "d": 3}}}) == (1, 0)
    assert upsert(mlflow, golden, {"inputs": {"b": {"d": 3, "c": 2}, "a": 1}}) == (0, 1)


def test_a_record_made_of_a_trace_names_it(mlflow: Mlflow, golden: Any) -> None:
    source = {"source_type": "trace", "source_data": {"trace_id": "tr-1"}}
    upsert(mlflow, golden, HOURS | {"source": source})
    record = records(mlflow, golden)[0]
    assert (record["source_type"], record["source_id"]) == ("TRACE", "tr-1")
    assert record["source"] == source | {"source_type": "TRACE"}


def test_records_come_in_pages(mlflow: Mlflow, golden: Any) -> None:
    upsert(mlflow, golden, *({"inputs": {"n": number}} for number in range(7)))
    seen, token = [], ""
    while True:
        page = get(mlflow, f"datasets/{golden['dataset_id']}/records", max_results=3, page_token=token)
        seen += [one["inputs"]["n"] for one in json.loads(page["records"])]
        if not (token := page.get("next_page_token", "")):
            break
    assert sorted(seen) == list(range(7))


def test_deleted_records_are_gone_and_show_in_the_digest(mlflow: Mlflow, golden: Any, clock: FrozenClock) -> None:
    upsert(mlflow, golden, REFUND, HOURS)
    path = f"datasets/{golden['dataset_id']}"
    before = get(mlflow, path)["dataset"]
    clock.advance(1000)
    ids = [one["dataset_record_id"] for one in records(mlflow, golden) if one["inputs"] == REFUND["inputs"]]
    assert delete(mlflow, f"{path}/records", dataset_record_ids=[*ids, "dr-unknown"]) == {"deleted_count": 1}
    assert [one["inputs"] for one in records(mlflow, golden)] == [HOURS["inputs"]]
    after = get(mlflow, path)["dataset"]
    assert json.loads(after["profile"]) == {"num_records": 1}
    assert after["last_update_time"] > before["last_update_time"]
    assert after["digest"] != before["digest"]


def test_tags_are_set_changed_and_deleted(mlflow: Mlflow, golden: Any) -> None:
    path = f"datasets/{golden['dataset_id']}"
    patch(mlflow, f"{path}/tags", tags=json.dumps({"team": "sales", "reviewed": True, "nothing": None}))
    delete(mlflow, f"{path}/tags/mlflow.user")
    delete(mlflow, f"{path}/tags/never-set")
    assert json.loads(get(mlflow, path)["dataset"]["tags"]) == {"team": "sales", "reviewed": "True"}


def test_a_dataset_joins_and_leaves_experiments(mlflow: Mlflow, golden: Any) -> None:
    other = mlflow.post("experiments/create", name="other")["experiment_id"]
    path = f"datasets/{golden['dataset_id']}"
    post(mlflow, f"{path}/add-experiments", experiment_ids=[other, "0"])
    assert get(mlflow, f"{path}/experiment-ids")["experiment_ids"] == ["0", other]
    post(mlflow, f"{path}/remove-experiments", experiment_ids=["0", "12345"])
    assert get(mlflow, f"{path}/experiment-ids")["experiment_ids"] == [other]
    assert error(mlflow, "POST", f"{path}/add-experiments", experiment_ids=["12345"])[:2] == MISSING
    assert error(mlflow, "POST", "datasets/create", name="x", experiment_ids=["12345"])[:2] == MISSING


def test_a_deleted_dataset_takes_its_records_along(mlflow: Mlflow, golden: Any) -> None:
    upsert(mlflow, golden, REFUND)
    path = f"datasets/{golden['dataset_id']}"
    delete(mlflow, path)
    delete(mlflow, path)
    assert error(mlflow, "GET", path)[:2] == MISSING
    assert records(mlflow, golden) == []
    assert error(mlflow, "POST", f"{path}/records", records=json.dumps([REFUND]))[:2] == MISSING


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["silver", "golden"]),
        ('name = "golden"', ["golden"]),
        ("name LIKE 'g%'", ["golden"]),
        ("name IN ('silver', 'bronze')", ["silver"]),
        ("tags.team = 'support'", ["golden"]),
        ("tags.team ILIKE 'SUP%' AND created_by = 'ann'", ["golden"]),
        ("last_updated_by != 'bob'", ["golden"]),
        ("created_time > 1600000000000 AND last_update_time <= 1600000000000", []),
    ],
)
def test_search_by_filter(mlflow: Mlflow, golden: Any, clock: FrozenClock, text: str, found: list[str]) -> None:
    clock.advance(1000)
    post(mlflow, "datasets/create", name="silver")
    answer = post(mlflow, "datasets/search", filter_string=text)
    assert [one["name"] for one in answer.get("datasets", ())] == found


def test_search_by_experiment_in_an_order_and_in_pages(mlflow: Mlflow, golden: Any) -> None:
    for name in ("b", "a", "c"):
        post(mlflow, "datasets/create", name=name)
    assert [one["name"] for one in post(mlflow, "datasets/search", experiment_ids=["0"])["datasets"]] == ["golden"]
    assert post(mlflow, "datasets/search", experiment_ids=["77", "no number"]) == {}
    first = post(mlflow, "datasets/search", order_by=["name DESC"], max_results=3)
    second = post(mlflow, "datasets/search", order_by=["name DESC"], max_results=3, page_token=first["next_page_token"])
    names = [one["name"] for one in [*first["datasets"], *second["datasets"]]]
    assert names == ["golden", "c", "b", "a"]
    assert "next_page_token" not in second


@pytest.mark.every_case
@pytest.mark.parametrize(
    "search",
    [
        {"filter_string": "digest = 'x'"},
        {"filter_string": "metrics.x > 1"},
        {"filter_string": "tags.a IS NULL"},
        {"order_by": ["digest"]},
        {"max_results": 0},
        {"max_results": 50_001},
        {"page_token": "zz"},
    ],
)
def test_searches_that_are_refused(mlflow: Mlflow, search: dict[str, Any]) -> None:
    assert error(mlflow, "POST", "datasets/search", **search)[:2] == INVALID


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{", "JSON within a text"),
        ("{}", "a list of records"),
        ("[1]", "records[0] must be an object"),
        ('[{"inputs": {}}, {"inputs": 3}]', "records[1].inputs must be an object"),
        ('[{"expectations": []}]', "records[0].expectations must be an object"),
        ('[{"source": {"source_type": "GUESS"}}]', "one of UNSPECIFIED, TRACE, HUMAN, DOCUMENT, CODE"),
    ],
)
def test_records_that_cannot_be_read_are_refused_by_place(mlflow: Mlflow, golden: Any, given: str, said: str) -> None:
    status, code, message = error(mlflow, "POST", f"datasets/{golden['dataset_id']}/records", records=given)
    assert ((status, code), said in message) == (INVALID, True), message
    assert records(mlflow, golden) == []


def test_a_record_that_is_too_large_is_refused_with_its_size(mlflow: Mlflow, golden: Any) -> None:
    large = {"inputs": {"question": "q" * limits.MAX_RECORD}}
    path = f"datasets/{golden['dataset_id']}/records"
    status, code, message = error(mlflow, "POST", path, records=json.dumps([HOURS, large]))
    assert (status, code) == INVALID
    assert f"at most {limits.MAX_RECORD:,} characters" in message
    assert records(mlflow, golden) == []


@pytest.mark.every_case
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"name": " "},
        {"name": "n" * (limits.MAX_EVALUATION_DATASET_NAME + 1)},
        {"name": "n", "tags": "no JSON"},
        {"name": "n", "tags": "[1]"},
        {"name": "n", "tags": json.dumps({"k" * 251: "v"})},
        {"name": "n", "tags": json.dumps({"k": "v" * 5001})},
    ],
)
def test_datasets_that_are_refused(mlflow: Mlflow, fields: dict[str, Any]) -> None:
    assert error(mlflow, "POST", "datasets/create", **fields)[:2] == INVALID
