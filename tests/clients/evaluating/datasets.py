"""https://mlflow.org/docs/latest/genai/datasets/: managed datasets of cases."""

import json

import mlflow
import pandas as pd
from evaluating.registry import Desk, answer, check
from mlflow.genai.datasets import (
    EvaluationDataset,
    add_dataset_to_experiments,
    create_dataset,
    delete_dataset,
    delete_dataset_tag,
    get_dataset,
    remove_dataset_from_experiments,
    search_datasets,
    set_dataset_tags,
)

CASES = [
    {"inputs": {"question": "a"}, "expectations": {"answer": "A"}, "tags": {"kind": "letter"}},
    {"inputs": {"question": "b", "n": 1}, "expectations": {"answer": "B", "facts": ["x", 1, None]}},
    {"inputs": {"question": "ünï 🙂 <b>"}},
]


def table(dataset: EvaluationDataset) -> list[object]:
    frame = dataset.to_df()
    wanted = [
        name for name in ("inputs", "outputs", "expectations", "tags", "source_type", "source_id") if name in frame
    ]
    rows = [{name: row[name] for name in wanted} for row in frame.to_dict("records")]
    return sorted(rows, key=lambda row: json.dumps(row["inputs"], sort_keys=True))


def shown(dataset: EvaluationDataset) -> dict[str, object]:
    return {
        "dataset_id": dataset.dataset_id,
        "name": dataset.name,
        "tags": dataset.tags,
        "schema": json.loads(dataset.schema) if dataset.schema else dataset.schema,
        "profile": json.loads(dataset.profile) if dataset.profile else dataset.profile,
        "experiments": len(dataset.experiment_ids),
        "digest is set": bool(dataset.digest),
        "times are set": [bool(dataset.created_time), bool(dataset.last_update_time)],
        "by": [dataset.created_by, dataset.last_updated_by],
    }


@check(since=(3, 5))
def made_and_read(desk: Desk) -> object:
    made = create_dataset(name=desk.name("golden"), experiment_id=desk.experiment_id, tags={"team": "search", "n": "1"})
    before = shown(made), table(get_dataset(dataset_id=made.dataset_id))
    made.merge_records(CASES)
    found = get_dataset(dataset_id=made.dataset_id)
    return before, shown(found), table(found), made.has_records()


@check(since=(3, 10))
def by_name(desk: Desk) -> object:
    made = create_dataset(name=desk.name("golden"), experiment_id=desk.experiment_id)
    return shown(get_dataset(name=made.name)), answer(lambda: get_dataset(name=desk.name("missing")))


@check(since=(3, 5))
def merged_again(desk: Desk) -> object:
    made = create_dataset(name=desk.name("golden"), experiment_id=desk.experiment_id)
    made.merge_records(CASES)
    digests = [get_dataset(dataset_id=made.dataset_id).digest]
    ids = set(get_dataset(dataset_id=made.dataset_id).to_df()["dataset_record_id"])
    made.merge_records(
        [
            {"inputs": {"question": "a"}, "expectations": {"more": 1}, "tags": {"kind": "vowel", "new": "yes"}},
            {"inputs": {"n": 1, "question": "b"}, "expectations": {"answer": "changed"}},
            {"inputs": {"question": "d"}},
        ]
    )
    again = get_dataset(dataset_id=made.dataset_id)
    digests.append(again.digest)
    frame = pd.DataFrame([{"inputs": {"question": "e"}, "expectations": {"answer": "E"}}])
    again.merge_records(frame)
    digests.append(get_dataset(dataset_id=made.dataset_id).digest)
    kept = ids <= set(get_dataset(dataset_id=made.dataset_id).to_df()["dataset_record_id"])
    return table(get_dataset(dataset_id=made.dataset_id)), kept, len(set(digests)), shown(again)


@check(since=(3, 5))
def from_traces(desk: Desk) -> object:
    @mlflow.trace
    def predict(question: str) -> str:
        return question.upper()

    for question in "ab":
        predict(question)
        mlflow.log_expectation(trace_id=mlflow.get_last_active_trace_id(), name="answer", value=question.upper())
    made = create_dataset(name=desk.name("from traces"), experiment_id=desk.experiment_id)
    made.merge_records(mlflow.search_traces(locations=[desk.experiment_id]))
    made.merge_records(mlflow.search_traces(locations=[desk.experiment_id], return_type="list"))
    frame = get_dataset(dataset_id=made.dataset_id).to_df()
    sources = sorted(set(zip(frame["source_type"], frame["source_id"] != "", strict=True)))
    return sorted(map(repr, frame["inputs"])), sorted(map(repr, frame["expectations"])), sources


@check(since=(3, 5))
def searched(desk: Desk) -> object:
    other = desk.client.create_experiment(desk.name("other"))
    for number, tags in enumerate([{"team": "search"}, {"team": "shop"}, {}]):
        made = create_dataset(
            name=desk.name(f"set {number}"), experiment_id=[desk.experiment_id, other] if number else other, tags=tags
        )
        if number == 1:
            made.merge_records(CASES)

    def found(**how: object) -> object:
        how = {"experiment_ids": [desk.experiment_id, other], "order_by": ["created_time ASC"]} | how
        return answer(lambda: [one.name for one in search_datasets(**how)])

    second = desk.name("set 1")
    return [
        found(),
        found(experiment_ids=[desk.experiment_id]),
        found(experiment_ids="123456"),
        found(max_results=2),
        found(order_by=["created_time DESC"]),
        found(order_by=["name DESC"]),
        found(order_by=["last_update_time ASC"]),
        found(order_by=["nonsense"]),
        found(filter_string=f"name = '{second}'"),
        found(filter_string=f"name != '{second}'"),
        found(filter_string="name LIKE 'set%'"),
        found(filter_string="name ILIKE '%SET 2%'"),
        found(filter_string="tags.team = 'search'"),
        found(filter_string="tags.team != 'search'"),
        found(filter_string="tags.team LIKE 's%'"),
        found(filter_string="tags.team = 'shop' AND name LIKE 'set%'"),
        found(filter_string="created_time > 0"),
        found(filter_string="last_update_time < 5"),
        found(filter_string="nonsense = 'x'"),
        found(filter_string="created_by = 'nobody'"),
    ]


@check(since=(3, 10))
def tags_and_experiments(desk: Desk) -> object:
    made = create_dataset(name=desk.name("tagged"), experiment_id=desk.experiment_id, tags={"a": "1"})
    set_dataset_tags(dataset_id=made.dataset_id, tags={"a": "2", "b": "x", "c": "y"})
    saw = [get_dataset(dataset_id=made.dataset_id).tags]
    delete_dataset_tag(dataset_id=made.dataset_id, key="b")
    saw.append(answer(lambda: delete_dataset_tag(dataset_id=made.dataset_id, key="missing")))
    saw.append(get_dataset(dataset_id=made.dataset_id).tags)
    other = desk.client.create_experiment(desk.name("other"))
    saw.append(len(add_dataset_to_experiments(dataset_id=made.dataset_id, experiment_ids=[other]).experiment_ids))
    saw.append(len(add_dataset_to_experiments(dataset_id=made.dataset_id, experiment_ids=[other]).experiment_ids))
    left = remove_dataset_from_experiments(dataset_id=made.dataset_id, experiment_ids=[desk.experiment_id])
    saw.append(left.experiment_ids == [other])
    return saw


@check(since=(3, 5))
def without_an_experiment(desk: Desk) -> object:
    made = create_dataset(name=desk.name("free"), experiment_id=[])
    return shown(get_dataset(dataset_id=made.dataset_id))


@check(since=(3, 5))
def what_is_refused(desk: Desk) -> object:
    name = desk.name("once")
    made = create_dataset(name=name, experiment_id=desk.experiment_id)
    nobody = f"d-{'0' * 32}"
    saw = [
        answer(lambda: shown(create_dataset(name=name, experiment_id=desk.experiment_id))),
        answer(lambda: get_dataset(dataset_id=nobody)),
        answer(lambda: set_dataset_tags(dataset_id=nobody, tags={"a": "b"})),
        answer(lambda: made.merge_records([{"expectations": {"a": 1}}])),
    ]
    delete_dataset(dataset_id=made.dataset_id)
    saw.append(answer(lambda: get_dataset(dataset_id=made.dataset_id)))
    saw.append(answer(lambda: delete_dataset(dataset_id=made.dataset_id)))
    saw.append(len(search_datasets(experiment_ids=[desk.experiment_id])))
    return saw


@check(since=(3, 10))
def records_deleted(desk: Desk) -> object:
    made = create_dataset(name=desk.name("shrinking"), experiment_id=desk.experiment_id)
    made.merge_records(CASES)
    ids = {row["inputs"]["question"]: row["dataset_record_id"] for row in made.to_df().to_dict("records")}
    saw: list[object] = [answer(lambda: made.delete_records([ids["a"]]))]
    saw.append(table(get_dataset(dataset_id=made.dataset_id)))
    saw.append(shown(get_dataset(dataset_id=made.dataset_id)))
    saw.append(answer(lambda: made.delete_records([f"dr-{'0' * 32}"])))
    return saw


@check(since=(3, 18))
def many_records(desk: Desk) -> object:
    made = create_dataset(name=desk.name("large"), experiment_id=desk.experiment_id)
    made.merge_records([{"inputs": {"n": number}, "expectations": {"square": number**2}} for number in range(1200)])
    frame = get_dataset(dataset_id=made.dataset_id).to_df()
    return len(frame), sorted(row["n"] for row in frame["inputs"]) == list(range(1200))


@check(since=(3, 10))
def conversations(desk: Desk) -> object:
    made = create_dataset(name=desk.name("simulated"), experiment_id=desk.experiment_id)
    made.merge_records([{"inputs": {"persona": "Student", "goal": "find articles", "context": {"id": "U1"}}}])
    return table(get_dataset(dataset_id=made.dataset_id)), answer(
        lambda: made.merge_records([{"inputs": {"goal": "x", "question": "y"}}])
    )
