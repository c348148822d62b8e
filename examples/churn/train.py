"""Train models that predict which customers are about to leave, and log them with MLflow.

    python train.py                       all depths and seeds of params.yaml
    python train.py --max-depth 3         one depth, all seeds

The environment says where MLflow logs to (MLFLOW_TRACKING_URI); nothing here depends on it.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import customers
import matplotlib as mpl
import mlflow
import mlflow.sklearn
import pandas as pd
import yaml
from matplotlib.figure import Figure
from mlflow.models import infer_signature
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import PrecisionRecallDisplay, accuracy_score, f1_score, log_loss, roc_auc_score

HERE = Path(__file__).parent
EVERY = 5  # boosting rounds between two points of the loss curves


def main(arguments: Sequence[str] | None = None) -> None:
    params = read_params(arguments)
    depths, seeds = params.pop("max_depth"), params.pop("seed")
    mpl.use("Agg")
    logging.getLogger("mlflow.sklearn").setLevel(logging.ERROR)  # it warns about pickles, once per model
    mlflow.set_experiment("churn")
    data = customers.load()
    for depth in depths:
        for seed in seeds:
            train({**params, "max_depth": depth, "seed": seed}, *data)


def train(
    params: dict[str, Any], x_train: pd.DataFrame, x_val: pd.DataFrame, y_train: pd.Series, y_val: pd.Series
) -> None:
    """Train one model and log it as one run."""
    with mlflow.start_run(run_name=f"depth-{params['max_depth']}-seed-{params['seed']}"):
        mlflow.set_tags({"task": "classification", "model_family": "gradient-boosting"})
        mlflow.log_params(params)
        mlflow.log_input(
            mlflow.data.from_pandas(x_val.assign(left=y_val), name="customers", targets="left"), "validation"
        )

        kwargs = {**params, "random_state": params["seed"]}
        del kwargs["seed"]
        model = GradientBoostingClassifier(**kwargs).fit(x_train, y_train)

        rounds = zip(model.staged_predict_proba(x_train), model.staged_predict_proba(x_val), strict=True)
        for step, (on_train, on_val) in enumerate(rounds, start=1):
            if step % EVERY == 0 or step == model.n_estimators_:
                losses = {"train_log_loss": log_loss(y_train, on_train), "val_log_loss": log_loss(y_val, on_val)}
                mlflow.log_metrics(losses, step=step)

        metrics = evaluate(model, x_val, y_val)
        mlflow.log_metrics(metrics)
        mlflow.log_figure(precision_recall(model, x_val, y_val), "precision_recall.png")
        mlflow.sklearn.log_model(
            model,
            name="model",
            signature=infer_signature(x_val, model.predict(x_val)),
            input_example=x_val.head(3),
            serialization_format="cloudpickle",  # MLflow's other format needs one more package
            # Given here because MLflow would otherwise load the model again in a new process to find out.
            pip_requirements=str(HERE / "requirements.txt"),
        )
        print(f"depth {params['max_depth']} seed {params['seed']}:", *(f"{k} {v:.4f}" for k, v in metrics.items()))


def evaluate(model: GradientBoostingClassifier, x_val: pd.DataFrame, y_val: pd.Series) -> dict[str, float]:
    predicted, chance = model.predict(x_val), model.predict_proba(x_val)[:, 1]
    return {
        "val_accuracy": accuracy_score(y_val, predicted),
        "val_f1": f1_score(y_val, predicted),
        "val_auc": roc_auc_score(y_val, chance),
    }


def precision_recall(model: GradientBoostingClassifier, x_val: pd.DataFrame, y_val: pd.Series) -> Figure:
    figure = Figure(figsize=(5, 4), layout="constrained")
    PrecisionRecallDisplay.from_estimator(model, x_val, y_val, ax=figure.subplots(), plot_chance_level=True)
    return figure


def read_params(arguments: Sequence[str] | None) -> dict[str, Any]:
    """Return params.yaml, overridden by the command line."""
    parser = argparse.ArgumentParser(description="Train churn models and log them with MLflow.")
    parser.add_argument("--params", type=Path, default=HERE / "params.yaml", help="default: the file next to train.py")
    parser.add_argument("--max-depth", type=int, nargs="+", help="depths to try")
    parser.add_argument("--seed", type=int, nargs="+", help="seeds to repeat each depth with")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--n-estimators", type=int)
    given = {key: value for key, value in vars(parser.parse_args(arguments)).items() if value is not None}
    params: dict[str, Any] = yaml.safe_load(given.pop("params").read_text())
    return params | given


if __name__ == "__main__":
    main()
