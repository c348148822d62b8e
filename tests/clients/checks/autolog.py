"""https://mlflow.org/docs/latest/ml/tracking/autolog/ with scikit-learn: the calls that no user writes."""

import mlflow
import numpy as np
from checks.registry import Desk, check
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV

X, Y = np.arange(40, dtype=float).reshape(20, 2), np.arange(20, dtype=float)


@check()
def fit(desk: Desk) -> None:
    mlflow.sklearn.autolog(silent=True)
    try:
        with mlflow.start_run() as run:
            Ridge(alpha=0.5).fit(X, Y)
    finally:
        mlflow.sklearn.autolog(disable=True, silent=True)
    got = desk.client.get_run(run.info.run_id)
    assert got.data.params["alpha"] == "0.5"
    assert any("score" in key for key in got.data.metrics)
    assert mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model").predict(X).shape == (20,)


@check()
def search_a_grid(desk: Desk) -> None:
    mlflow.sklearn.autolog(silent=True, max_tuning_runs=3)
    try:
        with mlflow.start_run() as run:
            GridSearchCV(Ridge(), {"alpha": [0.1, 1.0, 10.0]}, cv=2).fit(X, Y)
    finally:
        mlflow.sklearn.autolog(disable=True, silent=True)
    children = mlflow.search_runs([desk.experiment_id], f"tags.mlflow.parentRunId = '{run.info.run_id}'")
    assert len(children) == 3, list(children.run_id)
