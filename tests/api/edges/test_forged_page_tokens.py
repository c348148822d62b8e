"""A page token comes from a client, which may write anything into it."""

import base64
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.filters import parse_orders
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.tracking import search
from mltrail_server.store.tracking.search import Sizes
from tests.mlflow_client import Mlflow

ODD: tuple[Any, ...] = ("x", "", "\ud800", "\0", True, None, [], {}, -(10**18), 10**30, 0.5, float("nan"), float("inf"))
SEARCHES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("POST", "runs/search", {"experiment_ids": ["0"]}),
    ("POST", "runs/search", {"experiment_ids": ["0"], "order_by": ["metrics.loss DESC"]}),
    ("POST", "runs/search", {"experiment_ids": ["0"], "order_by": ["params.lr"]}),
    ("POST", "experiments/search", {}),
    ("GET", "traces", {"experiment_ids": ["0"]}),
    ("GET", "traces", {"experiment_ids": ["0"], "order_by": ["execution_time", "tags.a DESC"]}),
    ("POST", "logged-models/search", {"experiment_ids": ["0"]}),
    ("GET", "registered-models/search", {}),
    ("GET", "model-versions/search", {}),
)


@pytest.fixture(autouse=True)
def things(mlflow: Mlflow) -> None:
    for number in range(3):
        run_id = mlflow.post("runs/create", experiment_id="0")["run"]["info"]["run_id"]
        mlflow.post("runs/log-metric", run_id=run_id, key="loss", value=number, timestamp=1)
        mlflow.post("runs/log-parameter", run_id=run_id, key="lr", value=str(number))
        mlflow.post("experiments/create", name=f"e{number}")
        mlflow.post("traces", experiment_id="0", timestamp_ms=number)
        mlflow.post("logged-models", experiment_id="0", name=f"l{number}")
        mlflow.post("registered-models/create", name=f"m{number}")
        mlflow.post("model-versions/create", name="m0")


def forged(token: str) -> Iterator[str]:
    """Put every odd value in the place of each value of a good token."""
    values = json.loads(base64.urlsafe_b64decode(token))
    for place in range(1, len(values)):
        for odd in ODD:
            changed = [odd if number == place else value for number, value in enumerate(values)]
            yield base64.urlsafe_b64encode(json.dumps(changed).encode()).decode()


@pytest.mark.every_case
@pytest.mark.parametrize(("method", "path", "fields"), SEARCHES)
def test_a_forged_page_token_is_a_mistake_or_another_page(
    mlflow: Mlflow, method: str, path: str, fields: dict[str, Any]
) -> None:
    ask = {"max_results": 1, **fields}
    first = mlflow.post(path, **ask) if method == "POST" else mlflow.get(path, **ask)
    carried = "json" if method == "POST" else "query_string"
    for token in forged(first["next_page_token"]):
        answer = mlflow.call(method, f"api/2.0/mlflow/{path}", **{carried: {**ask, "page_token": token}})
        assert answer.status_code in (200, 400), (base64.urlsafe_b64decode(token), answer.get_data(as_text=True))


@pytest.mark.every_case
@pytest.mark.parametrize("order", ["metrics.loss", "start_time", "params.lr"])
def test_a_forged_place_in_an_index_ends_no_walk_late(deps: Deps, order: str) -> None:
    def page(token: str | None) -> str | None:
        with deps.project(ProjectId(1)).read() as tx:
            return search.search(
                tx,
                experiment_iids=[0],
                stages=[Stage.ACTIVE],
                clauses=(),
                orders=parse_orders([order]),
                limit=1,
                token=token,
                sizes=Sizes(few=0, small=0),  # as in an experiment of many runs
            ).next_token

    first = page(None)
    assert first is not None
    for token in forged(first):
        with suppress(MltrailError):
            page(token)
