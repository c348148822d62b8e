"""In our own API unknown input is an error that names it: a misspelt field must not be passed over in silence.

MLflow's routes pass over fields that they do not know, as newer clients need: see test_messages.py.
"""

from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient

from mltrail_server.gitlab_api import aliases, detachments, promotions, reports
from mltrail_server.gitlab_api.routes import ROUTES
from mltrail_server.http.routes import Route
from tests.mlflow_client import LOCAL_TOKEN

BASE = "/api/v4/projects/1/ml/"
HEADERS = {"Authorization": f"Bearer {LOCAL_TOKEN}"}


def url_of(route: Route) -> str:
    path = route.path.replace("<int:pipeline_id>", "1").replace("<model>", "m").replace("<version>", "1.0.0")
    return BASE + path.replace("<alias>", "champion")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_a_query_that_nobody_reads_is_refused(client: FlaskClient, route: Route) -> None:
    assert route.query is not None
    answer = client.open(url_of(route), method=route.method, headers=HEADERS, query_string={"Dry_Run": "1"}, json={})
    assert answer.status_code == 400
    assert answer.get_json()["message"].startswith("Unknown query parameter 'Dry_Run'")


@pytest.mark.parametrize(
    "route", [one for one in ROUTES if one.method != "GET"], ids=lambda route: f"{route.method} {route.path}"
)
@pytest.mark.parametrize("field", ["dryRun", "pipelineId", "Model", "unknown", ""])
def test_a_field_that_nobody_reads_is_refused(client: FlaskClient, route: Route, field: str) -> None:
    body: dict[str, Any] = {"version": "1", "contract": "x", "seconds": 3600}
    known = {"aliases/<alias>": {"version"}, "contract": {"contract"}, "detachments": {"seconds"}}
    kept = next((names for end, names in known.items() if route.path.endswith(end)), set())
    answer = client.open(
        url_of(route),
        method=route.method,
        headers=HEADERS,
        json={key: value for key, value in body.items() if key in kept} | {field: 1},
    )
    assert answer.status_code == 400
    assert f"unknown field `{field}`" in answer.get_json()["message"]


def test_every_body_of_ours_knows_its_fields() -> None:
    for module in (aliases, detachments, promotions, reports):
        for kind in vars(module).values():
            is_body = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
            if is_body and kind.__module__ == module.__name__:
                assert kind.__struct_config__.forbid_unknown_fields, kind


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("promotions", {"bump": "Major"}, "'bump'"),
        ("promotions", {"bump": "huge"}, "'bump'"),
        ("promotions", {"better": "bigger"}, "'better'"),
        ("promotions", {"pipeline_id": "x"}, "'pipeline_id'"),
        ("promotions", {"dry_run": "maybe"}, "'dry_run'"),
    ],
)
def test_a_value_that_is_none_of_a_choice_is_refused(
    client: FlaskClient, path: str, body: dict[str, Any], says: str
) -> None:
    answer = client.post(BASE + path, headers=HEADERS, json=body)
    assert answer.status_code == 400
    assert says in answer.get_json()["message"]
