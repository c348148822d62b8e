"""A training for the environment of any MLflow client: logs run after run until it has to stop.

python training.py FOLDER STEPS     FOLDER/stop ends it, FOLDER/runs lists the runs that it has made
"""

import json
import sys
import time
from pathlib import Path

import mlflow


def main(folder: Path, steps: int) -> None:
    mlflow.set_experiment("restart")
    runs: list[str] = []
    while not (folder / "stop").exists():
        with mlflow.start_run() as run:
            mlflow.log_param("number", len(runs))
            for step in range(steps):
                mlflow.log_metric("loss", step / 2, step=step)
                mlflow.log_metrics({"accuracy": step / 4, "rate": step / 8}, step=step)
                time.sleep(0.05)  # a step of the training, so that the server goes away in the middle of a run
            mlflow.log_text("weights" * 100, "model/weights.txt")
            mlflow.set_tag("done", "yes")
        runs.append(run.info.run_id)
        (folder / "runs.new").write_text(json.dumps(runs))
        (folder / "runs.new").rename(folder / "runs")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
