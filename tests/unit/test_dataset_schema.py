"""Columns of datasets as MLflow logs them, and what differs between two."""

import json

import pytest

from mltrail_server.domain.dataset_schema import SchemaChange, SchemaColumn, change, columns


def test_a_table() -> None:
    text = json.dumps(
        {
            "mlflow_colspec": [
                {"type": "double", "name": "x", "required": True},
                {"type": "string", "name": "y", "required": False},
                {"type": "array", "items": {"type": "long"}, "name": "z"},
                {"type": "long"},
            ]
        }
    )
    assert columns(text) == [
        SchemaColumn("x", "double"),
        SchemaColumn("y", "string", required=False),
        SchemaColumn("z", '{"type": "array", "items": {"type": "long"}}'),
        SchemaColumn("3", "long"),
    ]
    assert SchemaColumn("y", "string", required=False).kind == "string, optional"


def test_arrays() -> None:
    features = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 3]}}]
    for inner in (features, json.dumps(features)):
        text = json.dumps({"mlflow_tensorspec": {"features": inner, "targets": None}})
        assert columns(text) == [SchemaColumn("features/0", "float64 [-1, 3]")]


@pytest.mark.parametrize(
    "text",
    [None, "", "x", "[]", "{}", '{"mlflow_colspec": 1}', '{"mlflow_tensorspec": {"features": "x"}}', "[" * 100_000],
)
def test_what_is_of_no_known_form_is_none(text: str | None) -> None:
    assert columns(text) is None


def test_what_changed() -> None:
    one, other = SchemaColumn("a", "long"), SchemaColumn("b", "string")
    assert change([one, other], [one, other]).is_none
    assert change([one, other], [other, one]) == SchemaChange([], [], [], moved=True)
    now = [SchemaColumn("a", "long", required=False), SchemaColumn("c", "string")]
    expected = SchemaChange([now[1]], [other], [("a", "long", "long, optional")])
    assert change([one, other], now) == expected
