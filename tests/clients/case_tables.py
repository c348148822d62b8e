"""Run by a client's Python: log a table of cases with MLflow, and print the file that it has made."""

import logging
import sys
import tempfile
import warnings
from pathlib import Path

import mlflow  # type: ignore[import-not-found, unused-ignore]
import pandas as pd  # type: ignore[import-not-found, import-untyped, unused-ignore]

ROWS = pd.DataFrame(
    {
        "id": ["a", "b", "c"],
        "question": ["1 + 1", "2 + 2", "3 + 3"],
        "target": ["2", "4", "6"],
        "prediction": ["2", "5", None],
        "amount": [1.5, float("nan"), 3],
    }
)


def evaluate() -> None:
    """Let MLflow write its own table, which it does where a metric has a score for each row."""
    from mlflow.metrics import MetricValue, make_metric  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415

    def same(predictions: "pd.Series[str]", targets: "pd.Series[str]") -> MetricValue:
        return MetricValue(scores=[float(one == other) for one, other in zip(predictions, targets, strict=True)])

    data = ROWS.fillna({"prediction": ""})
    metric = make_metric(eval_fn=same, greater_is_better=True, name="same")
    mlflow.models.evaluate(data=data, targets="target", predictions="prediction", extra_metrics=[metric])


def main(how: str) -> None:
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        # MLflow 3 wants a database, which skinny clients have none for.
        full = mlflow.__version__.startswith("3")
        # A folder of artifacts among a file store's experiments would be taken for one of them.
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db" if full else (Path(folder) / "store").as_uri())
        mlflow.create_experiment("cases", artifact_location=f"{folder}/artifacts")
        mlflow.set_experiment("cases")
        with mlflow.start_run():
            if how == "evaluate":
                evaluate()
            else:
                mlflow.log_table(ROWS, "eval_results_table.json")
        (file,) = Path(folder).rglob("eval_results_table.json")
        sys.stdout.buffer.write(file.read_bytes())


if __name__ == "__main__":
    main(sys.argv[1])
