"""Search: https://mlflow.org/docs/latest/ml/search/search-runs/."""

from typing import Any

import pytest

from tests.mlflow_client import Mlflow


@pytest.fixture
def runs(mlflow: Mlflow) -> None:
    """Six runs, a to f: loss 0.0 to 0.5 (e: NaN, f: none), lr as text, team growth or core."""
    for number, name in enumerate("abcdef"):
        made = mlflow.post("runs/create", experiment_id="0", run_name=name, start_time=100 + number)["run"]["info"]
        if name != "f":
            value = "NaN" if name == "e" else number / 10
            mlflow.post("runs/log-metric", run_id=made["run_id"], key="val/loss", value=value, timestamp=1)
        team = "growth" if number % 2 else "Core"
        tags = [{"key": "team", "value": team}, {"key": "a.b", "value": "dots"}]
        params = [{"key": "lr", "value": f"1e-{number}"}]
        mlflow.post("runs/log-batch", run_id=made["run_id"], params=params, tags=tags)
        status = "FINISHED" if number < 3 else "FAILED"
        mlflow.post("runs/update", run_id=made["run_id"], status=status, end_time=None if name == "c" else 900 - number)


def names(mlflow: Mlflow, **search: Any) -> str:
    found = mlflow.post("runs/search", **{"experiment_ids": ["0"]} | search)
    return "".join(run["info"]["run_name"] for run in found.get("runs", ()))


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "fedcba"),
        ("metrics.`val/loss` < 0.25", "cba"),
        ('metrics."val/loss" >= 0.2', "dc"),
        ("metrics.`val/loss` != 0.1", "edca"),  # NaN differs from every number
        ("params.lr = '1e-3'", "d"),
        ("param.lr LIKE '1e-%' AND tags.team = 'growth'", "fdb"),
        ("tags.team ILIKE 'GROW_H'", "fdb"),
        ("tags.team LIKE 'GROW%'", ""),
        ("tags.a.b = 'dots'", "fedcba"),
        ("tags.team != 'growth'", "eca"),
        ("tags.nothing IS NULL", "fedcba"),
        ("tags.nothing IS NOT NULL", ""),
        ("attributes.status = 'FAILED'", "fed"),
        ("status = 'FINISHED' and run_name != 'a'", "cb"),
        ("start_time > 103", "fe"),
        ("attr.`run_name` = 'b'", "b"),
        ("run_id IN ('x','y')", ""),
        ("user_id = 'local'", "fedcba"),
        ("metrics.unknown > 0", ""),
        ("params.lr = '100%'", ""),
    ],
)
def test_filters(mlflow: Mlflow, runs: None, text: str, expected: str) -> None:
    assert names(mlflow, filter=text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "metrics.loss > 'x'",
        "metrics.loss LIKE 'x'",
        "params.lr = 3",
        "params.lr > '3'",
        "metrics.loss > 1 OR metrics.loss < 0",
        "metrics.loss > ",
        "metrics.loss",
        "AND",
        "metrics.loss > 1 AND",
        "(metrics.loss > 1)",
        "metrics.loss == 1",
        "metrics.loss <> 1",
        "metrics.loss > 1; DROP TABLE run",
        "nonsense.loss > 1",
        "nonsense > 1",
        "status IN ('FAILED')",
        "run_id IN ()",
        "run_id IN ('a'",
        "tags.a = 'open",
        "metrics. > 1",
        "dataset.size = 'x'",
    ],
)
def test_a_filter_that_is_wrong_says_what_to_do(mlflow: Mlflow, runs: None, text: str) -> None:
    status, code, message = mlflow.error("POST", "runs/search", experiment_ids=["0"], filter=text)
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert len(message) > 40


@pytest.mark.parametrize(
    ("search", "says"),
    [
        ({"filter": " AND ".join(["tags.team = 'x'"] * 3000)}, "50 comparisons"),
        ({"filter": "run_id IN (" + "'x'," * 10_000 + "'x')"}, "more than 10000 elements"),
        ({"order_by": [f"metrics.m{number}" for number in range(70)]}, "at most 20"),
        ({"experiment_ids": ["0"] * 10_001}, "10000 elements"),
    ],
)
def test_a_search_too_large_for_a_database_is_not_worth_a_retry(
    mlflow: Mlflow, search: dict[str, Any], says: str
) -> None:
    status, code, message = mlflow.error("POST", "runs/search", **{"experiment_ids": ["0"]} | search)
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert says in message


def test_text_beyond_ascii_matches_itself_whatever_the_case_rule(mlflow: Mlflow) -> None:
    mlflow.post("runs/create", experiment_id="0", run_name="MÉRITE")
    for text in ("run_name = 'MÉRITE'", "run_name LIKE 'MÉ%'", "run_name ILIKE 'MÉRITE'", "run_name ILIKE 'mÉr%'"):
        assert names(mlflow, filter=text) == "MÉRITE"


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (["metrics.`val/loss`"], "abcdef"),
        (["metrics.`val/loss` DESC"], "dcbaef"),
        (["metrics.unknown"], "fedcba"),
        (["params.lr DESC"], "fedcba"),
        (["tags.team ASC", "start_time ASC"], "acebdf"),
        (["end_time"], "fedbac"),
        (["attributes.run_name desc"], "fedcba"),
        ("start_time ASC", "abcdef"),
    ],
)
def test_orders_and_pages(mlflow: Mlflow, runs: None, order: Any, expected: str) -> None:
    assert names(mlflow, order_by=order) == expected
    paged, token = "", None
    while token is not None or not paged:
        found = mlflow.post("runs/search", experiment_ids=["0"], order_by=order, max_results=2, page_token=token)
        paged += "".join(run["info"]["run_name"] for run in found["runs"])
        token = found.get("next_page_token")
    assert paged == expected


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("created_at DESC", "fedcba"),
        ("created_at", "abcdef"),
        ("name DESC", "fedcba"),
        ("id ASC", "abcdef"),
        ("updated_at", "cfedba"),  # c, which began at 102, has not ended; the others have, in this order
        ("metrics.`val/loss`", "dcbaef"),
        ("metrics.`val/loss` ASC", "abcdef"),
        ("metrics.unknown", "fedcba"),
        ("", "fedcba"),
    ],
)
def test_orders_as_gitlab_s_clients_send_them(mlflow: Mlflow, runs: None, order: str, expected: str) -> None:
    """One text with GitLab's names, in which a metric without a direction is sorted downwards."""
    assert names(mlflow, order_by=order, filter="") == expected


def test_a_page_token_of_another_search_is_refused(mlflow: Mlflow, runs: None) -> None:
    token = mlflow.post("runs/search", experiment_ids=["0"], max_results=2)["next_page_token"]
    status, code, message = mlflow.error(
        "POST", "runs/search", experiment_ids=["0"], max_results=2, page_token=token, filter="params.lr = '1'"
    )
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert "belongs to another search" in message
    assert "belongs to another" in mlflow.error("POST", "experiments/search", max_results=2, page_token=token)[2]


def test_a_history_is_paged_through_equal_times_and_nan_while_points_are_added(mlflow: Mlflow) -> None:
    run_id = mlflow.post("runs/create", experiment_id="0")["run"]["info"]["run_id"]
    values: list[Any] = [0.5, "NaN", -1, 0, "Infinity", "-Infinity", 1e-9]
    points = [
        {"key": "loss", "value": value, "timestamp": 5 + number // 7, "step": number % 2}
        for number, value in enumerate(values * 3)
    ]
    mlflow.post("runs/log-batch", run_id=run_id, metrics=points)
    whole = mlflow.get("metrics/get-history", run_id=run_id, metric_key="loss")["metrics"]
    assert len(whole) == 21
    found, query = [], {"run_id": run_id, "metric_key": "loss", "max_results": 4}
    while True:
        page = mlflow.get("metrics/get-history", **query)
        found += page["metrics"]
        if not (token := page.get("next_page_token")):
            break
        # An earlier point is neither shown nor does it shift what follows.
        mlflow.post("runs/log-metric", run_id=run_id, key="loss", value=9, timestamp=1, step=len(found))
        query["page_token"] = token
    assert found == whole
    other = {"run_id": run_id, "metric_key": "acc", "max_results": 4, "page_token": query["page_token"]}
    assert "belongs to another search" in mlflow.error("GET", "metrics/get-history", **other)[2]


def test_deleted_runs_are_another_view(mlflow: Mlflow, runs: None) -> None:
    doomed = mlflow.post("runs/search", experiment_ids=["0"], filter="run_name = 'c'")["runs"][0]["info"]["run_id"]
    mlflow.post("runs/delete", run_id=doomed)
    assert names(mlflow) == "fedba"
    assert names(mlflow, run_view_type="DELETED_ONLY") == "c"
    assert names(mlflow, run_view_type="ALL") == "fedcba"


def test_several_experiments_and_none(mlflow: Mlflow, runs: None) -> None:
    other = mlflow.post("experiments/create", name="other")["experiment_id"]
    mlflow.post("runs/create", experiment_id=other, run_name="z", start_time=1)
    assert names(mlflow, experiment_ids=["0", other]) == "fedcbaz"
    assert names(mlflow, experiment_ids=[]) == ""
    assert names(mlflow, experiment_ids=["77"]) == ""


@pytest.mark.parametrize("limit", [0, -1, 50_001])
def test_limits(mlflow: Mlflow, limit: int) -> None:
    assert "from 1 to 50000" in mlflow.error("POST", "runs/search", experiment_ids=["0"], max_results=limit)[2]


@pytest.mark.parametrize("token", ["x", "e30=", "W10=", "é"])
def test_a_foreign_page_token_is_refused(mlflow: Mlflow, token: str) -> None:
    message = mlflow.error("POST", "runs/search", experiment_ids=["0"], page_token=token)[2]
    assert "next_page_token" in message


def test_search_experiments(mlflow: Mlflow) -> None:
    for name in ("churn", "Churn-2", "price"):
        mlflow.post("experiments/create", name=name, tags=[{"key": "team", "value": name[:1]}])

    def found(**search: Any) -> list[str]:
        answer = mlflow.post("experiments/search", **{"max_results": 10} | search)
        return [one["name"] for one in answer.get("experiments", ())]

    assert found() == ["price", "Churn-2", "churn", "Default"]
    assert found(filter="name ILIKE 'churn%'", order_by=["name ASC"]) == ["Churn-2", "churn"]
    assert found(filter="tags.team = 'p'") == ["price"]
    assert found(filter="experiment_id IN ('1', '3')", order_by="name") == ["churn", "price"]
    assert found(order_by="created_at DESC") == found()
    assert found(order_by="id ASC") == found(order_by=["experiment_id"])
    first = mlflow.post("experiments/search", max_results=3)
    assert [
        one["name"]
        for one in mlflow.post("experiments/search", max_results=3, page_token=first["next_page_token"])["experiments"]
    ] == ["Default"]
    assert mlflow.get("experiments/search", max_results=1, order_by="name DESC")["experiments"][0]["name"] == "price"
    assert mlflow.error("POST", "experiments/search", max_results=0)[0] == 400


def test_a_search_that_names_no_limit_has_one(mlflow: Mlflow, runs: None) -> None:
    assert [one["name"] for one in mlflow.post("experiments/search")["experiments"]] == ["Default"]
    assert mlflow.get("experiments/search") == mlflow.post("experiments/search")
    assert names(mlflow, experiment_ids=["0"]) == "fedcba"


def test_experiments_may_be_numbers_as_gitlab_takes_them(mlflow: Mlflow, runs: None) -> None:
    assert names(mlflow, experiment_ids=[0]) == "fedcba"
