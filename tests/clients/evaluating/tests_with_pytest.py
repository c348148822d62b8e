"""https://mlflow.org/docs/latest/genai/eval-monitor/regression-testing/: `@mlflow.test`."""

import os
import re
import subprocess
import sys
from collections.abc import Callable

import mlflow
from evaluating.evaluations import case
from evaluating.registry import Desk, check

TESTS = """
import mlflow
import pytest
from mlflow.genai.scorers import scorer

pytest_plugins = ["mlflow.pytest.plugin"]
mlflow.set_experiment(experiment_id="{experiment_id}")


@scorer
def correct(inputs, outputs):  # and no expectations, which `passed` of MLflow 3.18 takes for scores
    return outputs == inputs["wanted"]


def evaluated(question, answer):
    return mlflow.genai.evaluate(
        data=[{{"inputs": {{"question": question, "wanted": answer}}}}],
        predict_fn=lambda question, wanted: question.upper(),
        scorers=[correct],
    )


@mlflow.test
@pytest.mark.parametrize("question", ["a", "b", "c"])
def test_letters(question):
    assert evaluated(question, question.upper()).passed


@mlflow.test
def test_wrong():
    result = evaluated("d", "x")
    assert result.passed, result.reason


def test_of_another_kind():
    pass
"""


RACE = "UNIQUE constraint failed: datasets"
"""What `mlflow server` answers at times to two processes that log the same dataset for the first time at once. mltrail
never does, so it is asked once.
"""
OF_THE_SESSION = ("mlflow.test.session_id", "mlflow.genaiEvaluate.agent.digest")


def session(desk: Desk, *arguments: str) -> "subprocess.CompletedProcess[str]":
    (desk.folder / "test_answers.py").write_text(TESTS.format(experiment_id=desk.experiment_id))
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "mlflow.pytest.plugin", *arguments],
        cwd=desk.folder,
        env=os.environ | {"PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def tested(desk: Desk, show: Callable[[mlflow.entities.Run], object], *arguments: str) -> object:
    for _ in range(5):
        done = session(desk, *arguments)
        if RACE not in done.stdout:
            break
        desk = Desk(desk.check)
    last = done.stdout.strip().splitlines()[-1] if done.stdout else done.stderr
    outcome = re.sub(r" in [0-9.]+s( \([0-9:]+\))?", "", last)
    runs = desk.client.search_runs([desk.experiment_id], order_by=["attributes.start_time ASC"])
    return {
        "outcome": (done.returncode, outcome.strip(" =")),
        "runs": [show(run) for run in runs],
        "traces": [
            {key: value for key, value in case(one).items() if key != "metadata"}
            for one in sorted(desk.traces(), key=lambda one: str(one.info.request_preview))
        ],
        "linked": sorted(len(desk.traces(run_id=run.info.run_id)) > 0 for run in runs),
    }


def in_detail(run: mlflow.entities.Run) -> object:
    tags = {key: value for key, value in run.data.tags.items() if key not in OF_THE_SESSION}
    return {"status": run.info.status, "metrics": run.data.metrics, "tags": tags}


def in_short(run: mlflow.entities.Run) -> object:
    """Which process gets which test differs from one time to the next."""
    return run.data.tags["mlflow.runType"]


@check(since=(3, 14))
def in_one_process(desk: Desk) -> object:
    return tested(desk, in_detail)


@check(since=(3, 14))
def in_several(desk: Desk) -> object:
    return tested(desk, in_short, "-n", "2")
