"""A sweep, and two runs between which everything has changed that a comparison shows."""

import json

from tests.browser.server import Site
from tests.browser.world import picture, sha
from tests.mlflow_client import Mlflow, good
from tests.ui import sweeps

TRIALS = 60


class Changes:
    """Logs to experiments of its own, so that no other test sees these runs."""

    def __init__(self, site: Site) -> None:
        self.clock = site.clock
        self.mlflow = Mlflow(site.client, project="42", token=site.team.tokens["developer"])

    def make(self) -> None:
        sweep = self.mlflow.post("experiments/create", name="sweep")["experiment_id"]
        sweeps.log(self.mlflow, TRIALS, experiment=sweep, clock=self.clock)
        pair = self.mlflow.post("experiments/create", name="before and after")["experiment_id"]
        self.train(pair, "before", lr="0.1", loss=0.42, numpy="2.1.0", columns=["age", "tenure"])
        self.clock.advance(60_000)
        self.train(pair, "after", lr="0.03", loss=0.36, numpy="2.3.1", columns=["age", "charges"])

    def train(  # a run has that many parts, each by its name
        self, experiment: str, name: str, *, lr: str, loss: float, numpy: str, columns: list[str]
    ) -> None:
        now = self.clock()
        tags = [
            {"key": "mlflow.source.git.commit", "value": sha(f"sweep {name}")},
            {"key": "stage", "value": name},
        ]
        made = self.mlflow.post("runs/create", experiment_id=experiment, run_name=name, start_time=now, tags=tags)
        run = made["run"]["info"]["run_id"]
        points = [
            {"key": "val_loss", "value": loss + 0.5 / (step + 1), "timestamp": now + step * 1000, "step": step}
            for step in range(40)
        ]
        params = [{"key": "lr", "value": lr}, {"key": "layers", "value": "3"}]
        self.mlflow.post("runs/log-batch", run_id=run, metrics=points, params=params)
        schema = {"mlflow_colspec": [{"name": column, "type": "double"} for column in columns]}
        dataset = {"name": "telco", "digest": f"{len(name)}c41aa", "source_type": "local", "source": "data/telco.csv"}
        self.mlflow.post(
            "runs/log-inputs",
            run_id=run,
            datasets=[
                {
                    "dataset": dataset | {"schema": json.dumps(schema)},
                    "tags": [{"key": "mlflow.data.context", "value": "training"}],
                }
            ],
        )
        files = {"model/requirements.txt": f"mlflow==3.5.0\nnumpy=={numpy}\n".encode()}
        for step in (0, 20, 40):
            files[f"images/samples%25step%25{step}%25timestamp%25{now + step}%25{len(name)}a{step}.png"] = picture(
                120, 80
            )
        for path, body in files.items():
            address = f"api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/{path}"
            good(self.mlflow.call("PUT", address, data=body))
        self.mlflow.post("runs/update", run_id=run, status="FINISHED", end_time=now + 60_000)
