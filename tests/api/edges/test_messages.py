"""What clients send, in every spelling that MLflow's server or GitLab's takes.

Names: https://protobuf.dev/programming-guides/json/. Each message of the API is met, from the structs themselves.
"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from flask import Request
from flask.testing import FlaskClient
from msgspec import inspect
from werkzeug.test import EnvironBuilder

from mltrail_server.mlflow_api import messages
from mltrail_server.mlflow_api.messages import Message, json_name, message_of
from tests.mlflow_client import INVALID, LOCAL_TOKEN, Mlflow, failure, good

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


def kinds(of: type[Message] = Message) -> Iterator[type[Message]]:
    for kind in of.__subclasses__():
        yield kind
        yield from kinds(kind)


def sample(kind: inspect.Type) -> Any:
    """Make a value of a type, every field of it filled."""
    if isinstance(kind, inspect.StructType):
        return {field.name: sample(field.type) for field in kind.fields}
    if isinstance(kind, inspect.ListType):
        return [sample(kind.item_type), sample(kind.item_type)]
    if isinstance(kind, inspect.DictType):
        return {"a": sample(kind.value_type)}
    if isinstance(kind, inspect.UnionType):
        return sample(next(one for one in kind.types if not isinstance(one, inspect.NoneType)))
    return {inspect.IntType: 7, inspect.FloatType: 0.5, inspect.BoolType: True}.get(type(kind), "a")


def camel(value: Any) -> Any:
    if isinstance(value, dict):
        return {json_name(key): camel(inner) for key, inner in value.items()}
    return [camel(inner) for inner in value] if isinstance(value, list) else value


def as_texts(value: Any) -> Any:
    """Do to numbers and truth values what R's `as.character` does."""
    if isinstance(value, dict):
        return {key: as_texts(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_texts(inner) for inner in value]
    return str(value).upper() if isinstance(value, bool) else str(value)


def sent(body: bytes, *, method: str = "POST", kind: str = JSON, **more: Any) -> Request:
    return Request(EnvironBuilder(method=method, data=body, content_type=kind, **more).get_environ())


MESSAGES = [pytest.param(kind, id=f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}") for kind in kinds()]


@pytest.mark.parametrize("kind", MESSAGES)
def test_every_field_of_every_message_has_both_of_its_names(kind: type[Message]) -> None:
    known = sample(inspect.type_info(kind))
    plain = message_of(sent(json.dumps(known).encode()), kind)
    assert message_of(sent(json.dumps(camel(known)).encode()), kind) == plain
    newer = camel(known) | {"fieldOfANewerClient": {"a": 1}, "another_one": None}
    assert message_of(sent(json.dumps(newer).encode()), kind) == plain
    assert message_of(sent(json.dumps(camel(known)).encode(), method="GET"), kind) == plain
    assert message_of(sent(json.dumps(json.dumps(known)).encode()), kind) == plain, "JSON within a text"
    for mark in ("utf-8-sig", "utf-16", "utf-16-le"):
        assert message_of(sent(json.dumps(known).encode(mark)), kind) == plain, mark


@pytest.mark.parametrize("kind", MESSAGES)
def test_every_number_and_truth_value_may_come_as_a_text(kind: type[Message]) -> None:
    known = sample(inspect.type_info(kind))
    read = msgspec.to_builtins(message_of(sent(json.dumps(as_texts(known)).encode()), kind))
    assert as_texts(read) == as_texts(msgspec.to_builtins(message_of(sent(json.dumps(known).encode()), kind)))


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_name_in_both_spellings_is_refused(kind: type[Message]) -> None:
    known = sample(inspect.type_info(kind))
    for name in known:
        if json_name(name) != name:
            twice = known | {json_name(name): known[name]}
            with pytest.raises(Exception, match=f"Request specifies both '{name}' and '{json_name(name)}'"):
                message_of(sent(json.dumps(twice).encode()), kind)


def holds_messages(kind: type[Message]) -> bool:
    return "StructType" in repr([field.type for field in inspect.type_info(kind).fields])  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", [one for one in MESSAGES if not holds_messages(one.values[0])])
def test_queries_and_forms_say_the_same(kind: type[Message]) -> None:
    known = sample(inspect.type_info(kind))
    plain = as_texts(msgspec.to_builtins(message_of(sent(json.dumps(known).encode()), kind)))
    texts = as_texts(known)
    brackets = {f"{key}[]" if isinstance(value, list) else key: value for key, value in texts.items()}
    for names in (texts, camel(texts), brackets):
        text = urlencode(names, doseq=True)
        for request in (
            sent(b"", method="GET", query_string=text),
            sent(b"", method="DELETE", query_string=text),
            sent(text.encode(), kind=FORM),
        ):
            assert as_texts(msgspec.to_builtins(message_of(request, kind))) == plain


def test_forms_within_forms() -> None:
    """As Ruby's web servers read them, and curl sends them by `--form`."""
    form = {"tags": [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}], "experiment_id": "0"}
    pairs = [("experiment_id", "0")]
    for number, tag in enumerate(form["tags"]):
        assert isinstance(tag, dict)
        pairs += [(f"tags[{number}][{key}]", value) for key, value in tag.items()]
    unnumbered = [(name.replace("[0]", "[]").replace("[1]", "[]"), value) for name, value in pairs]
    kind = next(one for one in kinds() if one.__name__ == "_Create" and one.__module__.endswith(".runs"))
    plain = message_of(sent(json.dumps(form).encode()), kind)
    assert message_of(sent(urlencode(pairs).encode(), kind=FORM), kind) == plain
    assert message_of(sent(urlencode(unnumbered).encode(), kind=FORM), kind) == plain
    parts = EnvironBuilder(method="POST", data=dict(pairs), content_type="multipart/form-data")
    assert message_of(Request(parts.get_environ()), kind) == plain


def test_a_page_of_another_site_can_send_nothing(client: FlaskClient) -> None:
    """A browser adds a password that it remembers to the forms of any page, but no header with a token."""
    for body, kind, status in (
        ("name=evil", FORM, 400),
        ('{"name": "evil"}', "text/plain", 400),
        ('{"name": "evil"}', "", 400),
        ('{"name": "good"}', JSON, 200),
    ):
        headers = {"Content-Type": kind} if kind else {}
        answer = client.post(
            "/api/v4/projects/1/ml/mlflow/api/2.0/mlflow/registered-models/create",
            data=body.encode(),
            headers=headers,
            auth=("me", LOCAL_TOKEN),
        )
        assert answer.status_code == status, (kind, answer.get_data())


def test_numbers_are_texts_where_texts_are_declared(mlflow: Mlflow) -> None:
    run = mlflow.post("runs/create", experiment_id=0)["run"]["info"]["run_id"]
    for value, text in ((10, "10"), (0.1, "0.1"), (True, "true"), (10**20, str(10**20)), (-0.0, "-0.0")):
        mlflow.post("runs/log-parameter", run_id=run, key=f"p{text}", value=value)
        mlflow.post("runs/log-batch", run_id=run, params=[{"key": f"b{text}", "value": value}])
        mlflow.post("runs/set-tag", run_id=run, key=f"t{text}", value=value)
        data = mlflow.get("runs/get", run_id=run)["run"]["data"]
        assert {"key": f"p{text}", "value": text} in data["params"]
        assert {"key": f"b{text}", "value": text} in data["params"]
        assert {"key": f"t{text}", "value": text} in data["tags"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("NaN", "NaN"),
        ("Infinity", 1.7976931348623157e308),
        ("-Infinity", -1.7976931348623157e308),
        ("1e400", 1.7976931348623157e308),
        ('"NaN"', "NaN"),
        ('"Infinity"', 1.7976931348623157e308),
        ('"-Inf"', -1.7976931348623157e308),
        ('"1e5"', 100_000.0),
        ("7", 7.0),
        ("1.7976931348623157e308", 1.7976931348623157e308),
    ],
)
def test_numbers_that_json_does_not_have(mlflow: Mlflow, run_id: str, value: str, shown: Any) -> None:
    """In runs, histories, logged models and searches alike: MLflow has no infinity, but the largest number."""
    model = mlflow.post("logged-models", experiment_id="0", name="m")["model"]["info"]["model_id"]
    one = f'{{"key": "m", "value": {value}, "timestamp": 1, "step": 0, "model_id": "{model}"}}'
    body = f'{{"run_id": "{run_id}", "metrics": [{one}]}}'
    good(mlflow.call("POST", "api/2.0/mlflow/runs/log-batch", data=body.encode(), content_type=JSON))
    single = one.replace('"key": "m"', f'"key": "n", "runId": "{run_id}"')
    good(mlflow.call("POST", "api/2.0/mlflow/runs/log-metric", data=single.encode(), content_type=JSON))
    found = [
        mlflow.get("runs/get", run_id=run_id)["run"]["data"]["metrics"],
        mlflow.post("runs/search", experiment_ids=["0"])["runs"][0]["data"]["metrics"],
        mlflow.get("metrics/get-history", run_id=run_id, metric_key="m")["metrics"],
        mlflow.get("metrics/get-history-bulk", run_id=run_id, metric_key="m")["metrics"],
        mlflow.get("metrics/get-history-bulk-interval", run_ids=run_id, metric_key="m", max_results=10)["metrics"],
        mlflow.get(f"logged-models/{model}")["model"]["data"]["metrics"],
        mlflow.post("logged-models/search", experiment_ids=["0"])["models"][0]["data"]["metrics"],
    ]
    assert [[metric["value"] for metric in one] for one in found] == [[shown] * len(one) for one in found]
    assert all(found)


def test_a_search_is_never_widened_by_a_spelling(mlflow: Mlflow) -> None:
    for _ in range(3):
        mlflow.post("runs/create", experiment_id="0")
    for fields, count in (
        ({"experimentIds": ["0"]}, 3),
        ({"experiment_ids": ["0"], "maxResults": 1}, 1),
        ({"experiment_ids": [0], "runViewType": "DELETED_ONLY"}, 0),
        ({"experiment_ids": ["0"], "runViewType": 2}, 0),
        ({"experiment_ids": ["0"], "run_view_type": "2"}, 0),
        ({"experiment_ids": ["0"], "run_view_type": "1", "max_results": "2"}, 2),
    ):
        assert len(mlflow.post("runs/search", **fields)["runs"]) == count, fields
    assert mlflow.error("POST", "runs/search", experiment_ids=["0"], runViewType="DELETED")[:2] == INVALID


@pytest.mark.parametrize(
    "prefix", ["api/2.0/mlflow", "ajax-api/2.0/mlflow", "api/2.0/preview/mlflow", "ajax-api/2.0/preview/mlflow"]
)
def test_every_prefix_and_a_slash_at_the_end(mlflow: Mlflow, prefix: str) -> None:
    for slash in ("", "/"):
        for method in ("GET", "HEAD"):
            answer = mlflow.call(method, f"{prefix}/experiments/get{slash}", query_string={"experiment_id": "0"})
            assert answer.status_code == 200, (method, slash)
        good(mlflow.call("POST", f"{prefix}/runs/search{slash}", json={"experiment_ids": ["0"]}))
    assert mlflow.call("GET", "api/2.0/mlflow/experiments/get//?experiment_id=0").status_code == 404


def test_an_empty_body_says_nothing(mlflow: Mlflow) -> None:
    for kind in (JSON, None):
        assert good(mlflow.call("POST", "api/2.0/mlflow/runs/search", data=b"", content_type=kind))["runs"] == []
    error = failure(mlflow.call("POST", "api/2.0/mlflow/runs/create", data=b"", content_type=JSON))
    assert error[:2] == INVALID
    assert "'experiment_id'" in error[2]


def test_a_query_in_the_place_of_a_body(mlflow: Mlflow) -> None:
    """GitLab's API reads both."""
    path = "api/2.0/mlflow/registered-models"
    good(mlflow.call("POST", f"{path}/create", query_string={"name": "churn"}))
    good(mlflow.call("PATCH", f"{path}/update", data=b"name=churn&description=x", content_type=FORM))
    good(mlflow.call("PATCH", f"{path}/update", data=b'{"name": "churn"}', content_type=FORM))  # as `curl -d` sends it
    assert mlflow.get("registered-models/get", name="churn")["registered_model"]["description"] == "x"
    good(mlflow.call("DELETE", f"{path}/delete", query_string={"name": "churn"}))
    assert mlflow.error("GET", "registered-models/get", name="churn")[0] == 404


def test_what_stock_clients_send_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second look is for others: training loops must not pay for it."""

    def never(*_: Any) -> Any:
        raise AssertionError("read twice")

    monkeypatch.setattr(messages, "_plain", never)
    for module, name in (
        ("logging", "_LogMetric"),
        ("logging", "_LogBatch"),
        ("runs", "_Create"),
        ("search", "_SearchRuns"),
    ):
        kind = next(one for one in kinds() if one.__name__ == name and one.__module__.endswith(f".{module}"))
        message_of(sent(json.dumps(sample(inspect.type_info(kind))).encode()), kind)
