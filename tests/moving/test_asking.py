"""The test of the test: a difference in an answer is caught wherever it is, and one that is explained is not."""

import copy
from typing import Any

import pytest

from .asking import Question, compare, normal, post
from .explained import rules
from .old_records import OldRecords
from .questions import Facts

RUN = "0123456789abcdef0123456789abcdef"
SEARCH = post("runs/search", pages="runs")
INFO = {
    "run_id": RUN,
    "experiment_id": "3",
    "status": "FINISHED",
    "artifact_uri": f"mlflow-artifacts:/3/{RUN}/artifacts",
}
ANSWER = {
    "status": 200,
    "body": {
        "runs": [
            {
                "info": INFO,
                "data": {
                    "tags": [{"key": "a", "value": "1"}, {"key": "mlflow.runName", "value": "x"}],
                    "params": [{"key": "lr", "value": "0.1"}],
                    "metrics": [{"key": "loss", "value": float("nan"), "timestamp": 5, "step": 0}],
                },
            }
        ]
    },
}


def outcome_of(ours: Any, *, findings: Any = ()) -> Any:
    theirs = normal(ANSWER, {"3": "churn"}, SEARCH)
    mine = normal(ours, {"8": "churn"}, SEARCH)
    return compare([(SEARCH, theirs)], [(SEARCH, mine)], rules(Facts((3, 18)), OldRecords(), findings))


def moved() -> Any:
    answer = copy.deepcopy(ANSWER)
    run = answer["body"]["runs"][0]
    run["info"] |= {"experiment_id": "8", "artifact_uri": f"mlflow-artifacts:/8/{RUN}/artifacts"}
    run["data"]["tags"].append({"key": "mltrail.imported_from", "value": "MLflow 3.18"})
    return answer


def test_what_is_explained_is_no_difference() -> None:
    outcome = outcome_of(moved())
    assert not outcome.differences
    assert outcome.used == {"imported from": 1}


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("info", "status", "FAILED"),
        ("info", "artifact_uri", f"mlflow-artifacts:/9/{RUN}/artifacts"),
        ("info", "experiment_id", "9"),
        ("tags", "value", "2"),
        ("tags", "key", "b"),
        ("params", "value", "0.10"),
        ("metrics", "value", 0.0),
        ("metrics", "step", 1),
        ("metrics", "timestamp", 6),
    ],
)
def test_one_changed_value_is_caught(part: str, key: str, value: Any) -> None:
    answer = moved()
    run = answer["body"]["runs"][0]
    (run["info"] if part == "info" else run["data"][part][0])[key] = value
    assert len(outcome_of(answer).differences) == 1


def test_what_is_missing_is_caught() -> None:
    answer = moved()
    answer["body"]["runs"] = []
    assert len(outcome_of(answer).differences) == 1


def test_a_file_that_the_report_does_not_name_is_a_difference() -> None:
    question = Question("GET get-artifact", query=(("run_uuid", RUN), ("path", "a#b")))
    theirs, ours = {"status": 200, "body": "digest"}, {"status": 404, "error_code": "RESOURCE_DOES_NOT_EXIST"}
    named = {"kind": "refused", "entity": "files", "owner": f"run {RUN}", "text": "the file 'a#b': Invalid path"}
    for findings, count in (([], 1), ([named], 0)):
        outcome = compare([(question, theirs)], [(question, ours)], rules(Facts((3, 18)), OldRecords(), findings))
        assert len(outcome.differences) == count
