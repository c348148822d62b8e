"""A project with a past, as a team has it after some weeks: what browser tests and screenshots show."""

import hashlib
import math
import struct
import zlib

from mltrail_server import worker
from tests.browser.server import Site
from tests.clock import DAY
from tests.fakes.gitlab import Job, MergeRequest, Pipeline
from tests.mlflow_client import Mlflow, good

MINUTE = 60_000
_STEPS = 60


def sha(name: str) -> str:
    return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()


def picture(width: int = 240, height: int = 160) -> bytes:
    """Draw a PNG: a confusion matrix of sorts."""
    rows = b"".join(
        b"\0"
        + b"".join(
            bytes((31, 117, 203) if (x * 2 // width) == (y * 2 // height) else (233, 243, 252)) for x in range(width)
        )
        for y in range(height)
    )

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class Past:
    """Makes the past of a site's project."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.gitlab = site.team.gitlab
        self.project = site.team.project

    def pipeline(self, name: str, branch: str = "main") -> Pipeline:
        self.gitlab.add_commit(self.project, sha(name), parents=(self.project.branches[branch],), branch=branch)
        return self.gitlab.add_pipeline(self.project, sha(name), branch, "push")

    def job(self, pipeline: Pipeline, name: str) -> Job:
        return self.gitlab.add_job(pipeline, name, "train", self.site.team.users["developer"], "running")

    def client(self, job: Job) -> Mlflow:
        return Mlflow(self.site.client, project="42", token=self.gitlab.mint(job, self.site.url))

    def train(
        self, pipeline: Pipeline, *, quality: float, lr: str, depth: str, seeds: int = 3, status: str = "success"
    ) -> None:
        job = self.job(pipeline, f"train lr={lr}")
        mlflow = self.client(job)
        for seed in range(seeds):
            self.run(
                mlflow,
                name=f"gbt-lr{lr}-seed{seed}",
                quality=quality + seed * 0.004,
                lr=lr,
                depth=depth,
                seed=seed,
                status=status,
            )
            self.site.clock.advance(7 * MINUTE)
        self.gitlab.set_job(job, status, "script_failure" if status == "failed" else None)
        worker.run_once(self.site.deps)

    def run(
        self, mlflow: Mlflow, *, name: str, quality: float, lr: str, depth: str, seed: int, status: str = "success"
    ) -> str:
        found = mlflow.call("GET", "api/2.0/mlflow/experiments/get-by-name", query_string={"experiment_name": "churn"})
        experiment = found.get_json().get("experiment") or mlflow.post("experiments/create", name="churn")
        folder = experiment["experiment_id"]
        made: str = mlflow.post(
            "runs/create",
            experiment_id=folder,
            run_name=name,
            start_time=self.site.clock(),
            tags=[{"key": "stage", "value": "eval"}],
        )["run"]["info"]["run_id"]
        values = {
            "lr": lr,
            "max_depth": depth,
            "seed": str(seed),
            "model": "gradient boosting",
            "features": "tenure,charges,contract",
        }
        params = [{"key": key, "value": value} for key, value in values.items()]
        points = []
        for step in range(_STEPS if status == "success" else 12):
            progress = 1 - math.exp(-step / 12)
            wave = 0.01 * math.sin(step * (seed + 1.3))
            at = self.site.clock() + step * 5000
            for key, value in (
                ("val_accuracy", quality * (0.6 + 0.4 * progress) + wave),
                ("val_loss", 1.2 * math.exp(-step / 15) + 0.25 - quality / 10 + abs(wave)),
                ("train_loss", 1.2 * math.exp(-step / 12) + 0.15),
            ):
                points.append({"key": key, "value": round(value, 5), "timestamp": at, "step": step})
        points.append({"key": "latency_ms", "value": 12.5 + seed, "timestamp": self.site.clock()})
        mlflow.post("runs/log-batch", run_id=made, params=params, metrics=points)
        mlflow.post(
            "runs/log-inputs",
            run_id=made,
            datasets=[
                {
                    "dataset": {
                        "name": "telco",
                        "digest": "9f2c41aa",
                        "source_type": "local",
                        "source": "data/telco.csv",
                    },
                    "tags": [{"key": "mlflow.data.context", "value": "test"}],
                }
            ],
        )
        files = {
            "model/MLmodel": b"flavors: {}\n",
            "plots/confusion.png": picture(),
            "report.html": b"<h1>Report</h1><script>document.title = 'run by a file'</script>",
            "metrics.csv": b"class,precision,recall\nstays,0.91,0.95\nleaves,0.78,0.66\n",
            "notes.txt": b"Trained on the telco data.\n",
        }
        for path, body in files.items():
            good(mlflow.call("PUT", f"api/2.0/mlflow-artifacts/artifacts/{folder}/{made}/artifacts/{path}", data=body))
        self.site.clock.advance(5 * MINUTE)
        if status == "success":
            mlflow.post("runs/update", run_id=made, status="FINISHED", end_time=self.site.clock())
        return made

    def promote(self, pipeline: Pipeline) -> None:
        job = self.gitlab.add_job(pipeline, "promote", "deploy", self.site.team.users["maintainer"], "running")
        headers = {"Authorization": f"Bearer {self.gitlab.mint(job, self.site.url)}"}
        body = {"pipeline_id": pipeline.id}
        good(self.site.client.post("/api/v4/projects/42/ml/promotions", headers=headers, json=body))
        self.gitlab.set_job(job, "success")

    def make(self) -> MergeRequest:
        """Three weeks of a default branch, a failed job, a laptop, two promotions, and a merge request."""
        for week, (quality, lr) in enumerate(((0.86, "0.3"), (0.88, "0.1"), (0.885, "0.1"))):
            pipeline = self.pipeline(f"main {week}")
            self.train(pipeline, quality=quality, lr=lr, depth=str(4 + week))
            if week != 1:
                self.promote(pipeline)
            self.site.clock.advance(7 * DAY)
        self.train(self.pipeline("broken"), quality=0.97, lr="3.0", depth="9", seeds=1, status="failed")
        laptop = Mlflow(self.site.client, project="42", token=self.site.team.tokens["developer"])
        self.run(laptop, name="notebook try", quality=0.87, lr="0.2", depth="5", seed=7)
        self.gitlab.add_commit(self.project, sha("faster"), parents=(self.project.branches["main"],), branch="faster")
        request = self.gitlab.add_merge_request(self.project, "faster", "main", "Learn faster with a smaller tree")
        ref = f"refs/merge-requests/{request.iid}/head"
        pipeline = self.gitlab.add_pipeline(self.project, sha("faster"), ref, "merge_request_event")
        self.train(pipeline, quality=0.90, lr="0.05", depth="3", seeds=5)
        self.site.clock.advance(2 * MINUTE)
        worker.run_once(self.site.deps)
        return request
