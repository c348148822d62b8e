"""`mltrail winner`: what a job that confirms the best candidate has to train."""

import json
from typing import Any

import pytest

from tests.component.conftest import Job


def a_report(*models: dict[str, Any], state: str = "ready") -> dict[str, Any]:
    return {"state": state, "reason": "1 of 2 runs are not done", "verdict": {}, "models": list(models)}


def a_model(name: str, **params: str) -> dict[str, Any]:
    best = {"iid": 7, "name": "trial 7", "url": "https://mltrail.example.com/7", "runs": 1, "params": params}
    candidate = {"iid": 7, "name": "trial 7", "status": "succeeded"}
    return {"name": name, "best": best, "candidates": [candidate]}


def test_it_prints_the_parameters_that_were_chosen(job: Job) -> None:
    job.server.lay(f"GET {job.base}/pipelines/1001/report", a_report(a_model("churn", lr="0.1", depth="3")))
    code, output, _ = job.run("winner")
    assert (code, json.loads(output)) == (0, {"lr": "0.1", "depth": "3"})
    code, output, _ = job.run("winner", "--json")
    assert (code, json.loads(output)["candidate"]) == (0, 7)


def test_of_several_models_one_is_chosen(job: Job) -> None:
    job.server.lay(
        f"GET {job.base}/pipelines/1001/report", a_report(a_model("churn", lr="1"), a_model("price", lr="2"))
    )
    assert job.run("winner")[0] == 2
    code, output, _ = job.run("winner", "--model", "price")
    assert (code, json.loads(output)) == (0, {"lr": "2"})


def test_nothing_has_won(job: Job) -> None:
    job.server.lay(f"GET {job.base}/pipelines/1001/report", a_report())
    code, _, error = job.run("winner")
    assert (code, "there is no winner" in error) == (1, True)


def test_it_waits_no_longer_than_it_may(job: Job) -> None:
    job.server.lay(f"GET {job.base}/pipelines/1001/report", a_report(state="waiting"))
    code, _, error = job.run("winner", "--timeout", "0")
    assert (code, "1 of 2 runs are not done" in error) == (4, True)


@pytest.mark.parametrize(
    ("direction", "guessed", "runs", "code"),
    [
        ("higher", False, 1, 0),
        ("lower", False, 1, 0),
        ("higher", True, 1, 1),
        ("unknown", False, 1, 1),
        ("unknown", False, 2, 0),  # one candidate's repeats: nothing is ranked
    ],
)
def test_nothing_wins_by_a_guess(job: Job, direction: str, guessed: bool, runs: int, code: int) -> None:
    model = a_model("churn", lr="0.1")
    model["candidates"] *= 2
    model["best"]["runs"] = runs
    model["metrics"] = [{"name": "toxicity_f1", "direction": direction, "guessed": guessed}]
    job.server.lay(f"GET {job.base}/pipelines/1001/report", a_report(model))
    found, _, error = job.run("winner")
    assert (found, "rank_by" in error) == (code, code == 1)
